"""What the risk core is given: price series, the aligned sample, exposures and settings.

Amounts are floats in the portfolio's base currency; exact money stays in `tailwatch.book`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

import numpy as np

from tailwatch.errors import InvalidExposureError, InvalidPriceSeriesError, InvalidRiskSettingsError
from tailwatch.risk import covariance, drawdown
from tailwatch.risk.arrays import Days, Flags, Matrix, Values, Vector, row_by_row
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.scenarios import Scenarios, scenarios_of
from tailwatch.risk.shrinkage import Shrinkage, ledoit_wolf

#: Days of return history that the estimators see unless a portfolio says otherwise.
DEFAULT_WINDOW = 500
#: The levels at which every method states VaR and ES.
CONFIDENCES = (0.95, 0.975, 0.99)
#: Larger amounts are refused, and smaller ones are zero: their squares would leave the range of a float.
LARGEST_AMOUNT = 1e60
SMALLEST_AMOUNT = 1e-60


class Method(StrEnum):
    """How the next day's profit and loss is modelled (docs/risk-methods.md)."""

    COVARIANCE = "covariance"
    STUDENT_T = "student_t"
    EWMA = "ewma"
    HISTORICAL = "historical"
    FILTERED = "filtered"


class CovarianceEstimator(StrEnum):
    """How the covariance of the window is estimated: as it is, or shrunk towards a multiple of the identity."""

    SAMPLE = "sample"
    LEDOIT_WOLF = "ledoit_wolf"


class Status(StrEnum):
    """How much of a position's risk is in the figures.

    modelled: by its own returns over the whole window. proxied: part of its returns stand in from beta and its own
    residuals. excluded: its value counts, its risk does not. pending: its first prices are being fetched.
    unknown: no price source knows it.
    """

    MODELLED = "modelled"
    PROXIED = "proxied"
    EXCLUDED = "excluded"
    PENDING = "pending"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class PriceSeries:
    """The adjusted closes of one instrument.

    Attributes:
        ticker: Its name; the key of `RiskInputs.market_values`.
        dates: (n,) datetime64[D], strictly rising.
        closes: (n,) float64, adjusted for splits and dividends. A value that is not a positive number counts as
            missing on that day.
        ranges: (n,) variance of each day from its open, high and low (`tailwatch.risk.ranges`), NaN where not known;
            None: of no day.

    Raises:
        InvalidPriceSeriesError: the arrays differ in length, or the dates do not rise.
    """

    ticker: str
    dates: Days
    closes: Vector
    ranges: Vector | None = None

    def __post_init__(self) -> None:
        if self.ranges is not None and self.ranges.shape != self.dates.shape:
            raise InvalidPriceSeriesError(
                f"{self.ticker}: {self.dates.size} dates and {self.ranges.size} ranges do not belong together."
            )
        if self.dates.ndim != 1 or self.dates.shape != self.closes.shape:
            raise InvalidPriceSeriesError(
                f"{self.ticker}: {self.dates.size} dates and {self.closes.size} prices do not belong together."
            )
        if self.dates.dtype != np.dtype("datetime64[D]") or self.closes.dtype != np.float64:
            raise InvalidPriceSeriesError(
                f"{self.ticker}: dates are datetime64[D] and prices float64; got {self.dates.dtype} and "
                f"{self.closes.dtype}."
            )
        if not (self.dates[1:] > self.dates[:-1]).all():
            raise InvalidPriceSeriesError(f"{self.ticker}: the dates of its prices do not rise strictly.")


@dataclass(frozen=True)
class AlignedInstrument:
    """What became of one price series in the sample.

    Attributes:
        ticker: Its name.
        status: modelled, proxied or excluded.
        reason: Why it is not modelled, or None.
        observations: Days in the window with a price of their own and a return from it.
        gaps: Days in the window on which an older price was carried forward.
        last_price_date: The newest price; None without any.
    """

    ticker: str
    status: Status
    reason: str | None
    observations: int
    gaps: int
    last_price_date: date | None


@dataclass(frozen=True, eq=False)
class AlignedBenchmark:
    """The benchmark on the sample's sessions.

    Attributes:
        ticker: Its name.
        returns: (T,) simple daily returns; 0 where `known` is False.
        known: (T,) whether the day's return is known.
    """

    ticker: str
    returns: Vector
    known: Flags


@dataclass(frozen=True, eq=False)
class Sample:
    """Aligned return history: everything that depends on prices and the window, and on no exposure.

    `tailwatch.risk.align` makes it. The derived statistics are computed on first use and kept, so a sample held
    between two trades makes the second measurement cheaper.

    Attributes:
        tickers: The M instruments with a column: modelled and proxied ones.
        sessions: (T+1,) days of the prices; empty where no instrument could be used. `sessions[1:]` are the days
            of `returns`.
        returns: (T, M) simple daily returns, newest last, column-contiguous. Never NaN.
        instruments: What became of every series given, excluded ones included, in the order given.
        window: Sessions asked for; T is smaller where history is.
        benchmark: The benchmark, or None where none was given or it has too little history.
        benchmark_reason: Why `benchmark` is None although one was given.
        given_scenarios: Volatility-scaled scenarios made of more history than the window; None: of `returns`.
        scenario_instruments: What became of every series in the days of those scenarios; empty: as `instruments`.
        ranges: (T, M) variance of each day from its open, high and low, NaN where not known; None: of no day.
    """

    tickers: tuple[str, ...]
    sessions: Days
    returns: Matrix
    instruments: tuple[AlignedInstrument, ...]
    window: int
    benchmark: AlignedBenchmark | None = None
    benchmark_reason: str | None = None
    given_scenarios: Scenarios | None = None
    scenario_instruments: tuple[AlignedInstrument, ...] = ()
    ranges: Matrix | None = None

    @cached_property
    def scenarios(self) -> Scenarios:
        """The volatility-scaled scenarios of the filtered method."""
        if self.given_scenarios is not None:
            return self.given_scenarios
        average = self.returns.sum(axis=1) / max(len(self.tickers), 1)
        return scenarios_of(self.returns, average, default_model())

    @property
    def filtered(self) -> Matrix:
        """(S, M) volatility-scaled scenario returns, newest last, column-contiguous."""
        return self.scenarios.returns

    @property
    def filtered_fallback(self) -> str | None:
        """Why the scenarios are not scaled by the volatility model, or None."""
        return self.scenarios.fallback

    @property
    def volatility_now(self) -> Vector:
        """(M,) daily standard deviations that are expected of the next day."""
        return self.scenarios.volatility_now

    @cached_property
    def index(self) -> dict[str, int]:
        """Column of each ticker."""
        return {ticker: column for column, ticker in enumerate(self.tickers)}

    @cached_property
    def outcome(self) -> dict[str, AlignedInstrument]:
        """What became of each series, by ticker."""
        return {instrument.ticker: instrument for instrument in self.instruments}

    @cached_property
    def scenario_outcome(self) -> dict[str, AlignedInstrument]:
        """What became of each series in the days of the scenarios, by ticker."""
        return {instrument.ticker: instrument for instrument in self.scenario_instruments or self.instruments}

    @cached_property
    def sample_variances(self) -> Vector:
        """(M,) daily sample variances, ddof 1."""
        return covariance.sample_variances(self.returns)

    @cached_property
    def volatilities(self) -> Vector:
        """(M,) daily sample standard deviations."""
        return np.sqrt(self.sample_variances)

    @cached_property
    def ewma_volatilities(self) -> Vector:
        """(M,) daily EWMA standard deviations, mean zero."""
        return np.sqrt(covariance.ewma_variances(self.returns))

    @cached_property
    def principal_components(self) -> tuple[Values, Matrix]:
        """(1, M, K) principal components of the window's returns, K ≤ M, and their (1, K) daily variances."""
        rows = self.returns.T[None]
        return covariance.principal_components(rows - rows.mean(axis=2, keepdims=True))

    @cached_property
    def shrinkage(self) -> Shrinkage:
        """Of the sample covariance."""
        return ledoit_wolf(self.returns)

    @cached_property
    def price_relatives(self) -> Matrix:
        """(T+1, M) price of each session over the newest price."""
        return drawdown.price_relatives(self.returns)

    @cached_property
    def beta_weights(self) -> Vector | None:
        """(T,) weights w with beta(x) = w·x against the benchmark; None without one that moves."""
        if self.benchmark is None:
            return None
        return covariance.beta_weights(self.benchmark.returns, self.benchmark.known)

    @cached_property
    def betas(self) -> Vector | None:
        """(M,) betas of the instruments; None where `beta_weights` is."""
        return None if self.beta_weights is None else row_by_row(self.returns.T, self.beta_weights)


@dataclass(frozen=True)
class RiskSettings:
    """How a portfolio wants to be measured.

    Attributes:
        method: Of the headline figures and the components.
        confidence: The level that the page leads with; changes no figure.
        covariance: Behind the annualised volatility, and behind the covariance and Student-t methods.

    Raises:
        InvalidRiskSettingsError: the confidence is none of 0.95, 0.975 and 0.99.
    """

    method: Method = Method.FILTERED
    confidence: float = 0.95
    covariance: CovarianceEstimator = CovarianceEstimator.SAMPLE

    def __post_init__(self) -> None:
        if self.confidence not in CONFIDENCES:
            raise InvalidRiskSettingsError(f"The confidence is 0.95, 0.975 or 0.99, not {self.confidence}.")


@dataclass(frozen=True)
class UnmodelledPosition:
    """A position that the caller knows cannot be modelled.

    Attributes:
        ticker: Its name.
        status: pending, unknown or excluded.
        reason: A sentence for the reader: "Its price is being fetched."
        market_value: Signed, base currency; None where it is not known. A known value counts in NAV and gross.
        price_date: The day of the price behind `market_value`, or None.

    Raises:
        InvalidExposureError: the status says that it is modelled, or the value is not finite or absurdly large.
    """

    ticker: str
    status: Status
    reason: str
    market_value: float | None = None
    price_date: date | None = None

    def __post_init__(self) -> None:
        if self.status in {Status.MODELLED, Status.PROXIED}:
            raise InvalidExposureError(f"{self.ticker}: a position that cannot be modelled is not {self.status}.")
        if self.market_value is not None:
            _check_amount(self.ticker, self.market_value)


@dataclass(frozen=True)
class RiskInputs:
    """One portfolio on one day.

    Attributes:
        sample: From `align`; may hold instruments that this portfolio does not.
        market_values: Signed market value by ticker, base currency; shorts are negative, zeros are ignored. A ticker
            without a column in the sample is excluded with the sample's reason; its value counts in NAV and gross.
        as_of: The day that the values belong to; ages are counted from it.
        settings: Method and leading confidence.
        cash: Base currency; may be negative.
        unmodelled: Positions without a usable price.
        currencies: Currency by ticker.
        labels: Label by ticker, by kind of label, such as "sector".
        due_days: The session after the newest price, by ticker, where a market calendar tells it.

    Raises:
        InvalidExposureError: a value or the cash is not finite or absurdly large, or a ticker stands in both lists.
    """

    sample: Sample
    market_values: Mapping[str, float]
    as_of: date
    settings: RiskSettings = field(default_factory=RiskSettings)
    cash: float = 0.0
    unmodelled: Sequence[UnmodelledPosition] = ()
    currencies: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    due_days: Mapping[str, date] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for ticker, value in self.market_values.items():
            _check_amount(ticker, value)
        _check_amount("cash", self.cash)
        for position in self.unmodelled:
            if position.ticker in self.market_values:
                raise InvalidExposureError(
                    f"{position.ticker} has a market value and stands among the unmodelled, too."
                )


def _check_amount(name: str, amount: float) -> None:
    if not abs(amount) <= LARGEST_AMOUNT:  # NaN fails every comparison
        raise InvalidExposureError(f"{name}: {amount} is not an amount that can be measured.")
