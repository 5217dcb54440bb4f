"""Volatility-scaled scenarios: each past return as it would be at today's volatility (Hull & White 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.covariance import NO_MOVEMENT
from tailwatch.risk.volatility import FALLBACK_DECAY, VolatilityModel, conditional_variances, ewma_variance_path

#: Days of scenarios of the filtered method.
SCENARIO_DAYS: Final = 1000


@dataclass(frozen=True, eq=False)
class Scenarios:
    """What the instruments may do the next day.

    Attributes:
        returns: (T, M) simple returns at the volatility of the next day, newest last, column-contiguous.
        volatility_now: (M,) the daily standard deviation that is expected of the next day.
        fallback: Why they are not scaled by the volatility model, or None.
    """

    returns: Matrix
    volatility_now: Vector
    fallback: str | None = None


def scenarios_of(
    history: Matrix,
    market: Vector,
    model: VolatilityModel,
    *,
    ranges: Matrix | None = None,
    days: int = SCENARIO_DAYS,
) -> Scenarios:
    """Return the scenarios for the day after (H, M) returns, given the (H,) market returns of the model.

    What the model makes of (H, M) `ranges` is in `conditional_variances`.

    With fewer than 250 days, which is what the model's averages start from, one exponential average (λ = 0.94)
    scales them. The days that the averages start from are scaled by their common mean.
    """
    if len(history) < SEED_DAYS:
        variances = ewma_variance_path(history)
        fallback = (
            f"There are {len(history)} daily returns and the volatility model needs {SEED_DAYS}: an exponential "
            f"average (λ = {FALLBACK_DECAY}) takes its place."
        )
    else:
        variances, fallback = conditional_variances(history, market, model, ranges), None
    return Scenarios(scaled_returns(history, variances, days=days), np.sqrt(variances[-1]), fallback)


def scaled_returns(returns: Matrix, variances: Matrix, *, days: int = SCENARIO_DAYS) -> Matrix:
    """Return the (min(days, T), M) scenarios R*_{s,i} = R_{s,i} σ_{i,now} / σ_{i,s}, newest last, column-contiguous.

    An instrument without volatility on a day keeps its return.

    Args:
        returns: (T, M) simple daily returns, newest last.
        variances: (T+1, M) the variance expected for each day; the last row is the next day's.
        days: At most that many of the newest.
    """
    recent, then = returns[-days:], variances[:-1][-days:]
    moving = (then > NO_MOVEMENT**2) & (variances[-1] > NO_MOVEMENT**2)
    ratios = np.divide(variances[-1], then, out=np.ones_like(then), where=moving)
    return np.asfortranarray(recent * np.sqrt(ratios))
