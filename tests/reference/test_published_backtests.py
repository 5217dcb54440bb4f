"""Worked examples of the backtests, as published."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tailwatch.risk.backtest.scores import (
    TRAFFIC_LIGHT_DAYS,
    christoffersen,
    kupiec,
    traffic_light,
    zone_limits,
)

#: Kupiec (1995), also Jorion, Value at Risk (3rd ed. 2007), table 6-2: the model is not rejected at 5 % where the
#: number of failures lies strictly between; None where no number is too small.
NOT_REJECTED = [
    (0.01, 255, None, 7),
    (0.01, 510, 1, 11),
    (0.01, 1000, 4, 17),
    (0.025, 255, 2, 12),
    (0.025, 510, 6, 21),
    (0.025, 1000, 15, 36),
    (0.05, 255, 6, 21),
    (0.05, 510, 16, 36),
    (0.05, 1000, 37, 65),
    (0.075, 255, 11, 28),
    (0.075, 510, 27, 51),
    (0.075, 1000, 59, 92),
    (0.1, 255, 16, 36),
    (0.1, 510, 38, 65),
    (0.1, 1000, 81, 120),
]


@pytest.mark.parametrize(("alpha", "days", "low", "high"), NOT_REJECTED)
def test_kupiecs_table_of_failures_that_do_not_reject(alpha: float, days: int, low: int | None, high: int) -> None:
    def rejected(failures: int) -> bool:
        p_value = kupiec(failures, days, 1 - alpha).p_value
        assert p_value is not None
        return p_value < 0.05

    assert rejected(high)
    assert not rejected(high - 1)
    if low is not None:
        assert rejected(low)
        assert not rejected(low + 1)


def exceedances(after_none: tuple[int, int], after_one: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a series that begins and ends with a day without exceedance and has those pairs of days.

    Args:
        after_none: Pairs that begin without exceedance: followed by none, by one.
        after_one: Pairs that begin with one: followed by none, by one.
    """
    runs = after_none[1]
    assert runs == after_one[0]
    lengths = [1 + after_one[1], *[1] * (runs - 1)]
    days = [False] * (after_none[0] + 1)
    for length in lengths:
        days += [True] * length + [False]
    return np.array(days)


def test_jorions_bank_with_exceptions_that_follow_one_another() -> None:
    """Jorion (2007), chapter 6, question 10: 6 exceptions in 252 days at 99 %, 4 of them after another."""
    assert kupiec(6, 252, 0.99).statistic == pytest.approx(3.498, abs=1e-3)
    result = christoffersen(exceedances((244, 2), (2, 4)), 0.99)
    assert result.independence.statistic == pytest.approx(25.837, abs=1e-3)


def test_jorions_exception_table_of_jp_morgan() -> None:
    """Jorion (2007), section 6.2: 20 exceptions in 252 days at 95 %, 6 of them after another."""
    assert kupiec(20, 252, 0.95).statistic == pytest.approx(3.91, abs=5e-3)
    result = christoffersen(exceedances((218, 14), (14, 6)), 0.95)
    assert result.independence.statistic == pytest.approx(9.53, abs=5e-3)


def test_mathworks_equity_index_with_a_normal_var() -> None:
    """MathWorks, Risk Management Toolbox, varbacktest.cc: 57 failures in 1043 days at 95 %."""
    series = exceedances((932, 53), (53, 4))
    result = christoffersen(series, 0.95)
    coverage = kupiec(int(series.sum()), series.size, 0.95)
    assert (int(series.sum()), series.size) == (57, 1043)
    assert (coverage.statistic, coverage.p_value) == pytest.approx((0.46147, 0.49694), abs=5e-6)
    independence, joint = result.independence, result.conditional_coverage
    assert (independence.statistic, independence.p_value) == pytest.approx((0.25866, 0.61104), abs=5e-6)
    assert (joint.statistic, joint.p_value) == pytest.approx((0.72013, 0.69763), abs=5e-6)


def test_basels_zones() -> None:
    """Basel Committee on Banking Supervision (January 1996), table 2: yellow from 5, red from 10 of 250 at 99 %."""
    assert zone_limits(0.99) == (5, 10)
    for count, zone in ((0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")):
        light = traffic_light(np.arange(TRAFFIC_LIGHT_DAYS) < count, 0.99)
        assert light is not None
        assert (light.last, light.last_exceedances, light.runs) == (zone, count, 1)
