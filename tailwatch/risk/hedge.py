"""The best single hedge: the one more position, long or short, that leaves the least expected shortfall.

What is minimised is the 97.5 % ES of the headline method in base currency. Of p + u·r it is convex in the size u, and
its slope at u is minus the weighted mean of r over the worst days. So the tangents bound the least ES of a candidate
from below, and one whose bound is above the best that was found needs no further look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tailwatch.risk.arrays import Indices, Matrix, Vector
from tailwatch.risk.covariance import NO_MOVEMENT, ewma_weights
from tailwatch.risk.headline import headline_figures
from tailwatch.risk.methods import OF_COVARIANCE, scenarios_for
from tailwatch.risk.tail import tail_mean_weights, tail_probability, worst_outcomes
from tailwatch.risk.types import CovarianceEstimator, Method, RiskSettings, Sample
from tailwatch.risk.whatif import Figure, amounts

#: What a hedge makes smallest, and its level.
HEDGED: Final[Figure] = "es_975_1d"
HEDGED_LEVEL: Final = 0.975
#: No hedge is larger than that many times the gross exposure of what is modelled.
LARGEST_HEDGE: Final = 4.0
#: Candidates of a hedge: the largest positions, and the benchmark.
MOST_CANDIDATES: Final = 50
#: A hedge that takes away less than this share of the figure is none.
SMALLEST_GAIN: Final = 1e-3

#: How near to the true minimum, as a share of the figure without hedge.
_TOLERANCE: Final = 1e-10
_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class Hedge:
    """The trade that lowers the expected shortfall most.

    Attributes:
        column: Of its instrument.
        value: Its signed market value; negative sells.
        before: 97.5 % ES without it, base currency.
        after: With it.
    """

    column: int
    value: float
    before: float
    after: float


def best_hedge(sample: Sample, held: Vector, candidates: Indices, settings: RiskSettings) -> Hedge | None:
    """Return the best single trade among some instruments, None where none lowers the ES by a thousandth.

    Args:
        sample: Holds every instrument.
        held: (M,) signed market values.
        candidates: Columns to try.
        settings: Of the portfolio.
    """
    if not candidates.size or not held.any():
        return None
    largest = LARGEST_HEDGE * float(np.abs(held).sum())
    if settings.method in OF_COVARIANCE or settings.method is Method.EWMA:
        sizes, left = _least_variance(sample, held, candidates, largest, settings)
    else:
        returns = scenarios_for(settings.method, sample)
        sizes, left = _least_shortfall(returns @ held, np.ascontiguousarray(returns[:, candidates].T), largest)
    best = int(left.argmin())
    column, value = int(candidates[best]), float(sizes[best])
    both = np.stack([held, held])
    both[1, column] += value
    before, after = amounts(headline_figures(sample, both, settings))[HEDGED].tolist()
    if before <= 0 or after > before * (1 - SMALLEST_GAIN):
        return None
    return Hedge(column, value, before, after)


def candidates_of(held: Vector, others: Sequence[int] = ()) -> Indices:
    """Return the columns of the largest positions and of `others`, each once."""
    largest = np.argsort(-np.abs(held), kind="stable")[:MOST_CANDIDATES]
    return np.unique(np.concatenate([largest[held[largest] != 0], np.array(others, dtype=np.intp)]))


def _least_variance(
    sample: Sample, held: Vector, columns: Indices, largest: float, settings: RiskSettings
) -> tuple[Vector, Vector]:
    """Return the (K,) sizes with the least variance, and that variance: −cov/var, the regression's slope.

    The ES of these methods is a multiple of the volatility. For the Student-t and covariance methods it is that of
    the covariance asked for; for EWMA that of the weights of EWMA.
    """
    returns = sample.returns[:, columns]
    pnl = sample.returns @ held
    if settings.method is Method.EWMA:
        weights = ewma_weights(len(returns))
        total, covariances = float(weights @ pnl**2), (weights * pnl) @ returns
        variances = weights @ (returns * returns)
    else:
        deviations = pnl - pnl.mean()
        degrees = len(pnl) - 1
        total, covariances = float(deviations @ deviations) / degrees, deviations @ returns / degrees
        variances = sample.sample_variances[columns]
        if settings.covariance is CovarianceEstimator.LEDOIT_WOLF:
            intensity, variance = sample.shrinkage
            total = (1 - intensity) * total + intensity * variance * float(held @ held)
            covariances = (1 - intensity) * covariances + intensity * variance * held[columns]
            variances = (1 - intensity) * variances + intensity * variance
    best = np.divide(-covariances, variances, out=np.zeros_like(variances), where=variances > NO_MOVEMENT**2)
    sizes: Vector = np.clip(best, -largest, largest)
    return sizes, total + sizes * (2 * covariances + sizes * variances)


class _Tangent(NamedTuple):
    """(K,) sizes with the ES there and its slope."""

    size: Vector
    value: Vector
    slope: Vector

    def put(self, where: Indices, other: _Tangent, rows: Indices) -> None:
        """Take the rows of another one over, in place."""
        for mine, theirs in zip(self, other, strict=True):
            mine[where] = theirs[rows]


def _least_shortfall(pnl: Vector, returns: Matrix, largest: float) -> tuple[Vector, Vector]:
    """Return the (K,) sizes with the least ES of pnl + size · returns, and that ES.

    Those that are clearly not the best of all are given up early: their sizes are only somewhere near.

    Args:
        pnl: (S,) without hedge.
        returns: (K, S) of the candidates.
        largest: No size is beyond it.
    """
    weights = tail_mean_weights(pnl.size, tail_probability(HEDGED_LEVEL))
    weights = weights[weights > 0]

    def tangent(rows: Indices, sizes: Vector) -> _Tangent:
        moved = returns[rows]
        worst = worst_outcomes(pnl + sizes[:, None] * moved, weights.size)
        slopes = -np.take_along_axis(moved, worst.days, axis=1) @ weights
        return _Tangent(sizes, -worst.outcomes @ weights, slopes)

    worst = worst_outcomes(pnl[None, :], weights.size)
    start = float(-worst.outcomes[0] @ weights)
    slopes = -returns[:, worst.days[0]] @ weights
    everyone = np.arange(len(returns))
    near = _Tangent(np.zeros(len(returns)), np.full(len(returns), start), slopes)
    far = tangent(everyone, -np.sign(slopes) * largest)
    best_sizes, best = near.size.copy(), near.value.copy()

    def keep(rows: Indices, found: _Tangent) -> None:
        better = found.value < best[rows]
        best[rows[better]], best_sizes[rows[better]] = found.value[better], found.size[better]

    keep(everyone, far)
    # Where ES still falls at the largest size, that is the best there is.
    open_rows = everyone[(near.slope * far.slope < 0)]
    for step in range(_STEPS):
        crossing, bound = _crossing(near, far, open_rows)
        open_rows, crossing = (each[bound < best.min() - _TOLERANCE * abs(start)] for each in (open_rows, crossing))
        if not open_rows.size:
            break
        # Tangents alone can creep up from one side; halving every third time keeps the interval shrinking.
        sizes = crossing if step % 3 < 2 else (near.size[open_rows] + far.size[open_rows]) / 2
        found = tangent(open_rows, sizes)
        keep(open_rows, found)
        falling = np.sign(found.slope) == np.sign(near.slope[open_rows])
        near.put(open_rows[falling], found, np.flatnonzero(falling))
        far.put(open_rows[~falling], found, np.flatnonzero(~falling))
    return best_sizes, best


def _crossing(near: _Tangent, far: _Tangent, rows: Indices) -> tuple[Vector, Vector]:
    """Return where the two tangents of each row cross, and how low: no size between has less."""
    size, value, slope = (each[rows] for each in near)
    far_size, far_value, far_slope = (each[rows] for each in far)
    between = (far_value - value + slope * size - far_slope * far_size) / (slope - far_slope)
    crossing = np.clip(between, np.minimum(size, far_size), np.maximum(size, far_size))
    return crossing, value + slope * (crossing - size)
