"""Splits: a quantity booked before a split counts for what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

from tailwatch.book.exact import PRECISION, to_stored_places

#: Splits are agreed in whole numbers; the largest ones in use stay below this on both sides.
_LARGEST_TERM: Final = 10_000
#: A ratio that was cut to ten decimal places is no further than this from the true one.
_CUT: Final = Fraction(1, 10**10)


@dataclass(frozen=True, slots=True)
class SplitEvent:
    """From `day` on, one old share is `ratio` new ones: 4 for a 4:1 split, 0.1 for a 1:10 reverse split."""

    day: date
    ratio: Decimal


def split_factor(day: date, splits: Iterable[SplitEvent]) -> Fraction:
    """Return how many of today's shares one share traded on `day` has become.

    A trade on the day of the split is a trade in new shares.
    """
    factor = Fraction(1)
    for split in splits:
        if split.day > day:
            factor *= _whole_numbers(split.ratio)
    return factor


def split_adjusted(quantity: Decimal, day: date, splits: Iterable[SplitEvent]) -> Decimal:
    """Return `quantity` of `day` in today's shares, to ten decimal places."""
    return scaled(quantity, split_factor(day, splits))


def scaled(quantity: Decimal, factor: Fraction) -> Decimal:
    """Return `quantity` times a split factor, to ten decimal places."""
    if factor == 1:
        return quantity
    with localcontext(prec=PRECISION):
        return to_stored_places(quantity * factor.numerator / factor.denominator)


def _whole_numbers(ratio: Decimal) -> Fraction:
    """Undo the cut to ten places: 0.3333333333 is 1:3, and 300 shares have become 100 and not 99.99999999."""
    written = Fraction(ratio)
    near = written.limit_denominator(_LARGEST_TERM)
    return near if abs(near - written) < _CUT else written
