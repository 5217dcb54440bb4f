"""A day's variance from its open, high, low and close: five times as telling as the squared return alone.

The night and the day are taken apart: the squared move from one close to the next open, and what the day's range says
of its variance (Parkinson 1980). A range of discrete prices is biased, and so are bad highs and lows; so the measure
is scaled to the squared returns of the days before, and what is forecast stays the variance of the return.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.averages import SEED_DAYS, exponential_averages

#: Centre of mass, in days, of the averages that the measure is scaled by.
SCALE_SPAN: Final = 750
#: 1/(4 ln 2): Parkinson's factor of the squared log range.
_PARKINSON: Final = 1 / (4 * math.log(2))
#: The scale stays within these: beyond, open, high and low are on another basis than the close.
_SMALLEST_SCALE: Final = 0.2
_LARGEST_SCALE: Final = 5.0


def range_variances(opens: Vector, highs: Vector, lows: Vector, closes: Vector, adjusted: Vector) -> Vector:
    """Return (n,) the variance of each day as its prices show it; NaN where they do not, such as on the first day.

    The night's move is that of the adjusted closes less the day's own: a dividend is no move, nor is a split.

    Args:
        opens: (n,) on the basis of `closes`; NaN where not known.
        highs: Likewise.
        lows: Likewise.
        closes: (n,) positive.
        adjusted: (n,) closes adjusted for splits and dividends, positive.
    """
    found = np.full(closes.size, np.nan)
    # Comparisons are false for NaN.
    whole = (lows > 0) & (lows <= np.minimum(opens, closes)) & (highs >= np.maximum(opens, closes))
    whole[:1] = False
    days = np.flatnonzero(whole)
    day = np.log(closes[days] / opens[days])
    night = np.log(adjusted[days] / adjusted[days - 1]) - day
    found[days] = night**2 + _PARKINSON * np.log(highs[days] / lows[days]) ** 2
    return found


def measures(returns: Matrix, ranges: Matrix) -> Matrix:
    """Return (T, M) what stands for r² in the averages of the volatility model.

    Where the day's range is known it is `ranges` times the mean of r² over that of the ranges, of the days before
    that day only; else r².

    Args:
        returns: (T, M) simple daily returns, newest last.
        ranges: (T, M) of `range_variances`; NaN where not known.
    """
    squares = returns * returns
    known = np.isfinite(ranges)
    if not known.any():
        return squares
    ranged = np.where(known, ranges, squares)
    before = exponential_averages(squares, SCALE_SPAN, SEED_DAYS)[:-1]
    expected = exponential_averages(ranged, SCALE_SPAN, SEED_DAYS)[:-1]
    scale = np.divide(before, expected, out=np.ones_like(before), where=expected > 0)
    found: Matrix = np.where(known, ranged * np.clip(scale, _SMALLEST_SCALE, _LARGEST_SCALE), squares)
    return found
