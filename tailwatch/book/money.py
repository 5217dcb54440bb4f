"""An amount in the currency of an entry and in base currency, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tailwatch.book.exact import ZERO


@dataclass(frozen=True, slots=True)
class Money:
    """An amount; `base` is None once anything in it had no exchange rate. Calculate in a context of `PRECISION`."""

    amount: Decimal = ZERO
    base: Decimal | None = ZERO

    @classmethod
    def at(cls, amount: Decimal, rate: Decimal | None) -> Money:
        """Return an amount with its worth at a rate; None: not known."""
        return cls(amount, None if rate is None else amount * rate)

    def share(self, part: Decimal, whole: Decimal) -> Money:
        """Return part/whole of it."""
        return Money(self.amount * part / whole, None if self.base is None else self.base * part / whole)

    def __add__(self, other: Money) -> Money:
        base = None if self.base is None or other.base is None else self.base + other.base
        return Money(self.amount + other.amount, base)

    def __sub__(self, other: Money) -> Money:
        base = None if self.base is None or other.base is None else self.base - other.base
        return Money(self.amount - other.amount, base)
