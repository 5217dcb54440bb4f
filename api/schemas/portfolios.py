"""Portfolios and their holdings."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, RootModel

from api.schemas.base import (
    LEFT_OUT,
    Change,
    Currency,
    Exact,
    Input,
    Moment,
    Name,
    Output,
    Page,
    Ticker,
)

RiskMethod = Literal["filtered", "historical", "ewma", "covariance", "student_t"]
Covariance = Literal["sample", "ledoit_wolf"]
Confidence = Literal["95", "97.5", "99"]
CostBasis = Literal["average", "fifo"]
CashTracking = Literal["auto", "on", "off"]
HoldingStatus = Literal["ok", "pending", "unknown", "failed", "excluded"]

_WINDOW = "Sessions of return history that the estimators see."
_METHOD = "Of the headline figures."
_COVARIANCE = "Behind volatility, and behind the covariance and Student-t methods."
_COST_BASIS = "Which shares a sale is of: a part of all, or those held longest."
_CASH = "Whether cash is part of the value; auto: once a deposit or withdrawal is booked."
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
    cost_basis: CostBasis = Field(default="average", description=_COST_BASIS)
    cash_tracking: CashTracking = Field(default="auto", description=_CASH)


class PortfolioChange(Change):
    """Changes to a portfolio."""

    name: Name = Field(default=LEFT_OUT)
    base_currency: Currency = Field(default=LEFT_OUT)
    benchmark: Ticker | None = Field(default=None, description=_BENCHMARK + " Null for none.")
    risk_method: RiskMethod = Field(default=LEFT_OUT, description=_METHOD)
    risk_covariance: Covariance = Field(default=LEFT_OUT, description=_COVARIANCE)
    risk_window: int = Field(default=LEFT_OUT, ge=60, le=2500, description=_WINDOW)
    risk_confidence: Confidence = Field(default=LEFT_OUT)
    cost_basis: CostBasis = Field(default=LEFT_OUT, description=_COST_BASIS)
    cash_tracking: CashTracking = Field(default=LEFT_OUT, description=_CASH)
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
    cost_basis: CostBasis
    cash_tracking: CashTracking
    is_default: bool
    revision: int = Field(description="Rises with every change that affects risk.")
    created_at: Moment


class PortfolioPage(Page):
    """The caller's portfolios, oldest first."""

    items: list[Portfolio]


class Holding(Output):
    """One position: what was paid, what it is worth."""

    ticker: str
    name: str | None
    currency: str = Field(description="Of the entries; every amount that is not called base is in it.")
    quantity: Exact = Field(description="In today's shares: splits since a trade are counted in.")
    average_cost: Exact | None = Field(description="Of one share; null for a closed position.")
    cost: Exact | None = Field(
        description="Of the open quantity, fees and taxes included; null for a ticker booked in several currencies."
    )
    cost_base: Exact | None = Field(description="In base currency, each entry at the rate of its day.")
    price: Exact | None
    price_currency: str | None = Field(description="As its source names it: GBp for pence.")
    price_date: date | None
    price_source: str | None
    market_value: Exact | None
    market_value_base: Exact | None
    weight: float | None = Field(description="Share of the portfolio's value.")
    unrealised_pnl: Exact | None
    unrealised_pnl_base: Exact | None = Field(description="What the exchange rate did since is in it.")
    realised_pnl: Exact | None
    realised_pnl_base: Exact | None
    dividends: Exact | None = Field(description="And interest of the instrument, after fees and taxes.")
    dividends_base: Exact | None
    status: HoldingStatus
    reason: str | None = Field(description="Why there is no value, or why it is not in the totals.")


class CashBalance(Output):
    """Money in one currency."""

    currency: str
    amount: Exact = Field(description="Negative where more was paid than was there.")
    base_amount: Exact | None = Field(description="In base currency; null while the rate is not known.")


class HoldingsTotals(Output):
    """Sums in base currency over what is known."""

    cost: Exact
    market_value: Exact
    unrealised_pnl: Exact
    realised_pnl: Exact = Field(description="Of all positions, closed ones included.")
    dividends: Exact
    cash: Exact
    value: Exact = Field(description="Market value, and cash if it counts.")
    incomplete: list[str] = Field(description="Tickers whose cost or profit is left out, for want of a day's rate.")


class Holdings(Output):
    """Open and closed positions of a portfolio, by ticker."""

    portfolio_id: int
    base_currency: str
    cost_basis: CostBasis
    as_of: date | None = Field(description="The newest price day that went in.")
    items: list[Holding]
    cash: list[CashBalance]
    counts_cash: bool = Field(description="Whether cash is part of the portfolio's value.")
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
