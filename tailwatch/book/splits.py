"""Splits: a quantity booked before a split counts for what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class SplitEvent:
    """From `day` on, one old share is `ratio` new ones: 4 for a 4:1 split, 0.1 for a 1:10 reverse split."""

    day: date
    ratio: Decimal


def split_factor(day: date, splits: Iterable[SplitEvent]) -> Decimal:
    """Return how many of today's shares one share traded on `day` has become.

    A trade on the day of the split is a trade in new shares.
    """
    factor = Decimal(1)
    for split in splits:
        if split.day > day:
            factor *= split.ratio
    return factor


def split_adjusted(quantity: Decimal, day: date, splits: Iterable[SplitEvent]) -> Decimal:
    """Return `quantity` of `day` in today's shares."""
    return quantity * split_factor(day, splits)
