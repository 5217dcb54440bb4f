"""`python -m scheduler`: the dispatcher and beat in one process; if either ends, the process ends."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

import structlog
from celery.beat import Service

from scheduler import dispatcher
from scheduler.pulse import Pulse, beat_scheduler
from scheduler.schedule import TIMETABLE
from tailwatch import logs, metrics
from tailwatch.db.schema import refuse_newer_at_start
from tailwatch.db.session import get_engine
from tailwatch.errors import NewerSchemaError
from tailwatch.queue import celery_app
from tailwatch.settings import get_settings

log = structlog.get_logger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    logs.configure("scheduler")
    metrics.start("scheduler")
    try:
        refuse_newer_at_start()
    except NewerSchemaError as error:
        log.critical(str(error))
        return 1
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)

    pulse = Pulse(get_settings().health_dir)
    celery_app.conf.beat_schedule = TIMETABLE
    # Beat keeps no file: what must not be missed is asked for every few minutes and decided in the database.
    beat = Service(celery_app, scheduler_cls=beat_scheduler(pulse), max_interval=5)
    workers = [
        threading.Thread(target=beat.start, name="beat", daemon=True),
        threading.Thread(
            target=dispatcher.run, args=(get_engine(), celery_app, stop, pulse), name="dispatcher", daemon=True
        ),
    ]
    for worker in workers:
        worker.start()
    log.info("scheduler started")
    while not stop.wait(1.0):
        dead = [worker.name for worker in workers if not worker.is_alive()] or pulse.stuck()
        if dead:
            log.error("a part of the scheduler ended or is stuck; ending all of it to be started anew", part=dead)
            return 1
    workers[1].join(timeout=5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
