"""Splits: a quantity booked before a split counts for what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from math import prod
from typing import Final

from tailwatch.book.exact import PRECISION, ZERO, to_stored_places

#: Splits are agreed in whole numbers; the largest ones in use stay below this on both sides.
_LARGEST_TERM: Final = 10_000
#: A ratio that was cut to ten decimal places is no further than this from the true one.
_CUT: Final = Fraction(1, 10**10)


@dataclass(frozen=True, slots=True)
class SplitEvent:
    """From `day` on, one old share is `ratio` new ones: 4 for a 4:1 split, 0.1 for a 1:10 reverse split."""

    day: date
    ratio: Decimal

    @property
    def exact_ratio(self) -> Fraction:
        """The ratio without the cut to ten places: 0.3333333333 is 1:3, and 300 shares become 100."""
        written = Fraction(self.ratio)
        near = written.limit_denominator(_LARGEST_TERM)
        return near if abs(near - written) < _CUT else written


def quantity_today(lots: Iterable[tuple[date, Decimal]], splits: Sequence[SplitEvent]) -> Decimal:
    """Return what signed quantities, each with its day, have become together in today's shares, to ten places.

    Each is scaled by the splits after its day, once; a trade on the day of a split is one in new shares. Rounded at
    the end only: 10 and 5 bought and 15 sold before a 1:7 reverse split are nothing, and not a billionth of a share.
    """
    with localcontext(prec=PRECISION):
        if not splits:
            return to_stored_places(sum((quantity for _, quantity in lots), ZERO))
        # What was traded before the same splits is scaled together, so that it cancels out exactly.
        alike: dict[tuple[SplitEvent, ...], Decimal] = {}
        for day, quantity in lots:
            to_come = tuple(split for split in splits if split.day > day)
            alike[to_come] = alike.get(to_come, ZERO) + quantity
        total = sum((Fraction(held) * _factor(to_come) for to_come, held in alike.items()), Fraction(0))
        return to_stored_places(Decimal(total.numerator) / total.denominator)


def split_adjusted(quantity: Decimal, day: date, splits: Sequence[SplitEvent]) -> Decimal:
    """Return `quantity` of `day` in today's shares, to ten decimal places; for several of them `quantity_today`."""
    return quantity_today([(day, quantity)], splits) if splits else quantity


def _factor(splits: Iterable[SplitEvent]) -> Fraction:
    return prod((split.exact_ratio for split in splits), start=Fraction(1))
