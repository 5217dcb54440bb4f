"""Summaries of a backtest: what is averaged, what is missing and why, and the JSON form."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tailwatch.errors import TooLittleHistoryError
from tailwatch.risk import CONFIDENCES, Method
from tailwatch.risk.backtest import Forecasts, average, forecasts, score, to_json_dict
from tailwatch.risk.backtest import scores as functions


def backtest(days: int = 700, start: int = 400) -> Forecasts:
    rng = np.random.default_rng(20)
    returns = 0.01 * rng.standard_t(4, size=(days, 3))
    returns[:, 2] = 0.0
    return forecasts(returns, np.array([[1.0, 0, 0], [0.5, -1, 0], [0, 0, 1.0]]), Method.HISTORICAL, start=start)


def test_scores_are_those_of_the_series() -> None:
    found = backtest()
    for row, levels in enumerate(score(found)[:2]):
        for column, one in enumerate(levels):
            level, pnl = CONFIDENCES[column], found.pnl[row]
            var, es = found.var[row, :, column], found.es[row, :, column]
            assert one.n == 300
            assert one.exceedances == sum(p < -v for p, v in zip(pnl.tolist(), var.tolist(), strict=True))
            assert one.exceedance_rate == one.exceedances / 300
            assert one.pinball == pytest.approx(np.mean(functions.pinball_loss(pnl, var, level)))
            assert one.fz0 == pytest.approx(np.mean(functions.fz0(pnl, var, es, level)))
            assert one.z2 == functions.acerbi_szekely_z2(pnl, var, es, level)
            assert one.kupiec == functions.kupiec(one.exceedances, 300, level)
            order = functions.christoffersen(pnl < -var, level)
            assert (one.independence, one.conditional_coverage) == (order.independence, order.conditional_coverage)
            assert one.traffic_light == functions.traffic_light(pnl < -var, level)


def test_a_name_that_never_moves_has_no_scores_of_shortfall_and_says_why() -> None:
    for one in score(backtest())[2]:
        assert (one.exceedances, one.pinball, one.fz0, one.z2) == (0, 0.0, None, None)
        assert one.independence.p_value is None
        assert set(one.reasons) == {"fz0", "z2", "independence_p"}
        assert all(sentence.endswith(".") for sentence in one.reasons.values())


def test_fewer_than_250_days_have_no_traffic_light() -> None:
    for levels in score(backtest(start=451)):
        for one in levels:
            assert one.traffic_light is None
            assert "250" in one.reasons["traffic_light"]


def test_without_a_day_there_is_nothing_to_score() -> None:
    nothing = np.empty((1, 0, 3))
    with pytest.raises(TooLittleHistoryError):
        score(Forecasts(Method.EWMA, CONFIDENCES, 0, nothing, nothing, np.empty((1, 0))))


def test_averages_are_means_over_the_portfolios_that_have_the_figure() -> None:
    portfolios = [levels[2] for levels in score(backtest())]
    whole = average(portfolios)
    assert (whole.portfolios, whole.n) == (3, 300)
    assert whole.exceedance_rate == sum(one.exceedances for one in portfolios) / 900
    assert whole.pinball == pytest.approx(sum(one.pinball for one in portfolios) / 3)
    assert whole.fz0 == pytest.approx(sum(one.fz0 for one in portfolios if one.fz0 is not None) / 2)
    p_values = [one.kupiec.p_value for one in portfolios]
    assert whole.kupiec_p == pytest.approx(sum(p_values) / 3)
    assert whole.kupiec_passed == sum(p >= 0.05 for p in p_values) / 3
    assert whole.green + whole.yellow + whole.red == pytest.approx(1)
    alone = average([portfolios[2]])
    assert (alone.fz0, alone.z2, alone.independence_p, alone.independence_passed) == (None, None, None, None)


def test_a_test_is_passed_from_five_percent_on() -> None:
    one = score(backtest())[0][0]
    p_values = [0.0499, 0.05, 0.9, None]
    tests = [functions.LikelihoodRatio(None if p is None else 1.0, p) for p in p_values]
    whole = average([replace(one, kupiec=test, independence=test, conditional_coverage=test) for test in tests])
    assert whole.kupiec_passed == whole.independence_passed == whole.conditional_coverage_passed == 2 / 3
    assert whole.independence_p == pytest.approx((0.0499 + 0.05 + 0.9) / 3)


def test_json_has_every_figure_and_no_number_that_is_none() -> None:
    for levels in score(backtest()):
        members = json.loads(json.dumps(to_json_dict(levels), allow_nan=False))
        assert list(members) == ["95", "97.5", "99"]
        for one, level in zip(levels, members.values(), strict=True):
            assert level["n"] == 300
            assert level["pinball"] == one.pinball
            assert level["kupiec_p"] == one.kupiec.p_value
            assert level["independence_p"] == one.independence.p_value
            assert level["conditional_coverage_p"] == one.conditional_coverage.p_value
            assert math.isclose(sum(level["traffic_light"][zone] for zone in ("green", "yellow", "red")), 1)
            assert {name for name, value in level.items() if value is None} == set(one.reasons)
