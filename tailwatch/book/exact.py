"""How exact the book is: products and quotients of what NUMERIC(28, 10) can hold, without loss on the way."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

ZERO: Final = Decimal(0)

#: Significant digits while booking: the product of two NUMERIC(28, 10) has 56, and quotients get some to spare.
PRECISION: Final = 70

_STORED: Final = Decimal("1e-10")


def to_stored_places(value: Decimal) -> Decimal:
    """Round half to even to the ten decimal places that quantities and prices are stored with.

    Call it inside a context of `PRECISION` digits: the default of 28 cannot hold the largest amounts.
    """
    # Zero as such: a negative zero, or one with ten places, would only be odd to look at.
    return value.quantize(_STORED, ROUND_HALF_EVEN) or ZERO
