"""Which night is due."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final

_SATURDAY: Final = 5


def business_day(now: datetime, at: time) -> date:
    """Return the newest weekday whose nightly refresh (at `at`, UTC) is due at `now` (UTC).

    A run missed while nothing was running is still the newest one due, so it is made late rather than not.
    """
    day = now.date() if now.time() >= at else now.date() - timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day -= timedelta(days=1)
    return day
