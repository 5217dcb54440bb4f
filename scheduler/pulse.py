"""When each part of the scheduler last went round: for the health check, and for ending a process that is stuck."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from celery.beat import Scheduler

from tailwatch import metrics

PARTS: Final = ("dispatcher", "beat")
#: A part that has not gone round for this long will not do so again: a connection to a host that vanished, say.
STUCK_SECONDS: Final = 300.0


class Pulse:
    """The last round of every part."""

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Count from now.

        Args:
            folder: where a file of each part's name is touched at every round; None: nowhere.
            clock: seconds, only ever forward.
        """
        self._folder = folder
        self._clock = clock
        self._last = dict.fromkeys(PARTS, clock())
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def beat(self, part: str) -> None:
        """Note that `part` is going round."""
        self._last[part] = self._clock()
        metrics.TICKS.set(time.time(), part)
        if self._folder is not None:
            (self._folder / part).touch()

    def stuck(self) -> list[str]:
        """Return the parts that have stopped going round."""
        now = self._clock()
        return [part for part, last in self._last.items() if now - last > STUCK_SECONDS]


def beat_scheduler(pulse: Pulse) -> type[Scheduler]:
    """Return Celery's scheduler with `pulse` felt at every tick."""

    class Ticking(Scheduler):  # type: ignore[misc]
        def tick(self, *args: Any, **kwargs: Any) -> Any:
            pulse.beat("beat")
            return super().tick(*args, **kwargs)

    return Ticking
