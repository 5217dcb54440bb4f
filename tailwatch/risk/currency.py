"""Prices in another currency: `(1 + r_local)(1 + r_fx) − 1` is the return of the price times the rate."""

from __future__ import annotations

from typing import Final

import numpy as np

from tailwatch.risk.types import PriceSeries

#: Calendar days that a rate is carried over: five sessions. Exchanges and banks have different holidays.
RATE_CARRY_DAYS: Final = 7


def in_currency(prices: PriceSeries, rates: PriceSeries) -> PriceSeries:
    """Return the prices in the currency of `rates`; days without a rate of that day or the week before are left out.

    Args:
        prices: In some currency.
        rates: Units of the other currency for one unit of it. A rate quoted for 100 units does as well: returns do
            not see a factor.
    """
    places = np.searchsorted(rates.dates, prices.dates, side="right") - 1
    known = places >= 0
    places = np.maximum(places, 0)
    if rates.dates.size:
        known &= (prices.dates - rates.dates[places]).astype(np.int64) <= RATE_CARRY_DAYS
    else:
        return PriceSeries(prices.ticker, prices.dates[:0], prices.closes[:0])
    # What the day's range was in the other currency nobody knows.
    return PriceSeries(prices.ticker, prices.dates[known], prices.closes[known] * rates.closes[places[known]])


def of_cash(ticker: str, rates: PriceSeries) -> PriceSeries:
    """Return the value of one unit of foreign cash: the rate itself, under the ticker of the position."""
    return PriceSeries(ticker, rates.dates, rates.closes)
