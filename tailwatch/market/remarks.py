"""What is odd about the prices of an instrument: a few sentences in its row, each with a code.

Those that a figure could rest on are warnings of every snapshot that the instrument is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from tailwatch.db.models import Instrument

#: A bar waits for a decision.
HELD: Final = "held_price"
#: A split that the source's prices are not adjusted for.
SPLIT: Final = "split_announced"
#: The newest session has no price.
NO_PRICE: Final = "no_price"
#: The newest prices are all the same.
STALE: Final = "stale_run"
#: Weeks without a price among the sessions that risk looks at.
GAP: Final = "gap"
#: The source names another currency for the same numbers.
CURRENCY: Final = "other_currency"
#: The source gives far fewer sessions than are stored.
SHORT: Final = "short_answer"

_WARNINGS: Final[Mapping[str, str]] = {
    HELD: "A price of {} is held back and counts for nothing: {}",
    SPLIT: "{}: {}",
    NO_PRICE: "{}: {}",
    STALE: "{}: {}",
}


def put(instrument: Instrument, code: str, said: Iterable[Mapping[str, Any]]) -> None:
    """Make these the remarks of a kind; none takes them away."""
    others = [remark for remark in instrument.remarks if remark["code"] != code]
    wanted = [*others, *({"code": code, **one} for one in said)]
    if sorted(map(str, wanted)) != sorted(map(str, instrument.remarks)):
        instrument.remarks = wanted


def find(instrument: Instrument, code: str) -> dict[str, Any] | None:
    """Return the first remark of a kind."""
    return next((remark for remark in instrument.remarks if remark["code"] == code), None)


def warned(said: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return code and message of those that snapshots warn of."""
    return [(one["code"], one["message"]) for one in said if one["code"] in _WARNINGS]


def warning(ticker: str, code: str, message: str) -> str:
    """Return the sentence for a snapshot."""
    return _WARNINGS[code].format(ticker, message)


def on(day: date, message: str, **more: Any) -> dict[str, Any]:
    """Return a remark without its code."""
    return {"message": message, "day": day.isoformat(), **more}
