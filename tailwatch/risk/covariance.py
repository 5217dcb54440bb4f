"""Second moments: variances, covariances, correlations, betas.

Every moment here is a weighted sum over days, so the variance of a portfolio's profit and loss computed from the
profit and loss itself equals v'Σv for the Σ of the same weights; the big matrix is only built where it is shown.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Flags, Matrix, Values, Vector, row_by_row

#: Decay of the exponentially weighted moments of daily data (RiskMetrics Technical Document, 1996).
EWMA_LAMBDA: Final = 0.94
#: The recursion starts from the mean of that many first squares.
EWMA_SEED: Final = 20

#: A daily standard deviation of returns below this is rounding; so is anything that much smaller than its parts.
NO_MOVEMENT: Final = 1e-12


@lru_cache(maxsize=64)
def ewma_weights(days: int, decay: float = EWMA_LAMBDA, seed: int = EWMA_SEED) -> Vector:
    """Return the (days,) weights of an exponential average, newest last; they add up to 1.

    The recursion σ² ← λσ² + (1−λ)r² over the days after the seed, started with the plain mean of the first `seed`
    squares, written out as weights. The result is shared: it cannot be written to.
    """
    seed = min(seed, days)
    weights = np.empty(days)
    weights[:seed] = decay ** (days - seed) / seed
    weights[seed:] = (1 - decay) * decay ** np.arange(days - seed - 1, -1, -1)
    weights.flags.writeable = False
    return weights


def sample_covariance(returns: Matrix) -> Matrix:
    """Return the (M, M) sample covariance, ddof 1, of (T, M) returns."""
    deviations = returns - returns.mean(axis=0)
    product: Matrix = deviations.T @ deviations
    return product / (len(returns) - 1)


def ewma_covariance(returns: Matrix, decay: float = EWMA_LAMBDA) -> Matrix:
    """Return the (M, M) exponentially weighted covariance, mean zero, of (T, M) returns."""
    product: Matrix = (returns.T * ewma_weights(len(returns), decay)) @ returns
    return product


def sample_variances(returns: Matrix) -> Vector:
    """Return the (M,) sample variances, ddof 1: the diagonal of `sample_covariance`."""
    if not returns.shape[1]:
        # A sample of no instrument has no days either, and numpy warns of those.
        return np.empty(0)
    variances: Vector = returns.var(axis=0, ddof=1)
    return variances


def ewma_variances(returns: Matrix, decay: float = EWMA_LAMBDA) -> Vector:
    """Return the (M,) exponentially weighted variances: the diagonal of `ewma_covariance`."""
    variances: Vector = row_by_row((returns * returns).T, ewma_weights(len(returns), decay))
    return variances


def principal_components(deviations: Values) -> tuple[Values, Matrix]:
    """Return the principal components of returns less their means, and their variances, ddof 1.

    Of the smaller of the two products of the deviations with themselves, so that K = min(n, T).

    Args:
        deviations: (P, n, T) of n instruments each.

    Returns:
        (P, n, K) orthonormal components and (P, K) daily variances.
    """
    count, days = deviations.shape[1:]
    transposed = deviations.swapaxes(1, 2)
    if count <= days:
        variances, components = np.linalg.eigh(np.matmul(deviations, transposed))
    else:
        variances, sessions = np.linalg.eigh(np.matmul(transposed, deviations))
        lengths = np.sqrt(np.maximum(variances, 0.0))[:, None, :]
        products = np.matmul(deviations, sessions)
        components = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return components, np.maximum(variances, 0.0) / (days - 1)


def beta_weights(benchmark: Vector, known: Flags) -> Vector | None:
    """Return (T,) weights w with beta(x) = Σ w x = cov(x, benchmark)/var(benchmark) over the known days.

    They add up to zero, so x needs no centring. None where the benchmark never moves.
    """
    deviations = np.where(known, benchmark - benchmark.mean(where=known), 0.0)
    squares = float(deviations @ deviations)
    if squares < NO_MOVEMENT**2 * np.count_nonzero(known):
        return None
    return deviations / squares
