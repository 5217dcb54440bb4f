"""What is odd about a history that is believed: prices that stand still, and weeks without any."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise, takewhile
from typing import Any, Final

import numpy as np

from tailwatch.market import gate, remarks
from tailwatch.market.sources import Bar, PriceHistory, is_same_price

#: Sessions with the very same close after which a price may be one that nobody pays any more.
STILL: Final = 5
#: Weekdays without a price that are more than any holidays.
LONGEST_HOLIDAYS: Final = 7
#: Sessions that are looked at, and the most gaps that are named.
LOOK_BACK: Final = gate.LOOK_BACK
_MOST_GAPS: Final = 3


def stale_run(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """Return a remark if the newest closes are all the same, for at least five sessions."""
    newest = bars[-LOOK_BACK:]
    last = newest[-1]
    run = list(takewhile(lambda bar: is_same_price(bar.close, last.close), reversed(newest)))
    if len(run) < STILL:
        return []
    message = (
        f"The price has been {last.close.normalize():f} in every session since {run[-1].day}: is it still traded?"
    )
    return [remarks.on(run[-1].day, message)]


def gaps(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """Return a remark for each of the newest gaps that no holidays explain."""
    found = [
        remarks.on(
            before.day, f"No price between {before.day} and {bar.day}: {missing} weekdays. Older returns span that."
        )
        for before, bar in pairwise(bars[-LOOK_BACK:])
        if (missing := _weekdays_between(before, bar)) > LONGEST_HOLIDAYS
    ]
    return found[-_MOST_GAPS:]


def without_price(history: PriceHistory) -> list[dict[str, Any]]:
    """Return a remark if the source lists sessions after the newest bar and gives no price of them."""
    missing = history.missing
    if not missing:
        return []
    days = f"{missing[0]}" if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
    message = f"The source {history.source} gives no price of {days}; that of {history.bars[-1].day} stands in."
    return [remarks.on(missing[0], message)]


def is_plain(history: PriceHistory) -> bool:
    """Say whether there is nothing to remark on newer bars with those that they continue."""
    return not (history.missing or stale_run(history.bars) or gaps(history.bars))


def _weekdays_between(before: Bar, bar: Bar) -> int:
    if (bar.day - before.day).days <= LONGEST_HOLIDAYS:
        return 0
    return int(np.busday_count(before.day + timedelta(days=1), bar.day))
