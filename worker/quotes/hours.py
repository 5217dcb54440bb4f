"""Which markets are open just now; loads pandas, so it is imported when somebody looks at a price."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from functools import lru_cache

import exchange_calendars  # type: ignore[import-untyped, unused-ignore]
from exchange_calendars import ExchangeCalendar  # type: ignore[import-untyped, unused-ignore]
from exchange_calendars.errors import CalendarError  # type: ignore[import-untyped, unused-ignore]

#: A calendar of a few days is made at once, one of decades is not.
_AROUND = timedelta(days=10)


def open_now(names: Collection[str], at: datetime) -> dict[str, bool]:
    """Say of each calendar that is known whether its market is open at `at`, lunch breaks included."""
    found = {}
    for name in names:
        calendar = _calendar(name, at.date())
        if calendar is not None:
            minute = at.replace(second=0, microsecond=0)
            found[name] = bool(calendar.is_open_on_minute(minute, ignore_breaks=True))
    return found


@lru_cache(maxsize=64)
def _calendar(name: str, day: date) -> ExchangeCalendar | None:
    try:
        return exchange_calendars.get_calendar(
            name, start=(day - _AROUND).isoformat(), end=(day + _AROUND).isoformat()
        )
    except CalendarError:
        return None
