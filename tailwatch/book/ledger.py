"""From trades to positions: quantity, average cost, realised profit and loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from tailwatch.book.splits import SplitEvent, split_factor

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One trade as the ledger needs it.

    Attributes:
        ticker: The instrument.
        quantity: Signed: bought is positive, sold negative. Never zero.
        price: Per share, in `currency`.
        fee: Not negative, same currency.
        currency: Three capital letters.
        executed_at: Decides the order; `id` does among equals.
        id: Rises with booking.
    """

    ticker: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str
    executed_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Position:
    """What trades in one instrument have come to.

    Attributes:
        ticker: The instrument.
        currency: Of the trades.
        quantity: In today's shares; negative for a short position.
        total_cost: Average cost times quantity, fees of the opening trades included; negative for a short position,
            whose proceeds it is.
        realized_pnl: Of what was closed, after the fees of the closing trades.
        fees: All fees paid.
        trades: How many trades.
    """

    ticker: str
    currency: str
    quantity: Decimal = ZERO
    total_cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    trades: int = 0

    @property
    def average_cost(self) -> Decimal | None:
        """Cost of one of today's shares; None for a closed position."""
        return self.total_cost / self.quantity if self.quantity else None


def positions(
    trades: Iterable[TradeLine], splits: Mapping[str, Sequence[SplitEvent]] | None = None
) -> list[Position]:
    """Return one position an instrument that was ever traded, by ticker; closed ones have quantity 0.

    Average cost method. A trade that goes through zero closes the old position and opens the new one, its fee shared
    by quantity.

    Args:
        trades: In any order.
        splits: By ticker; quantities and prices of trades before a split are brought to today's shares.
    """
    found: dict[str, Position] = {}
    for trade in sorted(trades, key=lambda line: (line.executed_at, line.id)):
        before = found.get(trade.ticker, Position(trade.ticker, trade.currency))
        factor = split_factor(trade.executed_at.astimezone(UTC).date(), (splits or {}).get(trade.ticker, ()))
        found[trade.ticker] = _book(before, trade.quantity * factor, trade.quantity * trade.price, trade.fee)
    return [found[ticker] for ticker in sorted(found)]


def _book(before: Position, quantity: Decimal, amount: Decimal, fee: Decimal) -> Position:
    """Book a trade of `quantity` today's shares for `amount` (same sign) into a position."""
    counted = replace(before, fees=before.fees + fee, trades=before.trades + 1)
    if before.quantity * quantity >= 0:
        return replace(counted, quantity=before.quantity + quantity, total_cost=before.total_cost + amount + fee)
    closing = -quantity if abs(quantity) <= abs(before.quantity) else before.quantity
    share_closing = -closing / quantity
    cost_closed = before.total_cost * closing / before.quantity
    opening = quantity + closing
    return replace(
        counted,
        quantity=before.quantity + quantity,
        total_cost=before.total_cost - cost_closed + (amount + fee) * (1 - share_closing)
        if opening
        else before.total_cost - cost_closed,
        realized_pnl=before.realized_pnl - amount * share_closing - fee * share_closing - cost_closed,
    )
