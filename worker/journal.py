"""Binds what a task is about to every line it logs, and writes one line when it ends.

Celery's own two lines a task say less and name no request, so they are left out. An exception that a task did not
expect is logged by Celery, once, with its traceback.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import structlog
from celery import Task
from celery.signals import task_postrun, task_prerun

from tailwatch.queue import ANSWER_PROBE, PROBE

#: Sent every few seconds to see whether anybody is there: of interest to nobody who reads logs.
_PROBES: Final = frozenset({PROBE, ANSWER_PROBE})

log = structlog.get_logger(__name__)


def keep() -> None:
    """Keep the journal of every task that this process runs from now on."""
    # Celery keeps weak references to receivers; these are functions of a module, which stays.
    task_prerun.connect(_begin)
    task_postrun.connect(_end)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _begin(task_id: str, task: Task, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)
    request_id = (task.request.headers or {}).get("request_id") or task.request.get("request_id")
    if request_id is not None:
        structlog.contextvars.bind_contextvars(request_id=request_id)
    task.request.begun = time.perf_counter()


def _end(task: Task, state: str | None = None, **_: Any) -> None:
    begun = task.request.get("begun")
    took = None if begun is None else round(1e3 * (time.perf_counter() - begun), 1)
    write = log.debug if task.name in _PROBES and state == "SUCCESS" else log.info
    write("task ended", outcome=state, ms=took)
    structlog.contextvars.clear_contextvars()
