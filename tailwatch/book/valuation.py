"""From positions and prices to holdings: what each is worth, what it has earned, and the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Final, Literal

from tailwatch.book.currencies import Rates, major
from tailwatch.book.exact import PRECISION, ZERO, to_stored_places
from tailwatch.book.ledger import Book, Position

ONE: Final = Decimal(1)

PriceStatus = Literal["pending", "ok", "unknown", "failed"]
HoldingStatus = Literal["pending", "ok", "unknown", "failed", "excluded"]


@dataclass(frozen=True, slots=True)
class Quote:
    """What is known of an instrument's price.

    Attributes:
        name: The instrument's, or None.
        currency: Of the price, as the source names it; None before the first fetch.
        price: The newest close; None without any.
        price_date: Its day.
        price_source: Where it is from.
        status: Of the instrument: pending, ok, unknown or failed.
        reason: A sentence where the source of choice did not serve it.
    """

    name: str | None
    currency: str | None
    price: Decimal | None
    price_date: date | None
    price_source: str | None
    status: PriceStatus
    reason: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A position with its value, in the currency of its entries and in base currency.

    Attributes:
        position: Quantity and cost.
        quote: Its price.
        market_value: Signed, in the currency of its entries; None without a price, or a rate to that currency. Zero
            for a closed position.
        market_value_base: Base currency; None without a price or a rate.
        weight: Share of the portfolio's value, to ten places; None outside the totals, or if those are not positive.
        unrealized_pnl: Market value less cost; None where either is unknown.
        unrealized_pnl_base: Base currency; what the exchange rate did since is in it.
        status: The instrument's; excluded where the position is not in the totals for want of a rate.
        reason: Why there is no value, why it is not in the totals, or why the prices are not from the first source.
    """

    position: Position
    quote: Quote
    market_value: Decimal | None
    market_value_base: Decimal | None
    weight: Decimal | None
    unrealized_pnl: Decimal | None
    unrealized_pnl_base: Decimal | None
    status: HoldingStatus
    reason: str | None


@dataclass(frozen=True, slots=True)
class Cash:
    """Money in one currency, and what it is worth in base currency; None without a rate."""

    currency: str
    amount: Decimal
    base_amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums in base currency over what is known.

    Attributes:
        cost: Of the holdings that are in `market_value` and whose cost in base currency is known.
        market_value: Of the holdings that have a value in base currency.
        unrealized_pnl: Of the holdings that are in `cost`.
        realized_pnl: Of every holding, closed or without a price as well, that has one in base currency.
        dividends: Likewise.
        cash: Of every currency with a rate.
        value: Market value, and cash if it counts.
        missing: Tickers of the open positions that are not in `market_value`.
        incomplete: Tickers whose cost or profit in base currency is not known, for want of a day's rate.
    """

    cost: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    dividends: Decimal
    cash: Decimal
    value: Decimal
    missing: tuple[str, ...]
    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holdings:
    """A portfolio's holdings by ticker, closed positions included.

    Attributes:
        items: One an instrument that ever had an entry.
        cash: By currency.
        counts_cash: Whether cash is part of the value.
        totals: Their sums.
        as_of: The newest price day among the valued ones; None without any.
    """

    items: list[Holding]
    cash: list[Cash]
    counts_cash: bool
    totals: Totals
    as_of: date | None


def value(
    book: Book,
    quotes: Mapping[str, Quote],
    *,
    base_currency: str,
    rates: Rates | None = None,
    counts_cash: bool = False,
) -> Holdings:
    """Value each position at its quote.

    A position without a price is there, with its cost and without a value: never a silent zero.

    Args:
        book: From the ledger.
        quotes: By ticker; one for every position.
        base_currency: Of the portfolio.
        rates: Into the base currency; None: nothing in another currency has a value in it.
        counts_cash: Whether cash is part of the portfolio's value.
    """
    with localcontext(prec=PRECISION):
        worth = {p.ticker: _worth(p, quotes[p.ticker], base_currency, rates) for p in book.positions}
        cash = [
            Cash(each, amount, _times(amount, _newest(each, base_currency, rates)))
            for each, amount in book.cash.items()
        ]
        totals = _totals(book, worth, cash, counts_cash=counts_cash)
        items = [
            _holding(p, quotes[p.ticker], worth[p.ticker], total=totals.value, base_currency=base_currency)
            for p in book.positions
        ]
        valued = [p.ticker for p in book.positions if p.quantity and worth[p.ticker][1] is not None]
        days = [day for ticker in valued if (day := quotes[ticker].price_date)]
    return Holdings(items, cash, counts_cash, totals, max(days, default=None))


def _totals(
    book: Book, worth: Mapping[str, tuple[Decimal | None, Decimal | None]], cash: list[Cash], *, counts_cash: bool
) -> Totals:
    in_base = {p.ticker: v for p in book.positions if (v := worth[p.ticker][1]) is not None}
    costed = [p for p in book.positions if p.ticker in in_base and p.total_cost_base is not None]
    cost = sum((p.total_cost_base or ZERO for p in costed), ZERO)
    total = sum(in_base.values(), ZERO)
    money = sum((one.base_amount or ZERO for one in cash), ZERO)
    return Totals(
        cost=cost,
        market_value=total,
        unrealized_pnl=sum((in_base[p.ticker] for p in costed), ZERO) - cost,
        realized_pnl=sum((p.realized_pnl_base or ZERO for p in book.positions), ZERO),
        dividends=sum((p.dividends_base or ZERO for p in book.positions), ZERO),
        cash=money,
        value=total + money if counts_cash else total,
        missing=tuple(p.ticker for p in book.positions if p.quantity and p.ticker not in in_base),
        incomplete=tuple(
            p.ticker
            for p in book.positions
            if p.total_cost_base is None or p.realized_pnl_base is None or p.dividends_base is None
        ),
    )


def _worth(
    position: Position, quote: Quote, base_currency: str, rates: Rates | None
) -> tuple[Decimal | None, Decimal | None]:
    """Return the market value in the currency of the entries, and in base currency."""
    if not position.quantity:
        return ZERO, ZERO
    if quote.price is None:
        return None, None
    currency, unit = major(quote.currency or position.currency)
    in_price_currency = position.quantity * quote.price * unit
    in_base = _times(in_price_currency, _newest(currency, base_currency, rates))
    if currency == position.currency:
        return in_price_currency, in_base
    own_rate = _newest(position.currency, base_currency, rates)
    return (None if in_base is None or not own_rate else in_base / own_rate), in_base


def _holding(
    position: Position,
    quote: Quote,
    worth: tuple[Decimal | None, Decimal | None],
    *,
    total: Decimal,
    base_currency: str,
) -> Holding:
    market_value, in_base = worth
    status, reason = _status(position, quote, in_base, base_currency)
    return Holding(
        position=position,
        quote=quote,
        market_value=market_value,
        market_value_base=in_base,
        weight=to_stored_places(in_base / total) if in_base is not None and total > 0 else None,
        unrealized_pnl=None
        if market_value is None or position.mixed_currencies
        else market_value - position.total_cost,
        unrealized_pnl_base=None
        if in_base is None or position.total_cost_base is None
        else in_base - position.total_cost_base,
        status=status,
        reason=reason,
    )


def _status(
    position: Position, quote: Quote, in_base: Decimal | None, base_currency: str
) -> tuple[HoldingStatus, str | None]:
    if not position.quantity:
        return quote.status, quote.reason
    if quote.price is None:
        waiting = "Its prices are being fetched." if quote.status == "pending" else None
        return quote.status, quote.reason or waiting
    if in_base is None:
        currency, _ = major(quote.currency or position.currency)
        return "excluded", f"The exchange rate from {currency} to {base_currency} is not known yet."
    return quote.status, quote.reason


def _newest(currency: str, base_currency: str, rates: Rates | None) -> Decimal | None:
    if currency == base_currency:
        return ONE
    return None if rates is None else rates.newest(currency)


def _times(amount: Decimal, rate: Decimal | None) -> Decimal | None:
    return None if rate is None else amount * rate
