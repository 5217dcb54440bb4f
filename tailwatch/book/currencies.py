"""Currencies: their minor units, in which some exchanges quote, and rates between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, Protocol

_HUNDREDTH: Final = Decimal("0.01")

#: What price sources call the hundredth of a currency: the currency, and how many of it one unit is.
MINOR_UNITS: Final[Mapping[str, tuple[str, Decimal]]] = {
    "GBp": ("GBP", _HUNDREDTH),
    "GBX": ("GBP", _HUNDREDTH),
    "ZAc": ("ZAR", _HUNDREDTH),
    "ZAC": ("ZAR", _HUNDREDTH),
    "ILA": ("ILS", _HUNDREDTH),
    "ILa": ("ILS", _HUNDREDTH),
}


def major(currency: str) -> tuple[str, Decimal]:
    """Return the currency that a price is in, and how many of it one unit is: pence are hundredths of a pound."""
    return MINOR_UNITS.get(currency, (currency, Decimal(1)))


class Rates(Protocol):
    """Exchange rates into one base currency."""

    def rate(self, currency: str, day: date) -> Decimal | None:
        """Return the base currency for one unit of `currency` on that day; None: not known."""

    def newest(self, currency: str) -> Decimal | None:
        """Return the last one that is known, however old."""
