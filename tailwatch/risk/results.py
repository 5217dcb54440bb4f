"""What the risk core hands back: one portfolio's figures as frozen dataclasses.

VaR and ES are positive losses over one day. A fraction is a fraction of NAV. A figure that cannot be computed is
None, and a warning says why; no figure is ever NaN or infinite.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tailwatch.risk.types import Method, Status


def members(one: Any) -> dict[str, Any]:
    """Return the members of a result by name, as they are: `asdict` copies each one, which costs a trade its time."""
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class TailFigures:
    """VaR and ES at the three levels over one day; all None where they cannot be computed."""

    var_95_1d: float | None = None
    es_95_1d: float | None = None
    var_975_1d: float | None = None
    es_975_1d: float | None = None
    var_99_1d: float | None = None
    es_99_1d: float | None = None


@dataclass(frozen=True, slots=True)
class HeadlineFigures(TailFigures):
    """The headline method's figures. The volatility is annualised by √252."""

    annualized_volatility: float | None = None


@dataclass(frozen=True, slots=True)
class MethodFigures(TailFigures):
    """One method's figures. The volatility is that of one day."""

    volatility_1d: float | None = None


@dataclass(frozen=True, slots=True)
class MethodReport:
    """One method's figures, as fractions of NAV and in base currency."""

    fractions: MethodFigures
    amounts: MethodFigures


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a figure; a bound that the data do not give is None."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Intervals:
    """Where the headline figures lie with 90 % confidence.

    Attributes:
        confidence: 0.9.
        basis: How they come about, in a sentence.
        fractions: By figure, such as `var_95_1d`; None where fractions of NAV say nothing.
        amounts: The same in base currency.
    """

    confidence: float
    basis: str
    fractions: dict[str, Interval] | None
    amounts: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far the methods are apart in one figure.

    Attributes:
        low: The smallest, a fraction of NAV.
        low_method: Whose.
        high: The largest.
        high_method: Whose.
        spread: (high − low) / the headline's; None where that is not positive.
    """

    low: float
    low_method: Method
    high: float
    high_method: Method
    spread: float | None


@dataclass(frozen=True, slots=True)
class RiskGroup:
    """Positions with something in common.

    Attributes:
        label: What they have in common; None: no label.
        market_value: Their sum, signed, base currency.
        weight: market_value / NAV.
        component_volatility: The sum of their shares, and so are the next two.
        component_var_95: A fraction of NAV.
        component_es_975: A fraction of NAV.
        positions: How many.
    """

    label: str | None
    market_value: float | None
    weight: float | None
    component_volatility: float | None
    component_var_95: float | None
    component_es_975: float | None
    positions: int


@dataclass(frozen=True, slots=True)
class PositionRisk:
    """One position and its part in the portfolio's risk.

    Attributes:
        ticker: Its name.
        market_value: Signed, base currency; None where it is not known.
        weight: market_value / NAV.
        volatility: The instrument's own, annualised, by the covariance of the window, whatever the headline method.
        beta: The instrument's, against the benchmark.
        component_volatility: Its share of the annualised volatility; a fraction of NAV. The shares of all positions
            add up to the portfolio's figure, and so do the next two.
        component_var_95: Its share of the one-day 95 % VaR; a fraction of NAV.
        component_es_975: Its share of the one-day 97.5 % ES; a fraction of NAV.
        marginal_var_95: Currency of 95 % VaR added by one more unit of currency held in it.
        status: How much of its risk is in the figures.
        reason: Why it is not modelled by its own history, or None.
    """

    ticker: str
    market_value: float | None
    weight: float | None
    volatility: float | None
    beta: float | None
    component_volatility: float | None
    component_var_95: float | None
    component_es_975: float | None
    marginal_var_95: float | None
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Correlation:
    """Sample correlations of the largest positions.

    Attributes:
        tickers: Largest market value first.
        matrix: One row a ticker, same order, to six decimals; None where one of the two never moved.
        omitted: Smaller positions left out.
    """

    tickers: list[str]
    matrix: list[list[float | None]]
    omitted: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """Histogram of today's positions' profit and loss over the headline method's scenarios, base currency.

    Attributes:
        edges: Rising bin edges on round numbers, zero among them where it lies inside; bin i is
            [edges[i], edges[i+1]), the last one closed.
        counts: Scenarios in each bin.
        marks: VaR and ES of the headline method, positive losses: they stand at minus their value on the axis.
    """

    edges: list[float]
    counts: list[int]
    marks: TailFigures


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the value path of today's share quantities over the window.

    Attributes:
        depth: Fall from the peak as a fraction of the peak's value, positive.
        start: The peak's day; None where the path never falls.
        end: The trough's day.
        recovered: The first day after the trough at or above the peak; None while it lasts.
    """

    depth: float
    start: date | None
    end: date | None
    recovered: date | None


@dataclass(frozen=True, slots=True)
class Concentration:
    """How spread out the portfolio is.

    Attributes:
        hhi: Sum of squared gross weights |v|/Σ|v|: 1 for a single position.
        effective_positions: 1/hhi: that many equal positions would be as concentrated.
        diversification_ratio: Σ|v|σ / σ of the portfolio; 1 where nothing is diversified away.
        effective_bets: Uncorrelated bets that the variance rests on (Meucci 2009, principal components).
    """

    hhi: float
    effective_positions: float
    diversification_ratio: float | None
    effective_bets: float | None


@dataclass(frozen=True, slots=True)
class InstrumentCoverage:
    """Why one held instrument is not modelled by a full history of its own, or how many gaps were bridged."""

    ticker: str
    status: Status
    reason: str | None
    observations: int
    gaps: int
    last_price_date: date | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the figures rest on.

    Attributes:
        modelled: Share of gross exposure; the three add up to 1, and are None while nothing has a value.
        proxied: Share of gross exposure.
        excluded: Share of gross exposure.
        unvalued: Positions without any known value; they are in none of the shares.
        observations: Daily returns, or scenarios, that the headline method rests on.
        instruments: Held instruments that are not fully modelled or have gaps.
        oldest_price_ticker: Held instrument with the oldest newest price.
        oldest_price_date: The day of that price.
        oldest_price_age_days: Calendar days from it to the as-of day.
    """

    modelled: float | None
    proxied: float | None
    excluded: float | None
    unvalued: int
    observations: int
    instruments: tuple[InstrumentCoverage, ...]
    oldest_price_ticker: str | None
    oldest_price_date: date | None
    oldest_price_age_days: int | None


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something the reader should know about the figures: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RiskReport:
    """Everything a snapshot says about a portfolio's risk.

    Attributes:
        as_of: The day of the values.
        nav: Σ market values + cash, base currency.
        gross: Σ |market values|, base currency.
        cash: Base currency.
        method: Of the headline figures.
        confidence: The level that the page leads with.
        window: Sessions asked for; `coverage.observations` is what there was.
        fractions: Headline figures as fractions of NAV.
        amounts: Headline figures in base currency.
        methods: Each computed method's figures; empty where nothing is modelled.
        intervals: Of the headline figures; None with nothing modelled.
        disagreement: Of the methods, by figure; None where there are no fractions.
        positions: Largest absolute market value first, unvalued ones last.
        by_currency: Positions by currency.
        by_label: Positions by each kind of label, such as "sector".
        correlation: None with nothing modelled.
        distribution: None with nothing modelled.
        drawdown: None where nothing is modelled or the value path is not positive throughout.
        beta: Of profit and loss / NAV against the benchmark.
        benchmark: Its ticker; None without a usable one.
        concentration: None with no valued position.
        coverage: What the figures rest on.
        warnings: Most weighty first.
    """

    as_of: date
    nav: float
    gross: float
    cash: float
    method: Method
    confidence: float
    window: int
    fractions: HeadlineFigures
    amounts: HeadlineFigures
    methods: dict[Method, MethodReport]
    intervals: Intervals | None
    disagreement: dict[str, Disagreement] | None
    positions: tuple[PositionRisk, ...]
    by_currency: tuple[RiskGroup, ...]
    by_label: dict[str, tuple[RiskGroup, ...]]
    correlation: Correlation | None
    distribution: Distribution | None
    drawdown: Drawdown | None
    beta: float | None
    benchmark: str | None
    concentration: Concentration | None
    coverage: Coverage
    warnings: tuple[Caveat, ...]
