"""`celery -A worker.app worker`: the shared Celery object with every task on it."""

from __future__ import annotations

from typing import Any

from celery.signals import setup_logging, worker_process_init

from tailwatch import logs
from tailwatch.db.session import get_engine
from tailwatch.queue import celery_app as app
from worker.tasks import prices, risk, upkeep

__all__ = ["app", "prices", "risk", "upkeep"]


@setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    logs.configure("worker")


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _own_connections(**_: Any) -> None:
    # Connections opened before the fork belong to the parent: this child forgets them without closing them.
    get_engine().dispose(close=False)
