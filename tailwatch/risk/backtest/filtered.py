"""The filtered method, day by day: volatility-scaled scenarios of many portfolios over a whole history.

With z = R/σ the scenarios for day t are z·(σ_t∘w): one product of matrices a day for all portfolios, and no more than
one scaled column for a portfolio of one instrument. They equal `scaled_returns` of the days before t times w.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from tailwatch.risk import tail
from tailwatch.risk.arrays import Flags, Indices, Matrix, Vector
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.covariance import NO_MOVEMENT
from tailwatch.risk.scenarios import SCENARIO_DAYS, scaled_returns
from tailwatch.risk.volatility import VolatilityModel, conditional_variances, ewma_variance_path

#: Columns whose variances are computed at once: the ten averages of each are in memory at the same time.
_COLUMNS_AT_ONCE: Final = 64


class Step(NamedTuple):
    """Forecasts of some portfolios for one day.

    Attributes:
        portfolios: Their rows.
        day: The row of the returns that is forecast.
        var: (rows, L).
        es: (rows, L).
    """

    portfolios: Indices | slice
    day: int
    var: Matrix
    es: Matrix


def variance_path(
    returns: Matrix,
    *,
    market: Vector | None = None,
    model: VolatilityModel | None = None,
    columns: Indices | None = None,
    ranges: Matrix | None = None,
) -> Matrix:
    """Return the (T+1, N) variances that the model expects for each day from the days before it; rows from 250 on.

    As `conditional_variances`, in bounded memory however many columns there are.

    Args:
        returns: (T, N) simple daily returns, newest last.
        market: (T,) returns of the market; by default the mean of all columns.
        model: Coefficients; the shipped ones by default.
        columns: Only these; the others count in the default market alone.
        ranges: (T, N) variances of the days, for a model that measures by range; NaN where not known.
    """
    market = returns.mean(axis=1) if market is None else market
    model = default_model() if model is None else model
    chosen = np.arange(returns.shape[1]) if columns is None else columns
    variances = np.empty((len(returns) + 1, chosen.size))
    for first in range(0, chosen.size, _COLUMNS_AT_ONCE):
        some = slice(first, first + _COLUMNS_AT_ONCE)
        own = None if ranges is None else ranges[:, chosen[some]]
        variances[:, some] = conditional_variances(returns[:, chosen[some]], market, model, own)
    return variances


def by_day(
    returns: Matrix, weights: Matrix, variances: Matrix, start: int, levels: tuple[float, ...]
) -> Iterator[Step]:
    """Yield the forecasts of every day from `start` on.

    Days with fewer than 250 before them are scaled by an exponential average, as `scenarios_of` has it.

    Args:
        returns: (T, N), newest last.
        weights: (K, N).
        variances: (T+1, N) of `variance_path`.
        start: Row of the first day to forecast, at least 20.
        levels: Confidences.
    """
    modelled = _History(returns, variances, levels).by_day(weights, max(start, SEED_DAYS))
    if start >= SEED_DAYS:
        return modelled
    young = returns[:SEED_DAYS]
    return chain(_History(young, ewma_variance_path(young), levels).by_day(weights, start), modelled)


def tail_figures(outcomes: Matrix, levels: tuple[float, ...]) -> tuple[Matrix, Matrix]:
    """Return (K, L) VaR and ES of (K, T) outcomes: Weibull quantile and fractional tail mean."""
    weights = tail.tail_weights(outcomes.shape[1], levels)
    if weights.depth < outcomes.shape[1]:
        outcomes = np.partition(outcomes, weights.depth - 1, axis=1)[:, : weights.depth]
    losses = -np.sort(outcomes, axis=1)
    return losses @ weights.value_at_risk.T, losses @ weights.expected_shortfall.T


class _History:
    """One return history with its variances: what is known of an instrument is computed once for all days."""

    def __init__(self, returns: Matrix, variances: Matrix, levels: tuple[float, ...]) -> None:
        self._returns = returns
        self._variances = variances
        self._levels = levels
        moving = variances > NO_MOVEMENT**2
        self._deviations = np.where(moving, np.sqrt(variances), 0.0)
        shocks = np.divide(returns, self._deviations[:-1], out=np.zeros_like(returns), where=moving[:-1])
        # A window of days of the transpose goes into a product of matrices without being copied.
        self._shocks = np.ascontiguousarray(shocks.T)
        self._irregular = self._irregular_days(moving)

    def by_day(self, weights: Matrix, start: int) -> Iterator[Step]:
        """Yield the forecasts of every day from `start` on, portfolios of one instrument by themselves."""
        held = np.count_nonzero(weights, axis=1)
        singles, baskets = np.flatnonzero(held <= 1), np.flatnonzero(held > 1)
        columns = np.abs(weights[singles]).argmax(axis=1)
        sizes = weights[singles, columns]
        own_shocks = np.sign(sizes)[:, None] * self._shocks[columns]
        for day in range(start, len(self._returns)):
            first = max(0, day - SCENARIO_DAYS)
            if self._irregular[day]:
                scenarios = scaled_returns(self._returns[first:day], self._variances[first : day + 1])
                yield Step(slice(None), day, *tail_figures(weights @ scenarios.T, self._levels))
                continue
            if singles.size:
                scale = (np.abs(sizes) * self._deviations[day, columns])[:, None]
                var, es = tail_figures(own_shocks[:, first:day], self._levels)
                yield Step(singles, day, var * scale, es * scale)
            if baskets.size:
                scaled = weights[baskets] * self._deviations[day]
                yield Step(baskets, day, *tail_figures(scaled @ self._shocks[:, first:day], self._levels))

    def _irregular_days(self, moving: Flags) -> Flags:
        """Return (T,) the days with scenarios that are no shock times a volatility (see `scaled_returns`).

        That is so where a return has no volatility to be divided by, or an instrument that did move has none now.
        """
        moved = self._returns != 0
        unscaled = np.concatenate(([0], np.cumsum((moved & ~moving[:-1]).any(axis=1))))
        first = np.maximum(np.arange(len(moved)) - SCENARIO_DAYS, 0)
        irregular: Flags = unscaled[:-1] > unscaled[first]
        moved_before = np.logical_or.accumulate(moved, axis=0)[:-1]
        irregular[1:] |= (moved_before & ~moving[1:-1]).any(axis=1)
        return irregular
