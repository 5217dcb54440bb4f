"""Rolling one-day-ahead forecasts of VaR and ES: day t from the days before t, and from nothing else.

The portfolios keep their weights: what is forecast for day t is the profit and loss `w·R_t`, so the history of a
method that looks at profit and loss alone is `R w`, one series a portfolio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tailwatch.errors import InvalidExposureError, InvalidPriceSeriesError, TooLittleHistoryError
from tailwatch.risk.arrays import Flags, Matrix, Values, Vector
from tailwatch.risk.backtest import filtered
from tailwatch.risk.covariance import NO_MOVEMENT, ewma_weights
from tailwatch.risk.methods import normal_multiples, student_t_multiples
from tailwatch.risk.returns import MINIMUM_OBSERVATIONS
from tailwatch.risk.types import CONFIDENCES, DEFAULT_WINDOW, Method
from tailwatch.risk.volatility import VolatilityModel

#: Is told how many portfolio-days (portfolios × days) were forecast since the last call.
Progress = Callable[[int], None]
#: VaR and ES, (K, L) each, of the next day from (K, T) profit and loss.
Estimate = Callable[[Matrix, tuple[float, ...]], tuple[Matrix, Matrix]]

#: The first row of a return history that can be forecast from the rows before it.
EARLIEST_START: Final = MINIMUM_OBSERVATIONS

#: Days between two calls of a progress callback.
_DAYS_AT_ONCE: Final = 64


@dataclass(frozen=True, eq=False)
class Forecasts:
    """One-day-ahead forecasts of K portfolios by one method on n days at L levels, and what came.

    Attributes:
        method: The method.
        levels: The L confidences.
        start: Row of the returns that the first forecast is for.
        var: (K, n, L) VaR, a positive loss, in the unit of weights × return.
        es: (K, n, L) ES, likewise.
        pnl: (K, n) profit and loss of the day that the forecast is for.
    """

    method: Method
    levels: tuple[float, ...]
    start: int
    var: Values
    es: Values
    pnl: Matrix


def forecasts(
    returns: Matrix,
    weights: Matrix,
    method: Method,
    *,
    start: int,
    window: int = DEFAULT_WINDOW,
    model: VolatilityModel | None = None,
    levels: Sequence[float] = CONFIDENCES,
    market: Vector | None = None,
    variances: Matrix | None = None,
    progress: Progress | None = None,
) -> Forecasts:
    """Forecast every day from `start` on, each from the days before it.

    The figures are those that `tailwatch.risk.measure` gives for the same history: the newest `window` days, fewer
    where there are fewer, or the newest 1000 scaled scenarios for the filtered method. Besides its result, a call
    needs memory for a few matrices of the shape of `returns` and of the profit and loss; a caller with very many
    portfolios passes some at a time.

    Args:
        returns: (T, N) simple daily returns, newest last.
        weights: (K, N) signed, of each portfolio on every day; fractions of NAV, or amounts.
        method: Which.
        start: Row of the first day to forecast, at least `EARLIEST_START`.
        window: Days that all methods but the filtered one see.
        model: Coefficients of the filtered method's volatility; the shipped ones by default.
        levels: Confidences.
        market: (T,) returns of the market in that volatility; by default the mean of all columns.
        variances: (T+1, N) of `filtered.variance_path`, where the caller has them already.
        progress: Is told how far it is.

    Raises:
        TooLittleHistoryError: `start` lies before `EARLIEST_START`, or behind the last day.
        InvalidPriceSeriesError: a return is not finite.
        InvalidExposureError: a weight is not finite, or all of them are zero.
    """
    if not EARLIEST_START <= start < len(returns):
        raise TooLittleHistoryError(
            f"A forecast needs {EARLIEST_START} returns before its day; with {len(returns)} returns in all, the "
            f"first day to forecast cannot be the one with {start} before it."
        )
    if not np.isfinite(returns).all():
        raise InvalidPriceSeriesError("A return is not a finite number.")
    if not np.isfinite(weights).all():
        raise InvalidExposureError("A weight is not a finite number.")
    held = np.flatnonzero(weights.any(axis=0))
    if not held.size:
        raise InvalidExposureError("No portfolio holds anything.")
    some, weights = returns[:, held], np.ascontiguousarray(weights[:, held], dtype=np.float64)
    pnl = weights @ some.T
    still = _still(pnl, weights, some)
    pnl[still] = 0.0
    levels = tuple(levels)
    if method is Method.FILTERED:
        if variances is None:
            variances = filtered.variance_path(returns, market=market, model=model, columns=held)
        else:
            variances = variances[:, held]
        steps = filtered.by_day(some, weights, variances, start, levels)
    else:
        steps = _by_day(pnl, _ESTIMATES[method], start, window, levels)
    shape = (len(weights), len(returns) - start, len(levels))
    var, es = np.empty(shape), np.empty(shape)
    for step in _reporting(steps, progress, len(weights) * _DAYS_AT_ONCE):
        var[step.portfolios, step.day - start], es[step.portfolios, step.day - start] = step.var, step.es
    # Rounding is no risk: a hedge that is perfect is forecast to lose nothing, by every method.
    var[still], es[still] = 0.0, 0.0
    return Forecasts(method, levels, start, var, es, np.ascontiguousarray(pnl[:, start:]))


def _still(pnl: Matrix, weights: Matrix, returns: Matrix) -> Flags:
    """Return (K,) whether a portfolio never moves by more than rounding."""
    scale = np.abs(weights) @ returns.std(axis=0)
    flags: Flags = np.abs(pnl).max(axis=1) <= NO_MOVEMENT * scale
    return flags


def _by_day(
    pnl: Matrix, estimate: Estimate, start: int, window: int, levels: tuple[float, ...]
) -> Iterator[filtered.Step]:
    """Yield the forecasts of a method that looks at the profit and loss of the window alone."""
    for day in range(start, pnl.shape[1]):
        yield filtered.Step(slice(None), day, *estimate(pnl[:, max(0, day - window) : day], levels))


def _reporting(steps: Iterator[filtered.Step], progress: Progress | None, at_once: int) -> Iterator[filtered.Step]:
    """Pass the steps on, and tell after every so many portfolio-days."""
    untold = 0
    for step in steps:
        yield step
        untold += len(step.var)
        if progress is not None and untold >= at_once:
            progress(untold)
            untold = 0
    if progress is not None and untold:
        progress(untold)


def _sample_deviation(pnl: Matrix) -> Vector:
    """Return (K,) sample standard deviations, ddof 1; zero where only rounding moves."""
    deviations: Vector = pnl.std(axis=1, ddof=1)
    deviations[deviations <= NO_MOVEMENT * np.abs(pnl[:, 0])] = 0.0
    return deviations


def _covariance(pnl: Matrix, levels: tuple[float, ...]) -> tuple[Matrix, Matrix]:
    return _multiples(_sample_deviation(pnl), levels, normal_multiples)


def _student_t(pnl: Matrix, levels: tuple[float, ...]) -> tuple[Matrix, Matrix]:
    return _multiples(_sample_deviation(pnl), levels, student_t_multiples)


def _ewma(pnl: Matrix, levels: tuple[float, ...]) -> tuple[Matrix, Matrix]:
    variances: Vector = (pnl * pnl) @ ewma_weights(pnl.shape[1])
    return _multiples(np.sqrt(variances), levels, normal_multiples)


def _multiples(
    deviations: Vector, levels: tuple[float, ...], multiples: Callable[[float], tuple[float, float]]
) -> tuple[Matrix, Matrix]:
    """Return (K, L) VaR and ES of a distribution that is known but for its standard deviation."""
    factors = np.array([multiples(level) for level in levels])
    return np.outer(deviations, factors[:, 0]), np.outer(deviations, factors[:, 1])


_ESTIMATES: Final[dict[Method, Estimate]] = {
    Method.HISTORICAL: filtered.tail_figures,
    Method.COVARIANCE: _covariance,
    Method.EWMA: _ewma,
    Method.STUDENT_T: _student_t,
}
