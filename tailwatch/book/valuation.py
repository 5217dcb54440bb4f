"""From positions and prices to holdings: what each is worth, what it has earned, and the sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from tailwatch.book.ledger import ZERO, Position

Status = Literal["ok", "pending", "unknown", "failed", "excluded"]


@dataclass(frozen=True, slots=True)
class Quote:
    """What is known of an instrument's price.

    Attributes:
        name: The instrument's, or None.
        currency: Of the price; None before the first fetch.
        price: The newest close; None without any.
        price_date: Its day.
        price_source: Where it is from.
        status: Of the instrument: ok, pending, unknown or failed.
        reason: A sentence when it is not ok.
    """

    name: str | None
    currency: str | None
    price: Decimal | None
    price_date: date | None
    price_source: str | None
    status: Literal["ok", "pending", "unknown", "failed"]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A position with its value, in the currency of its trades.

    Attributes:
        position: Quantity and cost.
        quote: Its price.
        market_value: Signed; None without a price in the trades' currency.
        weight: Share of the portfolio's market value; None where either is unknown or the total is not positive.
        unrealized_pnl: Market value less cost; None where the value is.
        status: The instrument's, or excluded where the position is not in the totals.
        reason: Why there is no value, or why it is not in the totals.
    """

    position: Position
    quote: Quote
    market_value: Decimal | None
    weight: Decimal | None
    unrealized_pnl: Decimal | None
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the holdings in the base currency that have a price (realised: over all in the base currency)."""

    cost: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal


@dataclass(frozen=True, slots=True)
class Holdings:
    """A portfolio's holdings by ticker, closed positions included.

    Attributes:
        items: One an instrument ever traded.
        totals: Their sums.
        as_of: The newest price day among the valued ones.
    """

    items: list[Holding]
    totals: Totals
    as_of: date | None


def value(positions: Iterable[Position], quotes: Mapping[str, Quote], base_currency: str) -> Holdings:
    """Value each position at its quote.

    A position without a price is there with its cost and without a value: never a silent zero. One in another
    currency is valued in its own and left out of the totals, because currencies are not converted yet.
    """
    valued = [
        (position, quotes[position.ticker], _market_value(position, quotes[position.ticker]))
        for position in positions
    ]
    counted = [(p, q, v) for p, q, v in valued if v is not None and p.currency == base_currency]
    total = sum((v for _, _, v in counted), ZERO)
    cost = sum((p.total_cost for p, _, _ in counted), ZERO)
    items = []
    for position, quote, worth in valued:
        in_totals = worth is not None and position.currency == base_currency
        status, reason = _status(position, quote, base_currency)
        items.append(
            Holding(
                position=position,
                quote=quote,
                market_value=worth,
                weight=worth / total if worth is not None and in_totals and total > 0 else None,
                unrealized_pnl=None if worth is None else worth - position.total_cost,
                status=status,
                reason=reason,
            )
        )
    realized = sum((p.realized_pnl for p, _, _ in valued if p.currency == base_currency), ZERO)
    days = [q.price_date for p, q, _ in counted if p.quantity and q.price_date]
    return Holdings(items, Totals(cost, total, total - cost, realized), max(days, default=None))


def _market_value(position: Position, quote: Quote) -> Decimal | None:
    if not position.quantity:
        return ZERO
    if quote.price is None or quote.currency not in {None, position.currency}:
        return None
    return position.quantity * quote.price


def _status(position: Position, quote: Quote, base_currency: str) -> tuple[Status, str | None]:
    if quote.price is None:
        return quote.status, quote.reason
    if quote.currency not in {None, position.currency}:
        return "excluded", f"Booked in {position.currency}, but its prices are in {quote.currency}."
    if position.currency != base_currency:
        return "excluded", f"In {position.currency}; other currencies are not converted to {base_currency} yet."
    return quote.status, quote.reason
