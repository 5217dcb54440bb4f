"""Volatility models side by side, on days that none of them should have been fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tailwatch.errors import TooLittleHistoryError
from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.backtest.filtered import variance_path
from tailwatch.risk.backtest.rolling import forecasts
from tailwatch.risk.backtest.summary import AverageScores, average, mean, score
from tailwatch.risk.fit import log_likelihood, mean_market, observe
from tailwatch.risk.scenarios import SCENARIO_DAYS
from tailwatch.risk.types import Method
from tailwatch.risk.volatility import VolatilityModel

#: Instruments that VaR is forecast for at most, spread evenly over all; the likelihood is that of all.
MOST_INSTRUMENTS: Final = 100


@dataclass(frozen=True)
class HeldOut:
    """How one model did.

    Attributes:
        log_likelihood: Mean of a day of one instrument, over all instruments.
        levels: Scores of the filtered method's VaR at each level, averaged over the instruments that were forecast,
            each alone, and the equally weighted portfolio of them.
        loss_ratios: At each level, pinball loss over that of the first model, averaged likewise.
    """

    log_likelihood: float
    levels: tuple[AverageScores, ...]
    loss_ratios: tuple[float | None, ...]


def compare(
    returns: Matrix,
    models: Sequence[VolatilityModel],
    *,
    start: int,
    market: Vector | None = None,
    ranges: Matrix | None = None,
) -> list[HeldOut]:
    """Score models on the days from `start` on.

    Args:
        returns: (T, N) simple daily returns, newest last; NaN where an instrument has none.
        models: The first is the one that others are compared with.
        start: Row of the first day to score.
        market: (T,) returns of the market; by default the mean of all instruments that have one on the day.
        ranges: (T, N) variances of the days, for models that measure by range; NaN where not known.

    Raises:
        TooLittleHistoryError: no instrument has a return on every day from 1250 before `start` on, or as many of
            them as there are.
    """
    market = mean_market(returns) if market is None else market
    held_out = {
        measure: observe(returns, market, ranges if measure == "range" else None).between(start, len(returns))
        for measure in {model.measure for model in models}
    }
    if any(not observed.days.size for observed in held_out.values()):
        raise TooLittleHistoryError("No instrument has returns on the days that were held out.")
    first = max(0, start - SEED_DAYS - SCENARIO_DAYS)
    whole = np.flatnonzero(np.isfinite(returns[first:]).all(axis=0))
    if not whole.size:
        raise TooLittleHistoryError("No instrument has a return on every day that the comparison needs.")
    chosen = whole[np.unique(np.linspace(0, whole.size - 1, min(whole.size, MOST_INSTRUMENTS)).astype(int))]
    weights = np.vstack([np.eye(chosen.size), np.full((1, chosen.size), 1 / chosen.size)])
    scored = [
        score(
            forecasts(
                returns[first:, chosen],
                weights,
                Method.FILTERED,
                start=start - first,
                model=model,
                variances=variance_path(
                    returns[first:, chosen],
                    market=market[first:],
                    model=model,
                    ranges=None if ranges is None else ranges[first:, chosen],
                ),
            )
        )
        for model in models
    ]
    return [
        HeldOut(
            log_likelihood(model, held_out[model.measure]),
            tuple(average(level) for level in zip(*scores, strict=True)),
            tuple(
                mean([one.pinball / other.pinball for one, other in zip(level, base, strict=True) if other.pinball])
                for level, base in zip(zip(*scores, strict=True), zip(*scored[0], strict=True), strict=True)
            ),
        )
        for model, scores in zip(models, scored, strict=True)
    ]
