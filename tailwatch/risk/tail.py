"""Tail figures of simulated profit and loss: VaR and ES as fixed weightings of the worst outcomes.

A quantile, a tail mean and the neighbourhood of a quantile are all L-statistics: given the number of days, each is a
fixed vector of weights on the sorted outcomes. So one partition of the profit and loss gives every level at once,
and the same weights, put back on their days, give the Euler components (see `components`).

Losses are positive: a figure is minus the weighted profit and loss.
"""

from __future__ import annotations

import math
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tailwatch.risk.arrays import Indices, Matrix, Vector


class Quantile(Enum):
    """Where the α-quantile lies among n sorted outcomes, as a rank counted from 1 (Hyndman & Fan 1996).

    WEIBULL is the convention of every figure of ours; the others are for comparison with peers.
    """

    WEIBULL = "weibull"
    """Type 6, rank (n+1)α: the share of future days beyond it is α on average."""
    LINEAR = "linear"
    """Type 7, rank 1+(n−1)α: numpy's and pandas' default."""
    HIGHER = "higher"
    """The outcome at or above the type 7 rank: the smaller loss."""
    LOWER = "lower"
    """The outcome at or below the type 7 rank: the larger loss."""


def tail_probability(confidence: float) -> float:
    """Return α = 1 − confidence, free of the rounding of the subtraction."""
    return round(1 - confidence, 12)


def quantile_rank(days: int, alpha: float, convention: Quantile = Quantile.WEIBULL) -> float:
    """Return the rank of the α-quantile among `days` outcomes, worst first, between 1 and `days`.

    Beyond the sample (fewer than 1/α − 1 outcomes) the worst outcome stands in: nothing is extrapolated.
    """
    # Products such as (n+1)·α carry rounding noise that a floor or ceiling would turn into a whole rank.
    if convention is Quantile.WEIBULL:
        rank = round((days + 1) * alpha, 9)
    else:
        rank = 1 + round((days - 1) * alpha, 9)
        if convention is Quantile.HIGHER:
            rank = math.ceil(rank)
        elif convention is Quantile.LOWER:
            rank = math.floor(rank)
    return float(min(max(rank, 1), days))


def quantile_weights(days: int, alpha: float, convention: Quantile = Quantile.WEIBULL) -> Vector:
    """Return (days,) weights of the α-quantile on the outcomes, worst first: linear between neighbours."""
    rank = quantile_rank(days, alpha, convention)
    below = math.floor(rank)
    weights = np.zeros(days)
    weights[below - 1] = 1 - (rank - below)
    if rank > below:
        weights[below] = rank - below
    return weights


def tail_mean_weights(days: int, alpha: float) -> Vector:
    """Return (days,) weights of the mean of the worst α·days outcomes, the last one fractional.

    Acerbi & Tasche (2002). Below one outcome the worst one stands in.
    """
    size = max(round(days * alpha, 9), 1.0)
    weights: Vector = np.clip(size - np.arange(days), 0.0, 1.0) / size
    return weights


def neighbourhood_weights(days: int, alpha: float) -> Vector:
    """Return (days,) equal weights on the outcomes whose ranks lie around the α-quantile.

    Within one standard deviation, √(nα(1−α)), of the number of outcomes beyond it: the ranks that sampling error
    cannot tell from the quantile's. Cut to be symmetric at the edge of the sample.
    """
    rank = round(quantile_rank(days, alpha))
    reach = min(max(1, round(math.sqrt(days * alpha * (1 - alpha)))), rank - 1, days - rank)
    weights = np.zeros(days)
    weights[rank - 1 - reach : rank + reach] = 1 / (2 * reach + 1)
    return weights


class TailWeights(NamedTuple):
    """All weightings that the figures need, on the `depth` worst of `days` outcomes; L levels.

    Attributes:
        depth: Outcomes that any of them touches.
        value_at_risk: (L, depth).
        expected_shortfall: (L, depth).
        neighbourhood: (L, depth), of the VaR.
    """

    depth: int
    value_at_risk: Matrix
    expected_shortfall: Matrix
    neighbourhood: Matrix


@lru_cache(maxsize=64)
def tail_weights(days: int, confidences: tuple[float, ...]) -> TailWeights:
    """Return the weightings for samples of that many days; cached, and not to be written to."""
    alphas = [tail_probability(confidence) for confidence in confidences]
    quantiles = np.array([quantile_weights(days, alpha) for alpha in alphas])
    means = np.array([tail_mean_weights(days, alpha) for alpha in alphas])
    around = np.array([neighbourhood_weights(days, alpha) for alpha in alphas])
    touched = np.flatnonzero((quantiles + means + around).any(axis=0))
    depth = int(touched[-1]) + 1
    cut = [np.ascontiguousarray(weights[:, :depth]) for weights in (quantiles, means, around)]
    for weights in cut:
        weights.flags.writeable = False
    return TailWeights(depth, *cut)


class Worst(NamedTuple):
    """The worst outcomes of P portfolios, worst first.

    Attributes:
        days: (P, depth) day of each outcome.
        outcomes: (P, depth) profit and loss.
    """

    days: Indices
    outcomes: Matrix


def worst_outcomes(pnl: Matrix, depth: int) -> Worst:
    """Return the `depth` worst of each row of (P, T) profit and loss."""
    portfolios = np.arange(len(pnl))[:, None]
    if depth < pnl.shape[1]:
        # A partition is linear in T; only the few outcomes in front of it need sorting.
        days = np.argpartition(pnl, depth - 1, axis=1)[:, :depth]
        outcomes = pnl[portfolios, days]
        order = outcomes.argsort(axis=1, kind="stable")
        return Worst(days[portfolios, order], outcomes[portfolios, order])
    days = pnl.argsort(axis=1, kind="stable")
    return Worst(days, pnl[portfolios, days])


def value_at_risk(pnl: Matrix, confidence: float, convention: Quantile = Quantile.WEIBULL) -> Vector:
    """Return the (P,) VaR of (P, T) profit and loss, a positive loss, under any of the conventions."""
    weights = quantile_weights(pnl.shape[1], tail_probability(confidence), convention)
    return -np.sort(pnl, axis=1) @ weights


def expected_shortfall(pnl: Matrix, confidence: float) -> Vector:
    """Return the (P,) fractional-tail ES of (P, T) profit and loss, a positive loss."""
    return -np.sort(pnl, axis=1) @ tail_mean_weights(pnl.shape[1], tail_probability(confidence))
