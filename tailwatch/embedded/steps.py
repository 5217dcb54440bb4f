"""What the launcher prints while it works: a line a step with its time, whatever runs beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.text import Text


class Steps:
    """Prints steps as they end; in a terminal, what is under way shows in a last line that goes away."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: dict[str, float] = {}
        self._status = console.status("")
        self.begun = time.monotonic()

    def shown(self) -> AbstractContextManager[object]:
        """Show what is under way for the block."""
        return self._status

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the block and print its line when it ends well."""
        begun = time.monotonic()
        with self._lock:
            self._running[name] = begun
            self._update()
        ended_well = False
        try:
            yield
            ended_well = True
        finally:
            with self._lock:
                del self._running[name]
                self._update()
            if ended_well:
                self.say(f"✓ {name}  {time.monotonic() - begun:.1f} s")

    def say(self, sentence: str) -> None:
        """Print a line."""
        self._console.print(Text("  " + sentence), soft_wrap=True)

    def _update(self) -> None:
        self._status.update(Text(" · ".join(self._running) + " …"))
