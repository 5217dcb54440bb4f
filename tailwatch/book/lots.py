"""The shares that are held, with what they cost: lot by lot, or all in one."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tailwatch.book.exact import ZERO
from tailwatch.book.money import Money


class _Lot(NamedTuple):
    quantity: Decimal
    cost: Money


class Lots:
    """Open lots of one instrument, the oldest first; all of one sign. Calculate in a context of `PRECISION`."""

    def __init__(self, *, pooled: bool) -> None:
        """Make an empty one.

        Args:
            pooled: Every lot becomes part of one: average cost. Else what was opened first is closed first.
        """
        self._pooled = pooled
        self._lots: deque[_Lot] = deque()
        #: Signed shares.
        self.quantity = ZERO

    @property
    def cost(self) -> Money:
        """Of all of them; negative for a short position."""
        return sum((lot.cost for lot in self._lots), Money())

    def scale(self, ratio: Fraction) -> None:
        """Split: the shares change, what they cost does not."""
        self._lots = deque(_Lot(lot.quantity * ratio.numerator / ratio.denominator, lot.cost) for lot in self._lots)
        self.quantity = sum((lot.quantity for lot in self._lots), ZERO)

    def open(self, quantity: Decimal, cost: Money) -> None:
        """Add shares of the sign that is held."""
        self.quantity += quantity
        if self._pooled and self._lots:
            lot = self._lots.pop()
            quantity, cost = lot.quantity + quantity, lot.cost + cost
        self._lots.append(_Lot(quantity, cost))

    def close(self, quantity: Decimal) -> Money:
        """Take `quantity` (its sign is the position's, no more than is held) away; return what it had cost."""
        cost, left = Money(), quantity
        while left and self._lots:
            lot = self._lots.popleft()
            if abs(lot.quantity) <= abs(left):
                cost, left = cost + lot.cost, left - lot.quantity
                continue
            part = lot.cost.share(left, lot.quantity)
            self._lots.appendleft(_Lot(lot.quantity - left, lot.cost - part))
            cost, left = cost + part, ZERO
        self.quantity = self.quantity - quantity if self._lots else ZERO
        return cost
