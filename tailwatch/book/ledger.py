"""From entries to positions and cash: quantity, cost by lots, realised profit and loss, dividends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Final

from tailwatch.book.currencies import Rates
from tailwatch.book.entries import OF_SHARES, TRANSFERS, Entry, EntryType
from tailwatch.book.exact import PRECISION, ZERO, to_stored_places
from tailwatch.book.lots import Lots
from tailwatch.book.money import Money
from tailwatch.book.splits import SplitEvent


class CostBasis(StrEnum):
    """Which of the shares that are held a sale is of: a part of all of them, or the ones held longest."""

    AVERAGE = "average"
    FIFO = "fifo"


#: Income that an instrument pays.
_INCOME: Final = frozenset({EntryType.DIVIDEND, EntryType.INTEREST})


@dataclass(frozen=True, slots=True)
class Position:
    """What the entries of one instrument have come to. Amounts are exact to ten decimal places.

    Amounts in base currency are converted entry by entry, at the rate that it was settled at or that of its day; they
    are None where such a rate is not known.

    Attributes:
        ticker: The instrument.
        currency: Of the entries; of the first one where they are in several.
        quantity: In today's shares; negative for a short position, zero for a closed one.
        total_cost: What the open quantity cost, fees and taxes of the opening trades included. Negative for a short
            position: the proceeds of the sale after them.
        realized_pnl: Profit of what was closed, after fees and taxes of opening and closing trades. What a transfer
            takes away goes at its cost.
        dividends: And interest of the instrument, after fees and taxes.
        fees: All fees paid.
        taxes: All taxes paid.
        trades: How many entries of shares.
        mixed_currencies: The entries are in several currencies. The quantity and base amounts are right; cost, profit
            and fees add up different currencies and are not to be used.
        total_cost_base: Base currency.
        realized_pnl_base: Base currency.
        dividends_base: Base currency.
    """

    ticker: str
    currency: str
    quantity: Decimal = ZERO
    total_cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    dividends: Decimal = ZERO
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    trades: int = 0
    mixed_currencies: bool = False
    total_cost_base: Decimal | None = ZERO
    realized_pnl_base: Decimal | None = ZERO
    dividends_base: Decimal | None = ZERO

    @property
    def average_cost(self) -> Decimal | None:
        """Cost of one of today's shares, to ten decimal places; None for a closed position."""
        if not self.quantity:
            return None
        with localcontext(prec=PRECISION):
            return to_stored_places(self.total_cost / self.quantity)


@dataclass(frozen=True, slots=True)
class Book:
    """What all entries have come to.

    Attributes:
        positions: One an instrument that ever had an entry, by ticker; closed ones have quantity 0.
        cash: By currency, zeros included; negative where more was paid than was there.
        missing_rates: Currencies of entries whose rate is not known, in order.
    """

    positions: list[Position]
    cash: dict[str, Decimal]
    missing_rates: tuple[str, ...] = ()


def book(
    entries: Iterable[Entry],
    splits: Mapping[str, Sequence[SplitEvent]] | None = None,
    *,
    base_currency: str,
    cost_basis: CostBasis = CostBasis.AVERAGE,
    rates: Rates | None = None,
) -> Book:
    """Return positions and cash.

    A trade that goes through zero closes the old position and opens the new one, its amount and charges shared by
    quantity. Whatever the cost basis, without transfers realised + unrealised profit is market value less net cash
    paid for shares.

    Args:
        entries: In any order.
        splits: By ticker. The quantity of an entry before a split is scaled by it, once; what was paid stays. An
            entry on the day of a split is one in new shares.
        base_currency: Of the portfolio.
        cost_basis: Which shares a sale is of.
        rates: Into the base currency; None: entries in other currencies have no base amounts.
    """
    accounts: dict[str, _Account] = {}
    cash: dict[str, Decimal] = {}
    missing: set[str] = set()
    with localcontext(prec=PRECISION):
        for entry in sorted(entries, key=lambda one: (one.executed_at, one.id)):
            cash[entry.currency] = cash.get(entry.currency, ZERO) + entry.cash
            if entry.ticker is None:
                continue
            account = accounts.get(entry.ticker)
            if account is None:
                to_come = sorted((splits or {}).get(entry.ticker, ()), key=lambda split: split.day)
                account = accounts[entry.ticker] = _Account(Lots(pooled=cost_basis is CostBasis.AVERAGE), to_come)
            day = entry.executed_at.astimezone(UTC).date()
            account.split_until(day)
            rate = _rate(entry, day, base_currency, rates)
            if rate is None:
                missing.add(entry.currency)
            account.book(entry, rate)
        for account in accounts.values():
            account.split_until(date.max)
        return Book(
            [accounts[ticker].position(ticker) for ticker in sorted(accounts)],
            {currency: to_stored_places(cash[currency]) for currency in sorted(cash)},
            tuple(sorted(missing)),
        )


def _rate(entry: Entry, day: date, base_currency: str, rates: Rates | None) -> Decimal | None:
    if entry.currency == base_currency:
        return Decimal(1)
    if entry.fx_rate is not None:
        return entry.fx_rate
    return None if rates is None else rates.rate(entry.currency, day)


@dataclass(slots=True)
class _Account:
    """The running state of one instrument while its entries are booked in order."""

    lots: Lots
    splits_to_come: list[SplitEvent]
    currencies: list[str] = field(default_factory=list)
    realized: Money = field(default_factory=Money)
    dividends: Money = field(default_factory=Money)
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    trades: int = 0

    def split_until(self, day: date) -> None:
        """Apply the splits up to and on `day`: what is held is scaled, what was paid for it stays."""
        while self.splits_to_come and self.splits_to_come[0].day <= day:
            self.lots.scale(self.splits_to_come.pop(0).exact_ratio)

    def book(self, entry: Entry, rate: Decimal | None) -> None:
        """Book an entry; every split up to its day has been applied."""
        if entry.currency not in self.currencies:
            self.currencies.append(entry.currency)
        self.fees += entry.fee
        self.taxes += entry.tax
        if entry.type in OF_SHARES and entry.quantity is not None and entry.price is not None:
            self.trades += 1
            paid = Money.at(entry.quantity * entry.price + entry.fee + entry.tax, rate)
            self._trade(entry.quantity, paid, is_transfer=entry.type in TRANSFERS)
        elif entry.type in _INCOME:
            self.dividends += Money.at(entry.cash, rate)
        elif entry.type is EntryType.FEE:
            self.fees += entry.amount or ZERO
        elif entry.type is EntryType.TAX:
            self.taxes += entry.amount or ZERO

    def _trade(self, quantity: Decimal, paid: Money, *, is_transfer: bool) -> None:
        """Book shares; `paid` is what left the purse: negative for the proceeds of a sale."""
        held = self.lots.quantity
        if held * quantity >= 0:
            self.lots.open(quantity, paid)
        else:
            closed = max(quantity, -held) if quantity < 0 else min(quantity, -held)
            paid_to_close = paid if closed == quantity else paid.share(closed, quantity)
            cost = self.lots.close(-closed)
            if not is_transfer:
                self.realized -= paid_to_close + cost
            if closed != quantity:
                # The rest by subtraction and not by a second division: the two make up the whole to the last digit.
                self.lots.open(quantity - closed, paid - paid_to_close)
        if self.lots.quantity and not to_stored_places(self.lots.quantity):
            # Less than can be stored: the remainder that a split left, sold in shares of ten places.
            self.realized -= self.lots.close(self.lots.quantity)

    def position(self, ticker: str) -> Position:
        """Return the result, rounded once, at the end."""
        cost = self.lots.cost
        return Position(
            ticker=ticker,
            currency=self.currencies[0],
            quantity=to_stored_places(self.lots.quantity),
            total_cost=to_stored_places(cost.amount),
            realized_pnl=to_stored_places(self.realized.amount),
            dividends=to_stored_places(self.dividends.amount),
            fees=to_stored_places(self.fees),
            taxes=to_stored_places(self.taxes),
            trades=self.trades,
            mixed_currencies=len(self.currencies) > 1,
            total_cost_base=_stored(cost.base),
            realized_pnl_base=_stored(self.realized.base),
            dividends_base=_stored(self.dividends.base),
        )


def _stored(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else to_stored_places(amount)
