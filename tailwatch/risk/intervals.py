"""How sure the headline VaR and ES are: intervals that hold the true figure in about nine of ten cases.

They speak of the estimate from so many days, not of whether tomorrow is like them. For simulated methods the VaR's
interval needs no assumption about the distribution (order statistics). The ES's is made of its asymptotic standard
error; it holds 90 to 94 % at 95 and 97.5 % and 84 to 91 % at 99 % for normal and Student-t outcomes (6 degrees of
freedom) at 500 to 1,000 days, where a bootstrap of so few worst outcomes holds 72 to 89 %
(docs/risk-methods.md has the table). For the methods that rest on one volatility it is the
interval of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Matrix, Values, Vector, row_by_row
from tailwatch.risk.covariance import ewma_weights
from tailwatch.risk.methods import STUDENT_T_FREEDOM
from tailwatch.risk.results import Interval
from tailwatch.risk.tail import tail_probability, tail_weights
from tailwatch.risk.types import CONFIDENCES, Method

#: Of the intervals.
INTERVAL_CONFIDENCE: Final = 0.9
_SIDE: Final = (1 - INTERVAL_CONFIDENCE) / 2
_NORMAL: Final = NormalDist()
#: Variance of the losses beyond the VaR over their squared mean excess, 1/(1−2ξ), in a Student-t's tail: ξ = 1/ν.
_TAIL_SPREAD: Final = 1 / (1 - 2 / STUDENT_T_FREEDOM)


def simulated(pnl: Matrix) -> tuple[Values, Values]:
    """Return the intervals of VaR and ES, (P, L, 2) each at the L levels of `CONFIDENCES`, of (P, T) outcomes.

    The lower bound comes first. One that would lie beyond the worst outcome is NaN, and so is that of an ES of fewer
    than two outcomes.
    """
    days = pnl.shape[1]
    weights = tail_weights(days, CONFIDENCES)
    ranks = [var_ranks(days, confidence) for confidence in CONFIDENCES]
    depth = max(weights.depth, *(nearer for nearer, _ in ranks))
    losses = -np.sort(np.partition(pnl, depth - 1, axis=1)[:, :depth], axis=1)
    tail = losses[:, : weights.depth]
    figures = (
        row_by_row(tail, weights.value_at_risk.T),
        row_by_row(tail, weights.expected_shortfall.T),
        row_by_row(tail**2, weights.expected_shortfall.T),
    )
    of_var, of_es = np.full((2, len(pnl), len(CONFIDENCES), 2), np.nan)
    for level, confidence in enumerate(CONFIDENCES):
        nearer, further = ranks[level]
        of_var[:, level, 0] = losses[:, nearer - 1]
        if further:
            of_var[:, level, 1] = losses[:, further - 1]
        of_es[:, level] = _of_tail_mean(days, confidence, *(figure[:, level] for figure in figures))
    return of_var, of_es


def _of_tail_mean(
    days: int, confidence: float, value_at_risk: Vector, expected_shortfall: Vector, mean_square: Vector
) -> Matrix:
    """Return (P, 2) the interval of the mean of the worst α·days outcomes, given the mean square of those.

    Var(ES) = (Var(loss | tail) + (1−α)(ES−VaR)²) / (αn) (Manistre & Hancock 2005, Variance of the CTE estimator,
    North American Actuarial Journal 9). So few outcomes underrate the variance of the tail: it is taken to be at
    least that of a Student-t's with 6 degrees of freedom, 1.5 (ES−VaR)². On the scale of logarithms, where the
    estimate is less skewed.
    """
    alpha = tail_probability(confidence)
    number = days * alpha
    if number < 2:
        return np.full((len(value_at_risk), 2), np.nan)
    mean = np.where(expected_shortfall > 0, expected_shortfall, np.nan)
    excess = (mean - value_at_risk) ** 2
    spread = np.maximum(mean_square - mean**2, 0.0) * number / (number - 1)
    error = np.sqrt((np.maximum(spread, _TAIL_SPREAD * excess) + (1 - alpha) * excess) / number)
    with np.errstate(over="ignore"):
        reach = np.exp(_student_t(number - 1) * error / mean)
        return np.stack([mean / reach, mean * reach], axis=1)


@lru_cache(maxsize=64)
def _student_t(freedom: float) -> float:
    """Return the quantile of a Student-t for one side of the interval (Abramowitz & Stegun 26.7.5)."""
    z = _NORMAL.inv_cdf(1 - _SIDE)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


@lru_cache(maxsize=64)
def var_ranks(days: int, confidence: float) -> tuple[int, int]:
    """Return the ranks, worst first and from 1, of the outcomes that bound the VaR: the smaller loss, the larger.

    The number of outcomes beyond the true quantile is binomial, whatever the distribution, so each bound fails with a
    probability of at most 5 %. The second rank is 0 where even the worst outcome does not bound it: with fewer than
    59, 119 and 299 days at 95, 97.5 and 99 %.
    """
    alpha = tail_probability(confidence)
    # The distribution of the number beyond, as far as it matters.
    term, below, further, nearer = math.exp(days * math.log1p(-alpha)), 0.0, 0, days
    for count in range(days + 1):
        if below <= _SIDE:
            further = count
        below += term
        if below >= 1 - _SIDE:
            nearer = min(count + 1, days)
            break
        term *= (days - count) / (count + 1) * alpha / (1 - alpha)
    return nearer, further


def of_volatility(figure: float, days: int, method: Method) -> Interval:
    """Return the interval of a figure that is a multiple of one volatility, estimated from `days` returns.

    The logarithm of the volatility has the standard error ½ √((κ−1)/n). κ is 3 for normal returns and 6 for Student-t
    ones with 6 degrees of freedom; of an exponential average, n is the number of equal weights that say as much.
    """
    kurtosis, number = 3.0, float(days)
    if method is Method.STUDENT_T:
        kurtosis += 6 / (STUDENT_T_FREEDOM - 4)
    elif method is Method.EWMA:
        weights = ewma_weights(days)
        number = 1 / float(weights @ weights)
    reach = math.exp(_NORMAL.inv_cdf(1 - _SIDE) * math.sqrt((kurtosis - 1) / number) / 2)
    return Interval(figure / reach, figure * reach)


def basis(method: Method, days: int) -> str:
    """Return in a sentence how the intervals of a method come about."""
    return _BASIS[method](days)


_SIMULATED: Final = (
    "From {} scenarios: VaR by order statistics, ES by its standard error. It is the error of estimating from so "
    "many days."
)
_OF_VOLATILITY: Final = "From the standard error of a volatility that is estimated from {} days."
_BASIS: Final[Mapping[Method, Callable[[int], str]]] = {
    method: _SIMULATED.format if method in {Method.HISTORICAL, Method.FILTERED} else _OF_VOLATILITY.format
    for method in Method
}
