"""A position, or the benchmark, with what is known of its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True)
class Holding:
    """An open position, or the benchmark (quantity 0): its instrument and what is known of its price.

    All of it but the market revision goes into the inputs document of the snapshot.
    """

    instrument_id: int
    ticker: str
    currency: str | None
    status: str
    status_reason: str | None
    source: str | None
    market_revision: int
    #: In today's shares: what was booked before a split is scaled by it.
    quantity: Decimal
    price: Decimal | None
    price_day: date | None
    #: By kind of label, such as "sector".
    labels: Mapping[str, str] = field(default_factory=dict)


def is_valued(holding: Holding, base_currency: str) -> bool:
    """Say whether a position has a price in the portfolio's own currency."""
    return holding.price is not None and (holding.currency or base_currency) == base_currency


def market_value(holding: Holding) -> Decimal:
    """Return quantity times price, signed, exact."""
    if holding.price is None:
        raise ValueError(f"{holding.ticker} has no price")
    return holding.quantity * holding.price
