"""What a whole history must agree with before it is taken: splits with prices, and its currency with its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, text

from tailwatch.db.models import Instrument
from tailwatch.errors import OtherCurrencyError
from tailwatch.market import remarks, short
from tailwatch.market.sources import PriceHistory, is_same_price

#: How long after its day a split may wait for prices that are adjusted for it.
ADJUSTED_WITHIN: Final = timedelta(days=14)
#: Nearer to one a split cannot be told from a day's move.
_CLEAR_RATIO: Final = 1.25
#: Stored sessions that are compared, and the fewest that say anything.
_COMPARED: Final = 30
_FEWEST: Final = 3

_STORED = text(
    "SELECT day, close FROM prices WHERE instrument_id = :id AND source = :source ORDER BY day DESC LIMIT :most"
)
_SPLIT_DAYS = text("SELECT day FROM splits WHERE instrument_id = :id")


def settle(connection: Connection, instrument: Instrument, history: PriceHistory, now: datetime) -> PriceHistory:
    """Return a whole history as far as it agrees with itself and with what is stored; remark on what does not.

    A split that its prices are not adjusted for is left out with all bars from its day on: older prices are those of
    old shares, and so is the quantity then.

    Raises:
        OtherCurrencyError: the stored numbers in another currency. Taken after all if the source stays with it for
            days, or a person says so.
    """
    values = {"id": instrument.id, "source": history.source, "most": _COMPARED}
    stored = {row.day: row.close for row in connection.execute(_STORED, values)}
    told = {bar.day: bar.close for bar in history.bars}
    same = {day: is_same_price(close, told[day]) for day, close in stored.items() if day in told}
    _check_currency(instrument, history, same, now)
    known = set(connection.scalars(_SPLIT_DAYS, {"id": instrument.id}))
    remarks.put(instrument, remarks.SPLIT, ())
    for day, ratio in history.splits or ():
        if day not in known and _is_unadjusted(history, day, ratio, same):
            remarks.put(instrument, remarks.SPLIT, [remarks.on(day, _announced(history, day, ratio))])
            return replace(
                history,
                bars=[bar for bar in history.bars if bar.day < day],
                splits=[split for split in history.splits or () if split[0] < day],
                blank=(),
            )
    return history


def _check_currency(instrument: Instrument, history: PriceHistory, same: Mapping[date, bool], now: datetime) -> None:
    before = instrument.currency
    if before in {None, history.currency} or len(same) < _FEWEST or not all(same.values()):
        return
    said = remarks.find(instrument, remarks.CURRENCY)
    if said is None or said["currency"] != history.currency:
        taken = now.date() + short.MEANT_AFTER
        message = (
            f"The source {history.source} names {history.currency} for the numbers that were {before}. If it still "
            f"does on {taken}, that is taken."
        )
        one = remarks.on(now.date(), message, currency=history.currency)
        remarks.put(instrument, remarks.CURRENCY, [one])
    elif now.date() - date.fromisoformat(said["day"]) >= short.MEANT_AFTER:
        return
    if not short.is_accepted(instrument):
        raise OtherCurrencyError(
            f"The source {history.source} gives the prices of {history.ticker} in {history.currency} instead of "
            f"{before}, with the same numbers: nothing was taken."
        )


def _is_unadjusted(history: PriceHistory, day: date, ratio: Decimal, same: Mapping[date, bool]) -> bool:
    """Say whether the bars before a split are still those of old shares."""
    last = history.bars[-1].day
    before = [bar for bar in history.bars if bar.day < day]
    if not before or day < last - ADJUSTED_WITHIN:
        return False
    if day > last:
        compared = [is_same for on, is_same in same.items() if on < day]
        return len(compared) >= _FEWEST and all(compared)
    if 1 / _CLEAR_RATIO < ratio < _CLEAR_RATIO:
        return False
    after = history.bars[len(before)]
    jump, split = math.log(after.close / before[-1].close), -math.log(ratio)
    return abs(jump - split) < abs(jump)


def _announced(history: PriceHistory, day: date, ratio: Decimal) -> str:
    return (
        f"The source {history.source} tells of a {ratio.normalize():f}-for-1 split on {day}, and its prices before "
        "that are not adjusted for it yet: until they are, prices and quantities are those of the day before."
    )
