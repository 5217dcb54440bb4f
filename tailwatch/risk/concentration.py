"""How spread out a portfolio is."""

from __future__ import annotations

import numpy as np

from tailwatch.risk.arrays import Vector


def herfindahl_hirschman(values: Vector) -> float:
    """Return the sum of squared gross weights |v|/Σ|v| of (M,) market values, not all zero: 1/M to 1."""
    weights = np.abs(values)
    weights /= weights.sum()
    return float(weights @ weights)


def diversification_ratio(values: Vector, volatilities: Vector, portfolio_volatility: float) -> float | None:
    """Return Σ|v|σ / σ_p for (M,) values and volatilities (Choueifaty & Coignard 2008); None where σ_p is 0."""
    if portfolio_volatility <= 0:
        return None
    return float(np.abs(values) @ volatilities) / portfolio_volatility
