"""From positions and prices to holdings: what each is worth, what it has earned, and the sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Literal

from tailwatch.book.exact import PRECISION, ZERO, to_stored_places
from tailwatch.book.ledger import Position

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
    """A position with its value, in the currency of its trades.

    Attributes:
        position: Quantity and cost.
        quote: Its price.
        market_value: Signed; None without a price in the trades' currency. Zero for a closed position.
        weight: Share of the total market value, to ten places; None outside the totals, or if they are not positive.
        unrealized_pnl: Market value less cost; None where either is unknown.
        status: The instrument's; excluded where the position is not in the totals because of its currency.
        reason: Why there is no value, why it is not in the totals, or why the prices are not from the first source.
    """

    position: Position
    quote: Quote
    market_value: Decimal | None
    weight: Decimal | None
    unrealized_pnl: Decimal | None
    status: HoldingStatus
    reason: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums in the base currency over what is known.

    Attributes:
        cost: Of the holdings that are in `market_value`.
        market_value: Of the holdings that have a value in the base currency.
        unrealized_pnl: Of the same holdings.
        realized_pnl: Of every holding in the base currency, closed or without a price as well.
        missing: Tickers of the open positions that are not in `market_value`.
    """

    cost: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holdings:
    """A portfolio's holdings by ticker, closed positions included.

    Attributes:
        items: One an instrument ever traded.
        totals: Their sums.
        as_of: The newest price day among the valued ones; None without any.
    """

    items: list[Holding]
    totals: Totals
    as_of: date | None


def value(positions: Iterable[Position], quotes: Mapping[str, Quote], base_currency: str) -> Holdings:
    """Value each position at its quote.

    A position without a price is there, with its cost and without a value: never a silent zero. One in another
    currency is valued in its own and left out of the totals, because currencies are not converted yet.

    Args:
        positions: From the ledger.
        quotes: By ticker; one for every position.
        base_currency: Of the portfolio.
    """
    with localcontext(prec=PRECISION):
        pairs = [(position, quotes[position.ticker]) for position in positions]
        ours = [p for p, _ in pairs if p.currency == base_currency and not p.mixed_currencies]
        # What the totals are made of, by ticker.
        worth = {p.ticker: v for p in ours if (v := _market_value(p, quotes[p.ticker])) is not None}
        counted = [p for p in ours if p.ticker in worth]
        total = sum(worth.values(), ZERO)
        cost = sum((p.total_cost for p in counted), ZERO)
        totals = Totals(
            cost=cost,
            market_value=total,
            unrealized_pnl=total - cost,
            realized_pnl=sum((p.realized_pnl for p in ours), ZERO),
            missing=tuple(p.ticker for p, _ in pairs if p.quantity and p.ticker not in worth),
        )
        days = [day for p in counted if p.quantity and (day := quotes[p.ticker].price_date)]
        items = [_holding(p, quote, worth.get(p.ticker), total, base_currency) for p, quote in pairs]
    return Holdings(items, totals, max(days, default=None))


def _holding(
    position: Position, quote: Quote, in_totals: Decimal | None, total: Decimal, base_currency: str
) -> Holding:
    market_value = _market_value(position, quote)
    status, reason = _status(position, quote, base_currency)
    known = market_value is not None and not position.mixed_currencies
    return Holding(
        position=position,
        quote=quote,
        market_value=market_value,
        weight=to_stored_places(in_totals / total) if in_totals is not None and total > 0 else None,
        unrealized_pnl=market_value - position.total_cost if known and market_value is not None else None,
        status=status,
        reason=reason,
    )


def _market_value(position: Position, quote: Quote) -> Decimal | None:
    if not position.quantity:
        return ZERO
    if quote.price is None or quote.currency not in {None, position.currency}:
        return None
    return position.quantity * quote.price


def _status(position: Position, quote: Quote, base_currency: str) -> tuple[HoldingStatus, str | None]:
    if position.mixed_currencies:
        return (
            "excluded",
            "Its trades are in several currencies, which are not converted yet; cost and profit are not known.",
        )
    if quote.price is None:
        waiting = "Its prices are being fetched." if quote.status == "pending" else None
        return quote.status, quote.reason or waiting
    if quote.currency not in {None, position.currency}:
        return "excluded", f"Booked in {position.currency}, but its prices are in {quote.currency}."
    if position.currency != base_currency:
        return "excluded", f"In {position.currency}; other currencies are not converted to {base_currency} yet."
    return quote.status, quote.reason
