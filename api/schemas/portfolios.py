"""Portfolios, their trades and their holdings."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import Field, RootModel

from api.schemas.base import (
    LEFT_OUT,
    Amount,
    Change,
    Currency,
    Exact,
    ExecutedAt,
    ExternalId,
    Input,
    Moment,
    Name,
    Note,
    Output,
    Page,
    Quantity,
    Ticker,
)

RiskMethod = Literal["filtered", "historical", "ewma", "covariance", "student_t"]
Covariance = Literal["sample", "ledoit_wolf"]
Confidence = Literal["95", "97.5", "99"]
HoldingStatus = Literal["ok", "pending", "unknown", "failed", "excluded"]

_WINDOW = "Sessions of return history that the estimators see."
_METHOD = "Of the headline figures."
_COVARIANCE = "Behind volatility, and behind the covariance and Student-t methods."
_BENCHMARK = "Ticker that beta is measured against, such as ^GSPC."


class PortfolioCreate(Input):
    """A new portfolio."""

    name: Name
    base_currency: Currency = "USD"
    benchmark: Ticker | None = Field(default=None, description=_BENCHMARK)
    risk_method: RiskMethod = Field(default="filtered", description=_METHOD)
    risk_covariance: Covariance = Field(default="sample", description=_COVARIANCE)
    risk_window: int = Field(default=500, ge=60, le=2500, description=_WINDOW)
    risk_confidence: Confidence = "95"


class PortfolioChange(Change):
    """Changes to a portfolio."""

    name: Name = Field(default=LEFT_OUT)
    base_currency: Currency = Field(default=LEFT_OUT)
    benchmark: Ticker | None = Field(default=None, description=_BENCHMARK + " Null for none.")
    risk_method: RiskMethod = Field(default=LEFT_OUT, description=_METHOD)
    risk_covariance: Covariance = Field(default=LEFT_OUT, description=_COVARIANCE)
    risk_window: int = Field(default=LEFT_OUT, ge=60, le=2500, description=_WINDOW)
    risk_confidence: Confidence = Field(default=LEFT_OUT)
    is_default: Literal[True] = Field(
        default=LEFT_OUT, description="Make this the portfolio that the short forms speak of."
    )


class Portfolio(Output):
    """A portfolio."""

    id: int
    name: str
    base_currency: str
    benchmark: str | None
    risk_method: RiskMethod
    risk_covariance: Covariance
    risk_window: int
    risk_confidence: Confidence
    is_default: bool
    revision: int = Field(description="Rises with every change that affects risk.")
    created_at: Moment


class PortfolioPage(Page):
    """The caller's portfolios, oldest first."""

    items: list[Portfolio]


class TradeCreate(Input):
    """A purchase or a sale."""

    ticker: Ticker
    quantity: Quantity
    price: Amount
    currency: Currency | None = Field(default=None, description="Left out: the portfolio's base currency.")
    fee: Amount = Decimal(0)
    executed_at: ExecutedAt | None = Field(default=None, description="Left out: now.")
    note: Note | None = None
    external_id: ExternalId | None = Field(
        default=None, description="Your own identity of the trade; unique within the portfolio."
    )


class TradeChange(Change):
    """Changes to a trade."""

    ticker: Ticker = Field(default=LEFT_OUT)
    quantity: Quantity = Field(default=LEFT_OUT)
    price: Amount = Field(default=LEFT_OUT)
    currency: Currency = Field(default=LEFT_OUT)
    fee: Amount = Field(default=LEFT_OUT)
    executed_at: ExecutedAt = Field(default=LEFT_OUT)
    note: Note | None = None
    external_id: ExternalId | None = None


class Trade(Output):
    """A booked trade."""

    id: int
    ticker: str
    quantity: Exact
    price: Exact
    currency: str
    fee: Exact
    executed_at: Moment
    note: str | None
    external_id: str | None
    created_at: Moment
    updated_at: Moment


class TradePage(Page):
    """Trades, the latest execution first."""

    items: list[Trade]


class BookedTrade(Output):
    """A trade as it stands now, and the revision of the portfolio that contains it."""

    trade: Trade
    revision: int = Field(description="The risk snapshot that has seen this change carries at least this revision.")


class RemovedTrade(Output):
    """The revision of the portfolio without the trade."""

    revision: int


class ShortTrade(BookedTrade):
    """Answer of the short form."""

    message: str
    id: int


class Holding(Output):
    """One position: what was paid, what it is worth."""

    ticker: str
    name: str | None
    currency: str = Field(description="Of the trades; every amount here is in it.")
    quantity: Exact = Field(description="In today's shares: splits since a trade are counted in.")
    average_cost: Exact | None = Field(description="Of one share; null for a closed position.")
    cost: Exact | None = Field(
        description="Average cost times quantity, fees included; null for a ticker traded in several currencies."
    )
    price: Exact | None
    price_date: date | None
    price_source: str | None
    market_value: Exact | None
    weight: float | None = Field(description="Share of the portfolio's market value.")
    unrealised_pnl: Exact | None
    realised_pnl: Exact | None
    status: HoldingStatus
    reason: str | None = Field(description="Why there is no value, or why it is not in the totals.")


class HoldingsTotals(Output):
    """Sums over the positions in the base currency that have a price."""

    cost: Exact
    market_value: Exact
    unrealised_pnl: Exact
    realised_pnl: Exact = Field(description="Of all positions in the base currency, closed ones included.")


class Holdings(Output):
    """Open and closed positions of a portfolio, by ticker."""

    portfolio_id: int
    base_currency: str
    as_of: date | None = Field(description="The newest price day that went in.")
    items: list[Holding]
    totals: HoldingsTotals


class ShortHolding(Output):
    """One position in the short form."""

    quantity: Exact
    total_cost: Exact | None
    average_cost: Exact | None
    price: Exact | None
    market_value: Exact | None


class ShortHoldings(RootModel[dict[str, ShortHolding]]):
    """Positions by ticker."""
