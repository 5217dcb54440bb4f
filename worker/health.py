"""Shows that this worker works: a message of its own, through the broker and the pool and back, every few seconds.

A worker can go silent without dying (after a lost broker connection, for instance: celery #8030). So each one listens
on a queue of its own as well, sends itself a probe there, and touches a file when the probe has been run; the
container's health check reads the file's age. A worker whose probes do not come back although the broker takes them
ends itself, to be started anew by whatever keeps it running. The row is the job, so nothing is lost by that.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, Final

import structlog
from celery import Celery
from celery.signals import celeryd_after_setup, worker_ready
from celery.worker import state
from kombu.exceptions import KombuError

from tailwatch.queue import ANSWER_PROBE, celery_app
from tailwatch.settings import get_settings

PROBE_SECONDS: Final = 10.0
#: Without an answer for this long, and without a task under way that explains it, the worker ends itself.
SILENT_SECONDS: Final = 240.0

log = structlog.get_logger(__name__)


def probe_file() -> Path | None:
    """Return the file whose age says when this worker last answered; None: nobody looks."""
    folder = get_settings().health_dir
    return None if folder is None else folder / "worker"


@celery_app.task(name=ANSWER_PROBE)  # type: ignore[untyped-decorator]
def answer_probe() -> None:
    """Touch the file: a message went all the way through this worker."""
    file = probe_file()
    if file is not None:
        file.touch()


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _listen_on_own_queue(sender: str, instance: Any, **_: Any) -> None:
    if probe_file() is not None:
        instance.app.amqp.queues.select_add(own_queue(sender))


@worker_ready.connect  # type: ignore[untyped-decorator]
def _start(sender: Any, **_: Any) -> None:
    file = probe_file()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        threading.Thread(
            target=_watch, args=(sender.app, own_queue(sender.hostname), file), name="health", daemon=True
        ).start()


def own_queue(node: str) -> str:
    """Return the queue that only the worker `node` consumes."""
    return f"probe.{node}"


def _watch(app: Celery, queue: str, file: Path) -> None:
    silence = Silence(time.monotonic())
    while True:
        sent = _send(app, queue)
        time.sleep(PROBE_SECONDS)
        if state.active_requests:
            # A task is under way. It has a time limit of its own, so this does not go on for ever.
            file.touch()
        answered = file.stat().st_mtime if file.exists() else None
        if silence.too_long(time.monotonic(), answered=answered, broker_answers=sent):
            log.error("this worker has gone silent; ending it to be started anew", seconds=SILENT_SECONDS)
            # The main thread may be what is stuck: no clean way out can be relied on.
            os._exit(1)


def _send(app: Celery, queue: str) -> bool:
    try:
        # One that is not taken before the next is sent says nothing any more, and must not pile up.
        app.send_task(ANSWER_PROBE, queue=queue, expires=PROBE_SECONDS)
    except (KombuError, OSError):
        return False
    return True


class Silence:
    """How long a worker has not answered while it could have."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._last_answer: float | None = None

    def too_long(self, now: float, *, answered: float | None, broker_answers: bool) -> bool:
        """Say whether it is time to end the worker.

        Args:
            now: seconds on a clock that only goes forward.
            answered: when the last answer came, on any clock; None: never.
            broker_answers: whether the broker took the last probe; while it is away nobody can answer.
        """
        if answered != self._last_answer or not broker_answers:
            self._last_answer = answered
            self._since = now
        return now - self._since > SILENT_SECONDS
