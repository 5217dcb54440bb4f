"""Time limits for a worker that runs its tasks itself (`-P solo`); Celery enforces its own with child processes only.

Soft: the task gets `SoftTimeLimitExceeded` and records its failure. Hard: code that does not come back to Python is
beyond an exception, so the process says where it hangs and ends; it is started anew, and the sweep repeats the work.
"""

from __future__ import annotations

import faulthandler
import signal
from types import FrameType
from typing import Any

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_postrun, task_prerun


def enforce() -> None:
    """Hold every task that this process runs from now on to its limits."""
    signal.signal(signal.SIGALRM, _exceeded)
    # Celery keeps weak references to receivers; these are functions of a module, which stays.
    task_prerun.connect(_start)
    task_postrun.connect(_stop)


def _start(task: Task, **_: Any) -> None:
    configured = task.app.conf
    signal.setitimer(signal.ITIMER_REAL, task.soft_time_limit or configured.task_soft_time_limit)
    faulthandler.dump_traceback_later(task.time_limit or configured.task_time_limit, exit=True)


def _stop(**_: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    faulthandler.cancel_dump_traceback_later()


def _exceeded(_signal: int, _frame: FrameType | None) -> None:
    raise SoftTimeLimitExceeded
