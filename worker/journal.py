"""Binds what a task is about to every line it logs, and writes one line when it ends.

Celery's own two lines a task say less and name no request, so they are left out. An exception that a task did not
expect is logged by Celery, once, with its traceback.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any, Final

import celery.apps.worker
import structlog
from celery import Task
from celery.signals import task_postrun, task_prerun

from tailwatch import logs, metrics
from tailwatch.queue import ANSWER_PROBE, PROBE, REFRESH_RISK

#: Of no interest while they go well: probes come every few seconds, and what a computation has to say is said when
#: its snapshot is stored. A line costs a tenth of a millisecond, which a page would wait for.
_QUIET: Final = frozenset({PROBE, ANSWER_PROBE, REFRESH_RISK})

log = structlog.get_logger(__name__)


def keep() -> None:
    """Keep the journal of every task that this process runs from now on."""
    # Celery keeps weak references to receivers; these are functions of a module, which stays.
    task_prerun.connect(_begin)
    task_postrun.connect(_end)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_without_copies)
    # Printed otherwise, past all logging.
    celery.apps.worker.safe_say = _say


def _without_copies(record: logging.LogRecord) -> bool:
    # Arguments, ids and the whole traceback once more, as text.
    record.__dict__.pop("data", None)
    return True


def _say(message: str, _file: Any = None) -> None:
    # Called by signal handlers, in the midst of whatever goes on: `logging` could be holding its lock.
    os.write(sys.stderr.fileno(), f"{logs.line('celery', message.strip())}\n".encode())


def _begin(task_id: str, task: Task, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)
    headers = task.request.headers or {}
    # What a person changed has the one; batches of a night's prices have the other.
    named = {name: headers[name] for name in ("request_id", "run_id") if headers.get(name) is not None}
    structlog.contextvars.bind_contextvars(**named)
    task.request.begun = time.perf_counter()
    sent_at = headers.get("sent_at")
    if sent_at is not None:
        # Clocks of two hosts may differ by a little.
        queue = (task.request.delivery_info or {}).get("routing_key") or "(none)"
        metrics.QUEUE_WAIT.observe(max(0.0, time.time() - sent_at), queue)


def _end(task: Task, state: str | None = None, **_: Any) -> None:
    begun = task.request.get("begun")
    seconds = 0.0 if begun is None else time.perf_counter() - begun
    metrics.TASKS.inc(task.name, (state or "unknown").lower())
    metrics.TASK_SECONDS.observe(seconds, task.name)
    write = log.debug if task.name in _QUIET and state == "SUCCESS" else log.info
    write("task ended", outcome=state, ms=round(1e3 * seconds, 1))
    structlog.contextvars.clear_contextvars()
