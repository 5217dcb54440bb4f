"""`celery -A worker.app worker`: the shared Celery object with every task on it."""

from __future__ import annotations

import gc
from typing import Any

import structlog
from billiard import current_process
from celery.concurrency import get_implementation, solo
from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from tailwatch import logs, metrics
from tailwatch.db.schema import refuse_newer_at_start
from tailwatch.db.session import get_engine
from tailwatch.errors import NewerSchemaError
from tailwatch.queue import QUEUES
from tailwatch.queue import celery_app as app
from worker import health, journal, limits
from worker.tasks import backtest, backup, prices, risk, upkeep

__all__ = ["app", "backtest", "backup", "health", "prices", "risk", "upkeep"]

log = structlog.get_logger(__name__)

_service = "worker"


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    # As early as there is a place for it: Celery's first warnings are lines of the log, too.
    logs.configure("worker")
    journal.keep()


@setup_logging.connect  # type: ignore[untyped-decorator]
def _leave_logging_alone(**_: Any) -> None:
    """Somebody listens to this signal: so Celery does not set up logging itself."""


@worker_init.connect  # type: ignore[untyped-decorator]
def _prepare(sender: Any, **_: Any) -> None:
    try:
        refuse_newer_at_start()
    except NewerSchemaError as error:
        # Celery sets up logging only after this.
        logs.configure("worker")
        log.critical(str(error))
        raise SystemExit(1) from None
    global _service  # noqa: PLW0603 - known here, used by the children
    _service = sender.hostname.partition("@")[0]
    if get_implementation(sender.pool_cls) is solo.TaskPool:
        limits.enforce()
        metrics.start(_service)
    # What is loaded now is never garbage: left alone by the collector, its pages stay shared with every child.
    get_engine()
    gc.collect()
    gc.freeze()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _own_connections(**_: Any) -> None:
    # Connections opened before the fork belong to the parent: this child forgets them without closing them.
    get_engine().dispose(close=False)
    # A child takes the number of the one whose place it takes, and goes on from what that one counted.
    metrics.start(_service, f"process {current_process().index}")


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _publish_what_is_left(**_: Any) -> None:
    metrics.stop()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _say_so(sender: Any, **_: Any) -> None:
    # The first round trip at once, rather than when the timetable next asks for one: readiness waits for it.
    for queue in set(QUEUES) & set(sender.app.amqp.queues.consume_from):
        upkeep.probe.apply_async((queue,), queue=queue)
