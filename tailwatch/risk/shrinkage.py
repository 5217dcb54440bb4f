"""Ledoit-Wolf shrinkage of the sample covariance towards a multiple of the identity, without building the matrix.

Ledoit & Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of Multivariate
Analysis 88. The estimate is Σ = (1−δ) S + δ μ I, so everything a portfolio needs follows from its volatility under S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tailwatch.risk.arrays import Matrix, Vector


class Shrinkage(NamedTuple):
    """What turns the sample covariance S (ddof 1) into (1−δ) S + δ μ I.

    Attributes:
        intensity: δ, between 0 and 1.
        variance: μ, the mean of the instruments' daily sample variances.
    """

    intensity: float
    variance: float


def ledoit_wolf(returns: Matrix) -> Shrinkage:
    """Return the shrinkage of (T, M) returns that is expected to come closest to the true covariance.

    δ is that of the paper, for centred returns and the covariance with divisor T; the instruments' variances that it
    is applied to have the divisor T−1 of every sample covariance here.
    """
    days, count = returns.shape
    if not count:
        return Shrinkage(0.0, 0.0)
    deviations = returns - returns.mean(axis=0)
    # The squared norm of S is that of the smaller of the two products of the deviations with themselves.
    gram = deviations.T @ deviations if count <= days else deviations @ deviations.T
    total = float(np.trace(gram)) / days
    squared_norm = float(np.einsum("ij,ij->", gram, gram)) / days**2
    fourth = float((np.einsum("tm,tm->t", deviations, deviations) ** 2).sum()) / days
    distance = squared_norm - total**2 / count
    noise = (fourth - squared_norm) / days
    # One instrument, or all of them independent and alike: S is a multiple of the identity already.
    intensity = min(max(noise / distance, 0.0), 1.0) if distance > 1e-12 * squared_norm else 0.0
    return Shrinkage(intensity, total / count * days / (days - 1))


def shrunk_volatility(
    shrinkage: Shrinkage, exposures: Matrix, volatility: Vector, derivatives: Matrix
) -> tuple[Vector, Matrix]:
    """Return (P,) daily volatilities under the shrunk covariance and their (P, M) derivatives by position.

    Args:
        shrinkage: Of the sample covariance.
        exposures: (P, M) signed market values.
        volatility: (P,) under the sample covariance.
        derivatives: (P, M) of it.
    """
    intensity, variance = shrinkage
    squares = np.einsum("pm,pm->p", exposures, exposures)
    shrunk: Vector = np.sqrt((1 - intensity) * volatility**2 + intensity * variance * squares)
    slopes = (1 - intensity) * volatility[:, None] * derivatives + intensity * variance * exposures
    return shrunk, np.divide(slopes, shrunk[:, None], out=np.zeros_like(slopes), where=shrunk[:, None] > 0)
