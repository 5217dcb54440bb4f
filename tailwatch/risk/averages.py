"""Exponential averages of daily values, as the volatility model takes them."""

from __future__ import annotations

from typing import Final

import numpy as np

from tailwatch.risk.arrays import Matrix

#: An average starts from the mean of that many values; forecasts before that day rest on what came later.
SEED_DAYS: Final = 250

#: Rows of one step of the recursion: a triangular product instead of that many steps in Python.
_BLOCK: Final = 64


def exponential_averages(values: Matrix, span: float, seed: int = SEED_DAYS) -> Matrix:
    """Return the (T+1, M) exponential averages of (T, M) values with centre of mass `span` days.

    Row s rests on the rows before s only: e ← λe + (1−λ)x with λ = span/(1+span), from the mean of the first `seed`
    values on. Rows up to `seed` are that mean. With fewer than `seed` rows all of them are the seed.
    """
    days, seed = len(values), min(seed, len(values))
    averages = np.empty((days + 1, *values.shape[1:]))
    if not days:
        averages[:] = 0.0
        return averages
    averages[: seed + 1] = values[:seed].mean(axis=0)
    decay = span / (1 + span)
    ages = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
    weights = np.where(ages >= 0, (1 - decay) * decay ** np.maximum(ages, 0), 0.0)
    carried = (decay ** np.arange(1, _BLOCK + 1))[:, None]
    for start in range(seed, days, _BLOCK):
        block = values[start : start + _BLOCK]
        size = len(block)
        averages[start + 1 : start + size + 1] = weights[:size, :size] @ block + carried[:size] * averages[start]
    return averages
