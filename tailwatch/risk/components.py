"""Euler components: what each position adds to a figure, adding up to the figure exactly.

Volatility, VaR and ES of a linear portfolio are all of the form Σ_s w_s p_s over the days s, with weights w that the
portfolio's own outcomes set. With p = R v the derivative by a position is (w R)_i, its component v_i (w R)_i, and
the components add up because Euler's theorem holds for figures that are homogeneous of degree one (Tasche 1999).
So whatever the method, marginal figures are one product of (P, T) day weights with the (T, M) returns.
"""

from __future__ import annotations

import numpy as np

from tailwatch.risk.arrays import Matrix, Vector, row_by_row
from tailwatch.risk.tail import Worst


def on_days(worst: Worst, weights: Matrix, days: int) -> Matrix:
    """Return (P, days) day weights of a loss figure from its (P, depth) weights on the worst outcomes."""
    placed = np.zeros((len(worst.days), days))
    placed[np.arange(len(placed))[:, None], worst.days] = -weights
    return placed


def value_at_risk_weights(worst: Worst, quantile: Vector, neighbourhood: Vector) -> Matrix:
    """Return (P, depth) weights on the worst outcomes whose derivative is the VaR's.

    A quantile's derivative is the mean return given that the outcome is the quantile. One day alone would be noise,
    so it is the mean over the quantile's neighbourhood, scaled so that the components add up to the VaR itself.
    Where the neighbourhood's mean has lost the sign of the VaR no scale does that, and the interpolated outcomes
    themselves, which always add up, take its place.

    Args:
        worst: The worst outcomes of P portfolios.
        quantile: (depth,) weights of the VaR.
        neighbourhood: (depth,) weights around it.
    """
    figures = row_by_row(worst.outcomes, quantile)
    means = row_by_row(worst.outcomes, neighbourhood)
    usable = (means * figures > 0) & (np.abs(figures) < 2 * np.abs(means)) & (np.abs(means) < 2 * np.abs(figures))
    scales = np.divide(figures, means, out=np.ones_like(means), where=usable)
    return np.where(usable[:, None], scales[:, None] * neighbourhood, quantile)


def marginal(day_weights: Matrix, returns: Matrix) -> Matrix:
    """Return (P, M) derivatives by position, per unit of currency, from (P, T) day weights and (T, M) returns."""
    derivatives: Matrix = day_weights @ returns
    return derivatives
