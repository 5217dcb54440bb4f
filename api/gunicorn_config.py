"""How gunicorn runs the web server: `python -m gunicorn -c python:api.gunicorn_config api.wsgi:app`.

Every setting stands beside its reason. WEB_CONCURRENCY sets the number of processes.
"""

from __future__ import annotations

# First of all: whatever is imported below must get the cooperative versions of sockets, locks and time.
from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - imports after patching
import atexit
import gc
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from gevent.hub import Hub
from gunicorn.glogging import Logger

from tailwatch import logs
from tailwatch.db.schema import refuse_newer_at_start
from tailwatch.errors import NewerSchemaError
from tailwatch.settings import settings_or_exit

_settings = settings_or_exit()

bind = [f"{_settings.tailwatch_host}:{_settings.tailwatch_port}"]
if _settings.tailwatch_socket is not None:
    bind.append(f"unix:{_settings.tailwatch_socket}")

# One greenlet a connection: a thousand open pages cost memory, not threads. Requests of a process share its
# connection pool, and psycopg2 yields to others while it waits (post_fork).
worker_class = "gevent"
worker_connections = 1000

# Two keep serving while one is replaced, and use two cores; more only where there are more.
workers = _settings.web_concurrency

# Above nginx's default of 75 s between two requests on one upstream connection would be ideal, but idle
# connections hold greenlets: half a minute outlives a page's polling interval.
keepalive = 30

# A stopping worker lets requests finish: ours take milliseconds. gunicorn also counts idle keep-alive connections and
# open pages as unfinished, so a longer time only makes Ctrl-C and deployments slow; pages reconnect by themselves.
graceful_timeout = 2

# A greenlet worker that does not turn its loop for this long is stuck in C code and is replaced.
timeout = 60

# The heartbeat file: on memory where there is such a place, or a slow disk looks like a stuck worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

# Request lines and headers: cursors are short; nothing of ours comes near.
limit_request_line = 8190
limit_request_fields = 64

# A line for each request is for proxies to write; ours are metrics.
accesslog = None


class _Logger(Logger):  # type: ignore[misc]
    """gunicorn's messages, through tailwatch.logs like everybody else's."""

    def setup(self, cfg: Any) -> None:
        """Take away gunicorn's own output."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


logs.configure("web")


def _log_lost(_hub: Any, context: Any, kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    logs.log_uncaught(kind, error, traceback, where=repr(context))


# What a greenlet ends with is printed otherwise, past all logging.
Hub.print_exception = _log_lost
logger_class = _Logger
loglevel = _settings.log_level.lower()

# Loaded once, before the fork: the workers share its memory (100 MB a process otherwise) and start at once. Nothing
# connects to anything while it is loaded; every connection is made at its first use, in the worker.
preload_app = True

# gunicorn 27's control socket: nothing here uses it, and two servers on one machine would share its path.
control_socket_disable = True


def _metrics_folder() -> str:
    """Make the folder where all processes of this server keep their counts, and empty it.

    The files of processes that are gone would go on counting.
    """
    folder = _settings.prometheus_multiproc_dir
    # An empty variable reads as the current folder, where nothing must be deleted.
    if folder is None or folder == Path():
        made = tempfile.mkdtemp(prefix="tailwatch-metrics-")
        atexit.register(_remove, made, os.getpid())
        return made
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink(missing_ok=True)
    return str(folder)


def _remove(folder: str, owner: int) -> None:
    # Workers inherit the registration with the fork; the folder is the parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


# prometheus_client looks at this when it is first imported, so it is not imported above.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics_folder()


def on_starting(_server: Any) -> None:
    """Refuse a database that only a newer version can read."""
    try:
        refuse_newer_at_start()
    except NewerSchemaError as error:
        logging.getLogger(__name__).critical(str(error))
        raise SystemExit(1) from None


def when_ready(_server: Any) -> None:
    """Get ready to fork."""
    # flask-limiter's in-memory store starts a short timer when it is made: over before the fork, or every worker
    # would inherit it half-way through.
    time.sleep(0.1)
    # From here on the garbage collector leaves alone, and so does not copy, what the workers are about to share.
    gc.collect()
    gc.freeze()


def post_fork(_server: Any, _worker: Any) -> None:
    """Make psycopg2 wait cooperatively in this worker."""
    from api.cooperative_postgres import install  # noqa: PLC0415 - after the fork

    install()


def post_worker_init(_worker: Any) -> None:
    """Deliver live messages in this worker, now that the application is loaded."""
    from api import live  # noqa: PLC0415 - after the fork

    live.start()


def child_exit(_server: Any, worker: Any) -> None:
    """Take a dead worker's gauges out of the sums."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - see above

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
