"""What says whether forecasts of VaR and ES were good: scoring functions and tests.

Conventions: profit and loss is signed, VaR and ES are positive losses in the same unit, α = 1 − confidence, and a day
exceeds its VaR when profit and loss < −VaR, strictly. A score is better when it is lower; a test's p-value is the
probability of a statistic at least that large if the forecasts are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from tailwatch.errors import UndefinedScoreError
from tailwatch.risk.arrays import Flags, Values
from tailwatch.risk.tail import tail_probability

Zone = Literal["green", "yellow", "red"]

#: Trading days that the traffic light looks back on (Basel Committee 1996).
TRAFFIC_LIGHT_DAYS: Final = 250
#: A count of exceedances is yellow, or red, where the probability of at most as many reaches that.
YELLOW_FROM: Final = 0.95
RED_FROM: Final = 0.9999


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Attributes:
        statistic: LR ≥ 0; None where the test does not exist.
        p_value: Chi-square survival of the statistic; None where the test does not exist.
        reason: Why the test does not exist, a sentence; None where it does.
    """

    statistic: float | None
    p_value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Christoffersen:
    """The two tests of Christoffersen (1998) that look at the order of the exceedances.

    Attributes:
        independence: Exceedances are no likelier on the day after one (first-order Markov alternative).
        conditional_coverage: They come independently and with probability α.
    """

    independence: LikelihoodRatio
    conditional_coverage: LikelihoodRatio


@dataclass(frozen=True)
class TrafficLight:
    """Zones of every run of 250 consecutive days.

    Attributes:
        green, yellow, red: Shares of the runs in each zone; they add up to 1.
        runs: How many runs there are, overlapping.
        last: Zone of the newest run.
        last_exceedances: Exceedances in it.
    """

    green: float
    yellow: float
    red: float
    runs: int
    last: Zone
    last_exceedances: int


def exceeded(pnl: Values, value_at_risk: Values) -> Flags:
    """Return on which days the loss was larger than the VaR."""
    flags: Flags = pnl < -value_at_risk
    return flags


def pinball_loss(pnl: Values, value_at_risk: Values, confidence: float) -> Values:
    """Return the quantile score of each day, (α − 1{p < q})·(p − q) with q = −VaR; same unit as `pnl`, ≥ 0.

    Its expectation is lowest for the true α-quantile (Koenker & Bassett 1978).
    """
    over = pnl + value_at_risk
    loss: Values = (tail_probability(confidence) - (over < 0)) * over
    return loss


def fz0(pnl: Values, value_at_risk: Values, expected_shortfall: Values, confidence: float) -> Values:
    """Return the joint score of VaR and ES of each day, the FZ0 loss of Patton, Ziegel & Chen (2019).

    `−1{p ≤ q}·(q − p)/(α·e) + q/e + ln(−e) − 1` with q = −VaR and e = −ES: the member of the class of Fissler &
    Ziegel (2016) whose differences do not depend on the unit. It is no amount and can be negative.

    Raises:
        UndefinedScoreError: an ES is not positive.
    """
    _need_positive(expected_shortfall)
    shortfall = np.maximum(-value_at_risk - pnl, 0.0)
    score: Values = (
        shortfall / (tail_probability(confidence) * expected_shortfall)
        + value_at_risk / expected_shortfall
        + np.log(expected_shortfall)
        - 1
    )
    return score


def kupiec(exceedances: int, days: int, confidence: float) -> LikelihoodRatio:
    """Test whether the share of days beyond the VaR is α: the proportion of failures test of Kupiec (1995).

    No exceedance and nothing but exceedances are ordinary cases, with 0·ln 0 = 0. One degree of freedom.
    """
    if days < 1:
        return LikelihoodRatio(None, None, "There is no day to count exceedances on.")
    alpha = tail_probability(confidence)
    expected = _log_likelihood(exceedances, days, alpha)
    statistic = max(0.0, 2 * (_log_likelihood(exceedances, days, exceedances / days) - expected))
    return LikelihoodRatio(statistic, math.erfc(math.sqrt(statistic / 2)))


def christoffersen(exceedance: Flags, confidence: float) -> Christoffersen:
    """Test the order of the exceedances (Christoffersen 1998).

    Independence compares one probability of exceedance with one for the days after an exceedance and another for the
    days after none, over the n − 1 pairs of days (one degree of freedom). It does not exist unless there is a day
    after an exceedance and a day after none. Conditional coverage adds the statistic of `kupiec`, of all n days, to
    it (two degrees of freedom); where independence cannot be tested it adds nothing: nothing speaks against it.

    Args:
        exceedance: (n,) whether each day exceeded its VaR, in order.
        confidence: Of the VaR.
    """
    days = int(exceedance.size)
    coverage = kupiec(int(np.count_nonzero(exceedance)), days, confidence)
    before, after = exceedance[:-1], exceedance[1:]
    after_one = int(np.count_nonzero(before))
    after_none = before.size - after_one
    both = int(np.count_nonzero(before & after))
    single = int(np.count_nonzero(after)) - both
    if after_one == 0 or after_none == 0:
        # One state was never left, so there is nothing to compare its days with.
        missing = "an exceedance" if after_one == 0 else "a day without exceedance"
        independence = LikelihoodRatio(None, None, f"No day follows {missing}, so the order tells nothing.")
    else:
        dependent = _log_likelihood(both, after_one, both / after_one)
        dependent += _log_likelihood(single, after_none, single / after_none)
        pooled = (both + single) / before.size
        statistic = max(0.0, 2 * (dependent - _log_likelihood(both + single, before.size, pooled)))
        independence = LikelihoodRatio(statistic, math.erfc(math.sqrt(statistic / 2)))
    if coverage.statistic is None:
        return Christoffersen(independence, coverage)
    joint = coverage.statistic + (independence.statistic or 0.0)
    return Christoffersen(independence, LikelihoodRatio(joint, math.exp(-joint / 2)))


def traffic_light(exceedance: Flags, confidence: float) -> TrafficLight | None:
    """Return the zones of all runs of 250 days (Basel Committee 1996); None with fewer days.

    At 99 % yellow begins at 5 exceedances and red at 10, as the Committee has it. Its rule is kept for other levels:
    the zones begin where the binomial probability of at most as many exceedances reaches 95 % and 99.99 %.

    Args:
        exceedance: (n,) whether each day exceeded its VaR, in order.
        confidence: Of the VaR.
    """
    if exceedance.size < TRAFFIC_LIGHT_DAYS:
        return None
    yellow_from, red_from = zone_limits(confidence)
    total = np.concatenate(([0], np.cumsum(exceedance)))
    counts = total[TRAFFIC_LIGHT_DAYS:] - total[:-TRAFFIC_LIGHT_DAYS]
    zones = np.searchsorted([yellow_from, red_from], counts, side="right")
    green, yellow, red = (np.bincount(zones, minlength=3) / counts.size).tolist()
    names: tuple[Zone, Zone, Zone] = ("green", "yellow", "red")
    return TrafficLight(green, yellow, red, int(counts.size), names[int(zones[-1])], int(counts[-1]))


@lru_cache(maxsize=16)
def zone_limits(confidence: float) -> tuple[int, int]:
    """Return the counts of exceedances in 250 days from which the light is yellow, and red."""
    alpha = tail_probability(confidence)
    days = TRAFFIC_LIGHT_DAYS
    terms = [math.comb(days, count) * alpha**count * (1 - alpha) ** (days - count) for count in range(days + 1)]
    below = np.cumsum(terms)
    yellow, red = np.searchsorted(below, [YELLOW_FROM, RED_FROM]).tolist()
    return int(yellow), int(red)


def acerbi_szekely_z2(pnl: Values, value_at_risk: Values, expected_shortfall: Values, confidence: float) -> float:
    """Return Z2 of Acerbi & Székely (2014): 1 + Σ p·1{p < −VaR}/ES over the days, divided by n·α.

    Zero is expected of the true model; below zero the ES was too small. They give −0.70 as the critical value at 5 %
    for 97.5 % and 250 days, nearly whatever the distribution.

    Args:
        pnl: (n,) profit and loss.
        value_at_risk: (n,) forecasts.
        expected_shortfall: (n,) forecasts.
        confidence: Of both.

    Raises:
        UndefinedScoreError: an ES is not positive, or there is no day.
    """
    if pnl.size == 0:
        raise UndefinedScoreError("There is no day to score.")
    _need_positive(expected_shortfall)
    beyond = np.where(exceeded(pnl, value_at_risk), pnl / expected_shortfall, 0.0)
    return 1 + float(beyond.sum()) / (pnl.size * tail_probability(confidence))


def _log_likelihood(exceedances: int, days: int, probability: float) -> float:
    """Return ln(πˣ(1−π)ⁿ⁻ˣ), with 0·ln 0 = 0."""
    value = 0.0
    if exceedances:
        value += exceedances * math.log(probability)
    if exceedances < days:
        value += (days - exceedances) * math.log1p(-probability)
    return value


def _need_positive(expected_shortfall: Values) -> None:
    if not (expected_shortfall > 0).all():
        raise UndefinedScoreError
