"""The risk snapshot and its history.

Figures named `…_1d` are losses over one session, positive, as fractions of net asset value; null where they cannot
be computed, and then `warnings` or a `reason` says why.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from api.schemas.base import Day, Exact, Input, Moment, Output, Page

State = Literal["fresh", "stale", "computing", "failed", "empty"]
Method = Literal["covariance", "student_t", "ewma", "historical", "filtered"]
PositionStatus = Literal["modelled", "proxied", "excluded", "pending", "unknown"]
Trigger = Literal["trade", "settings", "manual", "prices"]


class Progress(Output):
    """How far a computation is."""

    stage: str
    fraction: float = Field(ge=0, le=1)


class Failure(Output):
    """Why the last computation failed, and when the next is tried."""

    reason: str
    next_attempt_at: Moment | None


class TailFigures(Output):
    """Value at risk and expected shortfall, one day ahead."""

    var_95_1d: float | None
    es_95_1d: float | None
    var_975_1d: float | None
    es_975_1d: float | None
    var_99_1d: float | None
    es_99_1d: float | None


class DayFigures(TailFigures):
    """The same with the volatility of one day."""

    volatility_1d: float | None


class MethodFigures(DayFigures):
    """One method's figures: fractions of net asset value, and in the base currency."""

    amounts: DayFigures


class Headline(TailFigures):
    """The headline method's figures in the base currency."""

    annualized_volatility: float | None


class Interval(Output):
    """Bounds of a figure; null where the data give none."""

    low: float | None
    high: float | None


class TailIntervals(Output):
    """Bounds of each figure; null where the figure itself is."""

    var_95_1d: Interval | None
    es_95_1d: Interval | None
    var_975_1d: Interval | None
    es_975_1d: Interval | None
    var_99_1d: Interval | None
    es_99_1d: Interval | None


class Intervals(TailIntervals):
    """Where the headline figures lie: how well so many days tell them. Fractions, and in the base currency."""

    confidence: float = Field(description="How often such an interval holds the true figure: 0.9.")
    basis: str = Field(description="How they come about, in a sentence.")
    amounts: TailIntervals


class Spread(Output):
    """How far the methods are apart in one figure, as fractions of net asset value."""

    low: float
    low_method: Method
    high: float
    high_method: Method
    spread: float | None = Field(description="(high − low) / the headline's figure.")


class Disagreement(Output):
    """How far the methods are apart."""

    var_95_1d: Spread
    es_95_1d: Spread
    var_975_1d: Spread
    es_975_1d: Spread
    var_99_1d: Spread
    es_99_1d: Spread


class RiskGroup(Output):
    """Positions with something in common; components of all groups add up to the portfolio's figure."""

    label: str | None = Field(description="Null: positions without such a label.")
    market_value: float | None
    weight: float | None
    component_volatility: float | None
    component_var_95: float | None
    component_es_975: float | None
    positions: int


class RiskPosition(Output):
    """One open position and its share of the risk; components of all positions add up to the portfolio's figure."""

    ticker: str = Field(description="CASH-EUR for cash in a foreign currency, where cash counts.")
    quantity: Exact
    currency: str | None = Field(description="Of the price, as its source names it: GBp for pence.")
    rate: Exact | None = Field(description="Base currency for one unit of that; null while it is not known.")
    price: Exact | None
    price_date: date | None
    price_source: str | None
    market_value: Exact | None = Field(description="In base currency.")
    weight: float | None
    volatility: float | None = Field(description="Annualised, of the instrument itself.")
    beta: float | None
    component_volatility: float | None
    component_var_95: float | None
    component_es_975: float | None
    marginal_var_95: float | None
    status: PositionStatus = Field(description="How much of its risk is in the figures; `reason` says why not all.")
    reason: str | None


class Correlation(Output):
    """Correlations of the largest positions' returns; null where a series does not move."""

    tickers: list[str]
    matrix: list[list[float | None]]
    omitted: int = Field(description="Smaller positions left out.")


class Distribution(Output):
    """Histogram of today's positions' profit and loss over the sample's days, in the base currency."""

    edges: list[float] = Field(description="Rising; one more than `counts`. Losses are negative.")
    counts: list[int]
    marks: TailFigures = Field(description="Positive losses: they stand at minus their value on the axis.")


class Drawdown(Output):
    """The deepest fall of the value of today's share quantities over the window."""

    depth: float = Field(description="As a fraction of the peak, positive.")
    from_: date | None = Field(alias="from", description="Day of the peak.")
    to: date | None = Field(description="Day of the trough.")
    recovered: date | None = Field(description="Null while it lasts.")


class Concentration(Output):
    """How much rests on how few."""

    hhi: float
    effective_positions: float
    diversification_ratio: float | None
    effective_bets: float | None = Field(
        default=None,
        description="Uncorrelated bets that the variance rests on, by the entropy of principal components' shares.",
    )


class InstrumentCoverage(Output):
    """Why one held instrument is not modelled by a full history of its own, or how many gaps were bridged."""

    ticker: str
    status: PositionStatus
    reason: str | None
    observations: int
    gaps: int
    last_price_date: date | None


class OldestPrice(Output):
    """The held instrument whose newest price is the oldest."""

    ticker: str
    date: date
    age_days: int = Field(description="Calendar days to the as-of day.")


class Coverage(Output):
    """What the figures rest on; the shares are of gross exposure."""

    modelled: float | None
    proxied: float | None
    excluded: float | None
    unvalued: int = Field(description="Positions without any known value; they are in none of the shares.")
    observations: int = Field(description="Days of returns in the sample.")
    instruments: list[InstrumentCoverage]
    oldest_price: OldestPrice | None


class Warning(Output):  # noqa: A001 - the contract's word
    """Something a reader of the figures must know."""

    code: str
    message: str


class Risk(TailFigures):
    """The newest risk snapshot with its live state. Without one yet every figure is null."""

    state: State
    wanted_revision: int = Field(description="Above `revision` while the snapshot is behind.")
    progress: Progress | None
    failure: Failure | None
    snapshot_id: int | None
    portfolio_id: int
    revision: int
    market_revision: int | None = Field(description="Of the prices that went in.")
    as_of: date | None = Field(description="The newest price day that went in.")
    computed_at: Moment | None
    trigger: Trigger | None
    base_currency: str | None
    nav: Exact | None
    gross: Exact | None
    cash: Exact | None = Field(
        description="In base currency; part of the value once a deposit is booked, or by the portfolio's setting."
    )
    method: Method | None = Field(description="Of the headline figures.")
    confidence: float | None = Field(description="Which value at risk to lead with, such as 0.95.")
    window: int | None = Field(
        description="Sessions of history asked for; `coverage.observations` is what there was."
    )
    annualized_volatility: float | None
    amounts: Headline | None
    methods: dict[Method, MethodFigures]
    intervals: Intervals | None = Field(default=None, description="Absent from snapshots before 0.3.")
    disagreement: Disagreement | None = Field(default=None, description="Absent from snapshots before 0.3.")
    positions: list[RiskPosition]
    by_currency: list[RiskGroup] = Field(default_factory=list, description="Absent from snapshots before 0.3.")
    by_label: dict[str, list[RiskGroup]] = Field(
        default_factory=dict,
        description="By kind of label, such as `sector` and `asset_class`. Absent from snapshots before 0.3.",
    )
    correlation: Correlation | None
    distribution: Distribution | None
    drawdown: Drawdown | None
    beta: float | None
    benchmark: str | None
    concentration: Concentration | None
    coverage: Coverage | None
    warnings: list[Warning]
    inputs_hash: str | None


class Recompute(Output):
    """A computation is wanted."""

    revision: int = Field(description="The coming snapshot carries at least this revision.")
    state: State


class HistoryQuery(Input):
    """The period wanted, by the time of computation."""

    from_: Day | None = Field(default=None, alias="from", description="First day, UTC.")
    to: Day | None = Field(default=None, description="Last day, UTC.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    limit: int = Field(default=500, ge=1, le=2000)


class HistoryRow(TailFigures):
    """Headline figures of one snapshot."""

    snapshot_id: int
    revision: int
    as_of: date | None
    computed_at: Moment
    trigger: Trigger
    method: Method
    base_currency: str
    nav: Exact
    gross: Exact
    annualized_volatility: float | None


class HistoryPage(Page):
    """Snapshots, newest first."""

    items: list[HistoryRow]
