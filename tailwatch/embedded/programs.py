"""The programs that make up a running Tailwatch, and the order in which they are stopped."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailwatch.embedded.environment import ROOT

PRODUCT_GROUP: Final = "product"


@dataclass(frozen=True, slots=True)
class Program:
    """A command that runs as long as the product does."""

    name: str
    #: What people call it.
    title: str
    command: tuple[str, ...]
    #: Asks it to end.
    stop: signal.Signals
    #: What it gets when its supervisor is gone and nobody is left to wait for it.
    orphaned: signal.Signals
    #: How long after `stop` it is killed.
    stop_seconds: int
    #: A program that ends sooner than this could not be started.
    start_seconds: int = 10
    directory: Path = ROOT
    #: User and group id to run as; None for those of the launcher.
    owner: tuple[int, int] | None = None
    #: Programs of one group are stopped at the same time by a supervisor that has lost its launcher.
    group: str | None = None

    @property
    def full_name(self) -> str:
        """What supervisord calls it."""
        return f"{self.group or self.name}:{self.name}"


def _worker(name: str, title: str, queues: str, *pool: str) -> Program:
    # -q: no banner, which is no line of a log.
    celery = (sys.executable, "-m", "celery", "-q", "-A", "worker.app", "worker")
    return Program(
        name=name,
        title=title,
        command=(
            *celery,
            *("-Q", queues, *pool, "-n", f"{name}@%h", "--without-mingle", "--without-gossip"),
        ),
        stop=signal.SIGTERM,
        # Celery's children follow their parent; what it was computing is still wanted, and computed again.
        orphaned=signal.SIGKILL,
        stop_seconds=12,
        group=PRODUCT_GROUP,
    )


WEB: Final = Program(
    name="web",
    title="web server",
    command=(sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_config", "api.wsgi:app"),
    stop=signal.SIGTERM,
    orphaned=signal.SIGQUIT,
    # Open pages hold their live connection until they are cut off; they reconnect by themselves.
    stop_seconds=4,
    group=PRODUCT_GROUP,
)
WORKERS: Final = (
    # It runs its tasks itself: no hop to a child, 50 MB less. worker/limits.py keeps its time limits.
    _worker("worker-interactive", "worker (interactive)", "interactive", "-P", "solo"),
    # One child, which is replaced once it carries what Yahoo's client needs.
    _worker("worker-background", "worker (background)", "nightly,prices", "-c", "1"),
)
SCHEDULER: Final = Program(
    name="scheduler",
    title="scheduler",
    command=(sys.executable, "-m", "scheduler"),
    stop=signal.SIGTERM,
    orphaned=signal.SIGKILL,
    stop_seconds=8,
    group=PRODUCT_GROUP,
)
QUOTES: Final = Program(
    name="quotes",
    title="live quotes",
    command=(sys.executable, "-m", "worker.quotes"),
    stop=signal.SIGTERM,
    orphaned=signal.SIGKILL,
    stop_seconds=5,
    group=PRODUCT_GROUP,
)
#: Started together; stopped in this order, each group at once: nothing is left running without what it talks to.
PRODUCT: Final[tuple[tuple[Program, ...], ...]] = ((SCHEDULER,), WORKERS, (WEB,))
#: As pydantic reads a yes, without the time that loading it takes.
_YES: Final = frozenset({"1", "true", "t", "yes", "y", "on"})


def product(environment: Mapping[str, str]) -> tuple[tuple[Program, ...], ...]:
    """Return `PRODUCT`, and before it the programs that `environment` (LIVE_QUOTES) switches on."""
    return ((QUOTES,), *PRODUCT) if environment.get("LIVE_QUOTES", "").lower() in _YES else PRODUCT
