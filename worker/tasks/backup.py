"""`backup.daily`: make the day's backup if it is due."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import structlog

from tailwatch.backup import runs
from tailwatch.db.session import get_engine
from tailwatch.errors import TailwatchError
from tailwatch.queue import DAILY_BACKUP, celery_app
from tailwatch.settings import get_settings

#: For a dump, rather than for a computation.
_SOFT_SECONDS: Final = 4 * 3600

log = structlog.get_logger(__name__)


@celery_app.task(name=DAILY_BACKUP, soft_time_limit=_SOFT_SECONDS, time_limit=_SOFT_SECONDS + 60)  # type: ignore[untyped-decorator]
def daily_backup() -> None:
    """Make the backup that is due; one that fails is tried again by a later message."""
    started = time.monotonic()
    try:
        made = runs.make_if_due(get_engine(), get_settings(), datetime.now(UTC))
    except TailwatchError as error:
        log.error("backup failed; trying again later", reason=str(error))  # noqa: TRY400 - the sentence says it all
        return
    if made is not None:
        seconds = round(time.monotonic() - started, 1)
        log.info("backup made", file=str(made), bytes=made.stat().st_size, seconds=seconds)
