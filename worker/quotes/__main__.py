"""`python -m worker.quotes`: values open portfolios at live prices until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress

import structlog

from tailwatch import logs, metrics
from tailwatch.db.schema import refuse_newer_at_start
from tailwatch.db.session import get_engine
from tailwatch.errors import NewerSchemaError
from tailwatch.settings import get_settings, settings_or_exit
from worker.quotes.desk import Desk

settings_or_exit()

log = structlog.get_logger(__name__)


def main() -> int:
    """Run; return the exit status."""
    logs.configure("quotes")
    metrics.start("quotes")
    settings = get_settings()
    try:
        refuse_newer_at_start()
    except NewerSchemaError as error:
        log.critical(str(error))
        return 1
    if not settings.live_quotes:
        log.info("live quotes are off; LIVE_QUOTES=on switches them on")
        return 0
    if settings.health_dir is not None:
        settings.health_dir.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_run_until_asked())
    finally:
        metrics.stop()
        get_engine().dispose()
    log.info("live quotes ended")
    return 0


async def _run_until_asked() -> None:
    settings = get_settings()
    desk = Desk(get_engine(), settings.live_quotes_url, settings.live_quotes_per_second, settings.health_dir)
    working = asyncio.create_task(desk.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    log.info("live quotes started")
    with suppress(asyncio.CancelledError):
        await working


if __name__ == "__main__":
    sys.exit(main())
