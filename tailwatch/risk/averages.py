"""Exponential averages of daily values, as the volatility model takes them."""

from __future__ import annotations

from typing import Final

import numpy as np

from tailwatch.risk.arrays import Values

#: An average starts from the mean of that many values; forecasts before that day rest on what came later.
SEED_DAYS: Final = 250


def exponential_averages(values: Values, span: float | Values, seed: int = SEED_DAYS) -> Values:
    """Return the (T+1, …) exponential averages of (T, …) values with centre of mass `span` days.

    Row s rests on the rows before s only: e ← λe + (1−λ)x with λ = span/(1+span), from the mean of the first `seed`
    values on. Rows up to `seed` are that mean. With fewer than `seed` rows all of them are the seed.

    Day by day, and no product with a matrix of weights: the order of its sums depends on how many columns there are,
    and an instrument's averages are to be the same to the last bit whatever stands beside it.

    Args:
        values: Oldest first.
        span: One, or one for each part of a row (an array that broadcasts against it).
        seed: Days of the first average.
    """
    days, seed = len(values), min(seed, len(values))
    averages = np.empty((days + 1, *values.shape[1:]))
    if not days:
        averages[:] = 0.0
        return averages
    averages[: seed + 1] = values[:seed].mean(axis=0)
    decay = span / (1 + span)
    np.multiply(values[seed:], 1 - decay, out=averages[seed + 1 :])
    carried = np.empty_like(averages[0])
    for row in range(seed + 1, days + 1):
        np.multiply(averages[row - 1], decay, out=carried)
        averages[row] += carried
    return averages
