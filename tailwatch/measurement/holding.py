"""A position, the benchmark, or cash in a foreign currency, with what is known of its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

ONE: Final = Decimal(1)


@dataclass(frozen=True)
class Holding:
    """An open position, or the benchmark (quantity 0): its instrument and what is known of its price.

    Cash in a foreign currency is a position, too: of as many units as there are, each with a price of 1. It has no
    instrument of its own; its `instrument_id` is minus that of its exchange rate.

    All of it but the market revision goes into the inputs document of the snapshot.
    """

    instrument_id: int
    ticker: str
    #: Of the price, as the source names it: GBp for pence.
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
    #: Base currency for one unit of the price's currency; None: not known.
    rate: Decimal | None = ONE
    rate_day: date | None = None
    #: The instrument of the exchange rate; None where none is needed.
    rate_id: int | None = None
    #: The session after `price_day`, by the calendar of its market; None: not known, or nothing is awaited.
    due_day: date | None = None
    #: What is odd about its prices: codes of `tailwatch.market.remarks`, and a sentence each.
    remarks: tuple[tuple[str, str], ...] = ()

    def but(self, **changes: Any) -> Holding:
        """Return it with other members. `dataclasses.replace` takes ten times as long, and a night makes millions."""
        other = object.__new__(Holding)
        other.__dict__.update(self.__dict__, **changes)
        return other


def is_valued(holding: Holding) -> bool:
    """Say whether a position has a price, and a rate to the portfolio's own currency."""
    return holding.price is not None and holding.rate is not None


def market_value(holding: Holding) -> Decimal:
    """Return quantity times price in base currency, signed, exact."""
    return holding.quantity * unit_value(holding)


def unit_value(holding: Holding) -> Decimal:
    """Return what one share is worth in base currency.

    Raises:
        ValueError: it has no price, or there is no rate.
    """
    if holding.price is None or holding.rate is None:
        raise ValueError(f"{holding.ticker} has no price in the portfolio's currency")
    return holding.price * holding.rate
