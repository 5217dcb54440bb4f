"""A price as it is traded, whatever stream it comes from, and what may be made of it.

A tick is never stored and never becomes a close. It is held against the last stored close of its instrument, as new
closes are by the gate of the price store: what does not fit is shown, with the reason, and nothing is valued by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from tailwatch.book.currencies import major

Session = Literal["pre", "regular", "post", "extended"]
#: What is made of a tick. live: it values. The next three are shown, but do not. The others are not even shown.
Verdict = Literal["live", "suspicious", "not_regular", "old_close", "older", "wrong_currency"]

#: A tick that is further than this from the last stored close waits for a close that confirms it.
LARGEST_MOVE: Final = Decimal("0.25")
#: Age of a close, in calendar days, after which nothing can be told from a move since.
OLDEST_CLOSE: Final = timedelta(days=7)

_SESSIONS: Final = {
    "pre": "before the market opens",
    "post": "after the market has closed",
    "extended": "outside market hours",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """One price.

    Attributes:
        ticker: Of the instrument.
        price: In `currency`.
        currency: As the source names it (GBp for pence); None: the source did not say.
        at: When it was traded, UTC.
        session: In which part of the trading day that was.
    """

    ticker: str
    price: Decimal
    currency: str | None
    at: datetime
    session: Session


@dataclass(frozen=True, slots=True)
class Close:
    """The last stored close of an instrument: what its ticks are held against."""

    price: Decimal
    currency: str | None
    day: date


def judge(tick: Tick, close: Close) -> tuple[Verdict, str | None]:
    """Return what may be made of a tick, and why no more; without a reason it values."""
    # Pence go by more than one name.
    if tick.currency is not None and close.currency is not None and major(tick.currency) != major(close.currency):
        return "wrong_currency", f"The price came in {tick.currency}; {tick.ticker} is priced in {close.currency}."
    age = tick.at.date() - close.day
    if age < timedelta(0):
        return "older", f"The price is older than the stored close of {close.day}."
    if age > OLDEST_CLOSE:
        return "old_close", f"The last stored close is of {close.day}: too old to tell today's move by."
    move = tick.price / close.price - 1
    if abs(move) > LARGEST_MOVE:
        return (
            "suspicious",
            f"The price is {move:+.0%} from the stored close of {close.day}; it counts once a close confirms it.",
        )
    if tick.session != "regular":
        return "not_regular", f"Traded {_SESSIONS[tick.session]}; only prices of regular hours count."
    return "live", None
