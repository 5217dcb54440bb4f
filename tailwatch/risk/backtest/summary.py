"""The scores of a backtest: per portfolio and level, averaged over portfolios, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tailwatch.errors import TooLittleHistoryError, UndefinedScoreError
from tailwatch.risk.arrays import Vector
from tailwatch.risk.backtest import scores
from tailwatch.risk.backtest.rolling import Forecasts

#: A test is passed where its p-value is at least that.
SIGNIFICANCE: Final = 0.05

_NO_SHORTFALL: Final = "On some day the forecast of expected shortfall is no loss, so the score does not exist."
_FEW_DAYS: Final = f"The traffic light looks at {scores.TRAFFIC_LIGHT_DAYS} days in a row; there are fewer."


@dataclass(frozen=True)
class LevelScores:
    """How the forecasts of one portfolio by one method did at one level.

    Attributes:
        confidence: The level.
        n: Days scored.
        exceedances: Days whose loss was larger than the VaR.
        pinball: Mean pinball loss of the VaR, in the unit of the profit and loss.
        fz0: Mean FZ0 score of VaR and ES together; None where an ES was no loss.
        kupiec: Is the share of exceedances right?
        independence: Do they come independently? Its p-value is None where that cannot be told.
        conditional_coverage: Both together.
        traffic_light: Zones of all runs of 250 days; None with fewer days.
        z2: Acerbi & Székely's Z2; below zero the ES was too small. None where an ES was no loss.
        reasons: A sentence for each figure that is None, by its name in the JSON form.
    """

    confidence: float
    n: int
    exceedances: int
    pinball: float
    fz0: float | None
    kupiec: scores.LikelihoodRatio
    independence: scores.LikelihoodRatio
    conditional_coverage: scores.LikelihoodRatio
    traffic_light: scores.TrafficLight | None
    z2: float | None
    reasons: dict[str, str]

    @property
    def exceedance_rate(self) -> float:
        """Share of days whose loss was larger than the VaR."""
        return self.exceedances / self.n


@dataclass(frozen=True)
class AverageScores:
    """The scores of one method at one level, averaged over portfolios.

    Each figure is the plain mean over the portfolios that have it; None where none has.

    Attributes:
        portfolios: How many were averaged.
        n: Days scored, of each.
        exceedances, exceedance_rate, pinball, fz0, z2: Means.
        kupiec_p, independence_p, conditional_coverage_p: Means of the p-values.
        green, yellow, red: Means of the shares of 250-day runs in each zone of the traffic light.
        kupiec_passed, independence_passed, conditional_coverage_passed: Shares of portfolios with p ≥ 5 %.
    """

    portfolios: int
    n: float
    exceedances: float
    exceedance_rate: float
    pinball: float
    fz0: float | None
    z2: float | None
    kupiec_p: float | None
    independence_p: float | None
    conditional_coverage_p: float | None
    green: float | None
    yellow: float | None
    red: float | None
    kupiec_passed: float | None
    independence_passed: float | None
    conditional_coverage_passed: float | None


def score(forecasts: Forecasts) -> list[tuple[LevelScores, ...]]:
    """Return the scores of each portfolio, in the order of its forecasts, one for each level.

    Raises:
        TooLittleHistoryError: there is no day to score.
    """
    if not forecasts.pnl.shape[1]:
        raise TooLittleHistoryError("There is no day to score.")
    return [
        tuple(
            score_level(pnl, forecasts.var[row, :, column], forecasts.es[row, :, column], level)
            for column, level in enumerate(forecasts.levels)
        )
        for row, pnl in enumerate(forecasts.pnl)
    ]


def score_level(pnl: Vector, value_at_risk: Vector, expected_shortfall: Vector, confidence: float) -> LevelScores:
    """Return the scores of one series of forecasts at one level.

    Args:
        pnl: (n,) profit and loss of the days, n ≥ 1.
        value_at_risk: (n,) forecasts, positive losses.
        expected_shortfall: (n,) forecasts, positive losses.
        confidence: Of both.
    """
    exceeded = scores.exceeded(pnl, value_at_risk)
    exceedances = int(exceeded.sum())
    order = scores.christoffersen(exceeded, confidence)
    light = scores.traffic_light(exceeded, confidence)
    reasons = {} if order.independence.reason is None else {"independence_p": order.independence.reason}
    if light is None:
        reasons["traffic_light"] = _FEW_DAYS
    fz0, z2 = None, None
    try:
        fz0 = float(scores.fz0(pnl, value_at_risk, expected_shortfall, confidence).mean())
        z2 = scores.acerbi_szekely_z2(pnl, value_at_risk, expected_shortfall, confidence)
    except UndefinedScoreError:
        reasons |= {"fz0": _NO_SHORTFALL, "z2": _NO_SHORTFALL}
    return LevelScores(
        confidence=confidence,
        n=int(pnl.size),
        exceedances=exceedances,
        pinball=float(scores.pinball_loss(pnl, value_at_risk, confidence).mean()),
        fz0=fz0,
        kupiec=scores.kupiec(exceedances, int(pnl.size), confidence),
        independence=order.independence,
        conditional_coverage=order.conditional_coverage,
        traffic_light=light,
        z2=z2,
        reasons=reasons,
    )


def average(portfolios: Sequence[LevelScores]) -> AverageScores:
    """Return the mean of the scores of one or more portfolios, one method and one level."""
    lights = [one.traffic_light for one in portfolios]
    kupiec = [one.kupiec.p_value for one in portfolios]
    independence = [one.independence.p_value for one in portfolios]
    coverage = [one.conditional_coverage.p_value for one in portfolios]
    return AverageScores(
        portfolios=len(portfolios),
        n=math.fsum(one.n for one in portfolios) / len(portfolios),
        exceedances=math.fsum(one.exceedances for one in portfolios) / len(portfolios),
        exceedance_rate=math.fsum(one.exceedance_rate for one in portfolios) / len(portfolios),
        pinball=math.fsum(one.pinball for one in portfolios) / len(portfolios),
        fz0=mean([one.fz0 for one in portfolios]),
        z2=mean([one.z2 for one in portfolios]),
        kupiec_p=mean(kupiec),
        independence_p=mean(independence),
        conditional_coverage_p=mean(coverage),
        green=mean([None if light is None else light.green for light in lights]),
        yellow=mean([None if light is None else light.yellow for light in lights]),
        red=mean([None if light is None else light.red for light in lights]),
        kupiec_passed=_passed(kupiec),
        independence_passed=_passed(independence),
        conditional_coverage_passed=_passed(coverage),
    )


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that exist; None where none does."""
    present = [value for value in values if value is not None]
    return math.fsum(present) / len(present) if present else None


def level_name(confidence: float) -> str:
    """Return "95", "97.5", "99": the key of a level in the JSON forms."""
    return f"{100 * confidence:g}"


def to_json_dict(levels: Sequence[LevelScores]) -> dict[str, dict[str, object]]:
    """Return the scores of one portfolio by one method as JSON-ready members, by level."""
    return {level_name(one.confidence): _level_json(one) for one in levels}


def _level_json(one: LevelScores) -> dict[str, object]:
    light = one.traffic_light
    members: dict[str, object] = {
        "n": one.n,
        "exceedances": one.exceedances,
        "exceedance_rate": one.exceedance_rate,
        "pinball": one.pinball,
        "fz0": one.fz0,
        "kupiec_p": one.kupiec.p_value,
        "independence_p": one.independence.p_value,
        "conditional_coverage_p": one.conditional_coverage.p_value,
        "traffic_light": light
        and {
            "green": light.green,
            "yellow": light.yellow,
            "red": light.red,
            "last": light.last,
            "last_exceedances": light.last_exceedances,
        },
        "z2": one.z2,
    }
    return members | ({"reasons": one.reasons} if one.reasons else {})


def _passed(p_values: Sequence[float | None]) -> float | None:
    return mean([None if p is None else float(p >= SIGNIFICANCE) for p in p_values])
