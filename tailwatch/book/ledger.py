"""From trades to positions: quantity, average cost, realised profit and loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext

from tailwatch.book.exact import PRECISION, ZERO, to_stored_places
from tailwatch.book.splits import SplitEvent


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
    """What trades in one instrument have come to. Amounts are exact to ten decimal places.

    Attributes:
        ticker: The instrument.
        currency: Of the trades; of the first one where they are in several.
        quantity: In today's shares; negative for a short position, zero for a closed one.
        total_cost: What the open quantity cost, fees of the opening trades included. Negative for a short
            position: the proceeds of the sale after fees.
        realized_pnl: Profit of what was closed, after the fees of opening and closing trades.
        fees: All fees paid.
        trades: How many trades.
        mixed_currencies: The trades are in several currencies. The quantity is right; cost, profit and fees add up
            different currencies and are not to be used.
    """

    ticker: str
    currency: str
    quantity: Decimal = ZERO
    total_cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    trades: int = 0
    mixed_currencies: bool = False

    @property
    def average_cost(self) -> Decimal | None:
        """Cost of one of today's shares, to ten decimal places; None for a closed position."""
        if not self.quantity:
            return None
        with localcontext(prec=PRECISION):
            return to_stored_places(self.total_cost / self.quantity)


def positions(
    trades: Iterable[TradeLine], splits: Mapping[str, Sequence[SplitEvent]] | None = None
) -> list[Position]:
    """Return one position an instrument that was ever traded, by ticker; closed ones have quantity 0.

    Average cost method. A trade that goes through zero closes the old position and opens the new one, its amount
    and fee shared by quantity. Whatever the method, realised + unrealised profit is market value less net cash paid.

    Args:
        trades: In any order.
        splits: By ticker. The quantity of a trade before a split is scaled by it, once; what was paid stays.
    """
    accounts: dict[str, _Account] = {}
    with localcontext(prec=PRECISION):
        for trade in sorted(trades, key=lambda line: (line.executed_at, line.id)):
            account = accounts.get(trade.ticker)
            if account is None:
                to_come = sorted((splits or {}).get(trade.ticker, ()), key=lambda split: split.day)
                account = accounts[trade.ticker] = _Account(to_come)
            account.split_until(trade.executed_at.astimezone(UTC).date())
            account.book(trade)
        for account in accounts.values():
            account.split_until(date.max)
        return [accounts[ticker].position(ticker) for ticker in sorted(accounts)]


@dataclass(slots=True)
class _Account:
    """The running state of one instrument while its trades are booked in order."""

    splits_to_come: list[SplitEvent]
    currencies: list[str] = field(default_factory=list)
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    trades: int = 0

    def split_until(self, day: date) -> None:
        """Apply the splits up to and on `day`: what is held is scaled, what was paid for it stays."""
        while self.splits_to_come and self.splits_to_come[0].day <= day:
            ratio = self.splits_to_come.pop(0).exact_ratio
            self.quantity = self.quantity * ratio.numerator / ratio.denominator

    def book(self, trade: TradeLine) -> None:
        """Book a trade; every split up to its day has been applied."""
        if trade.currency not in self.currencies:
            self.currencies.append(trade.currency)
        self.fees += trade.fee
        self.trades += 1
        # What left the purse: positive for a purchase, negative for the proceeds of a sale.
        paid = trade.quantity * trade.price + trade.fee
        if self.quantity * trade.quantity >= 0:
            self.quantity += trade.quantity
            self.cost += paid
        elif abs(trade.quantity) < abs(self.quantity):
            self._close(-trade.quantity, paid)
        else:
            self._flip(trade.quantity, paid)
        if self.quantity and not to_stored_places(self.quantity):
            # Less than can be stored: the remainder that a split left, sold in shares of ten places.
            self._flip(-self.quantity, ZERO)

    def _close(self, closed: Decimal, paid: Decimal) -> None:
        """Close a part (its sign is the position's) for `paid`."""
        cost_of_closed = self.cost * closed / self.quantity
        self.realized -= paid + cost_of_closed
        self.cost -= cost_of_closed
        self.quantity -= closed

    def _flip(self, quantity: Decimal, paid: Decimal) -> None:
        """Close everything; what is left of `quantity` opens the other side at its share of `paid`.

        That share is found by subtraction and not by a second division: the two make up the whole to the last digit.
        """
        paid_to_close = paid * -self.quantity / quantity
        self.realized -= paid_to_close + self.cost
        self.quantity, self.cost = self.quantity + quantity, paid - paid_to_close

    def position(self, ticker: str) -> Position:
        """Return the result, rounded once, at the end."""
        return Position(
            ticker=ticker,
            currency=self.currencies[0],
            quantity=to_stored_places(self.quantity),
            total_cost=to_stored_places(self.cost),
            realized_pnl=to_stored_places(self.realized),
            fees=to_stored_places(self.fees),
            trades=self.trades,
            mixed_currencies=len(self.currencies) > 1,
        )
