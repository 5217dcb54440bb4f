"""When the pages of a portfolio get news: at once, but no more than so many times a second; the newest state wins."""

from __future__ import annotations

import math


class Pace:
    """Times are seconds on a clock that only goes forward."""

    def __init__(self, per_second: float, keepalive_seconds: float) -> None:
        """Begin without portfolios.

        Args:
            per_second: News of one portfolio at most.
            keepalive_seconds: After this long without news the same state is sent again, for pages that came later.
        """
        self._apart = 1 / per_second
        self._keepalive = keepalive_seconds
        self._sent: dict[int, float] = {}
        self._changed: set[int] = set()

    def touch(self, portfolio_id: int) -> None:
        """Note that there is something new to say of a portfolio; one that is not known becomes so."""
        self._sent.setdefault(portfolio_id, -math.inf)
        self._changed.add(portfolio_id)

    def forget(self, portfolio_id: int) -> None:
        """Say nothing of a portfolio any more."""
        self._sent.pop(portfolio_id, None)
        self._changed.discard(portfolio_id)

    def due(self, now: float) -> list[int]:
        """Return the portfolios of which something is to be said now, those first that have waited longest."""
        return sorted((each for each in self._sent if self._when(each) <= now), key=self._when)

    def sent(self, portfolio_id: int, now: float) -> None:
        """Note that everything that was new of a portfolio has been said."""
        self._sent[portfolio_id] = now
        self._changed.discard(portfolio_id)

    def next(self) -> float:
        """Return when the next one is due; infinity without any."""
        return min(map(self._when, self._sent), default=math.inf)

    def _when(self, portfolio_id: int) -> float:
        return self._sent[portfolio_id] + (self._apart if portfolio_id in self._changed else self._keepalive)
