"""LISTEN → Celery: turns what is behind in the database into wake-up messages.

The one-second timeout of the wait doubles as the sweep, so a notification that got lost costs a second.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import psycopg2
import structlog
from celery import Celery
from celery.result import AsyncResult
from kombu.exceptions import KombuError
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from scheduler.pulse import Pulse
from tailwatch import metrics, refresh
from tailwatch.backtests import jobs
from tailwatch.queue import FETCH_PRICES, INTERACTIVE, NIGHTLY, PRICES, REFRESH_RISK, RUN_BACKTEST

SWEEP_SECONDS: Final = 1.0
#: Portfolios that one message names, some seconds of work. A background process that has done it is replaced for its
#: memory, and the next one reads all price histories again: the more portfolios share that, the better.
NIGHTLY_CHUNK: Final = 1000
#: Instruments that one message names. A portfolio that somebody waits for has a message of its own.
FETCH_CHUNK: Final = 50

log = structlog.get_logger(__name__)


def run(engine: Engine, celery: Celery, stop: threading.Event, pulse: Pulse) -> None:
    """Dispatch until `stop` is set, through every restart of PostgreSQL and the broker."""
    last_error = ""
    while not stop.is_set():
        try:
            for _ in wake_ups(engine, stop):
                pulse.beat("dispatcher")
                metrics.SWEEPS.inc()
                while dispatch(engine, celery, datetime.now(UTC)):
                    pass
                last_error = ""
        except (DBAPIError, psycopg2.Error, KombuError, OSError) as error:
            # Nothing was marked as queued (the transaction rolled back), so the next sweep finds all of it again.
            pulse.beat("dispatcher")
            metrics.DISPATCH_FAILURES.inc()
            if str(error) != last_error:
                log.warning("cannot dispatch; trying again every second", error=str(error))
                last_error = str(error)
            stop.wait(SWEEP_SECONDS)


def wake_ups(engine: Engine, stop: threading.Event) -> Iterator[None]:
    """Yield whenever something may be behind: once at the start, on NOTIFY, and every second."""
    pooled = engine.raw_connection()
    try:
        connection = pooled.driver_connection
        assert connection is not None  # noqa: S101 - for the type checker
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {refresh.NOTIFY_CHANNEL}")
        while not stop.is_set():
            yield
            if not connection.notifies:
                select.select([connection], [], [], SWEEP_SECONDS)
            connection.poll()
            connection.notifies.clear()
    finally:
        # It LISTENs and may be broken: not for the next user of the pool.
        pooled.invalidate()
        pooled.close()


def dispatch(engine: Engine, celery: Celery, now: datetime) -> bool:
    """Publish one sweep's wake-up calls; return whether there may be more at once.

    The messages leave before the marks are committed: one without the other is a repeat that finds nothing to do.
    """
    with engine.begin() as connection:
        # Somebody looks at the page and waits: they come before everything else is even asked for.
        interactive = refresh.sweep_interactive(connection, now)
        for portfolio_id, request_id in interactive.items():
            sent = _send(celery, REFRESH_RISK, INTERACTIVE, [portfolio_id], request_id=request_id)
            log.debug("computation sent", portfolio_id=portfolio_id, request_id=request_id, task_id=sent.id)
        # Losing these marks in a crash only wakes somebody twice, so their commit need not wait for the disk.
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        if nightly := refresh.sweep_nightly(connection, now):
            run_id = refresh.newest_run(connection)
            _publish(celery, REFRESH_RISK, NIGHTLY, nightly, NIGHTLY_CHUNK, run_id=run_id)
        _publish(celery, FETCH_PRICES, PRICES, refresh.sweep_fetches(connection, now), FETCH_CHUNK)
        _publish(celery, RUN_BACKTEST, NIGHTLY, jobs.sweep(connection, now), 1)
    return len(interactive) >= refresh.INTERACTIVE_BATCH


def _publish(celery: Celery, task: str, queue: str, ids: Sequence[int], chunk: int, **headers: str | None) -> None:
    for start in range(0, len(ids), chunk):
        some = list(ids[start : start + chunk])
        sent = _send(celery, task, queue, some, **headers)
        log.info("batch sent", task=task, queue=queue, count=len(some), task_id=sent.id, **headers)


def _send(celery: Celery, task: str, queue: str, ids: list[int], **headers: str | None) -> AsyncResult:
    # `sent_at`: how long it waited is measured where it arrives.
    sent = celery.send_task(task, args=(ids,), queue=queue, headers={"sent_at": time.time(), **headers})
    metrics.DISPATCHED.inc(queue)
    return sent
