"""Intervals: how often they hold the truth, where the data give no bound, and that they scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tailwatch.risk import CONFIDENCES, Method
from tailwatch.risk.intervals import basis, of_volatility, simulated, var_ranks

ROUNDS = 1500


def truth(distribution: stats.rv_frozen, confidence: float) -> tuple[float, float]:
    alpha = round(1 - confidence, 12)
    quantile = distribution.ppf(alpha)
    return -quantile, -distribution.expect(lambda x: x, ub=quantile) / alpha


@pytest.mark.parametrize("distribution", [stats.norm(), stats.t(6)], ids=["normal", "t6"])
@pytest.mark.parametrize("days", [500, 1000])
def test_nine_of_ten_hold_the_truth(distribution: stats.rv_frozen, days: int) -> None:
    rng = np.random.default_rng(days)
    of_var, of_es = simulated(distribution.rvs((ROUNDS, days), random_state=rng))
    for level, confidence in enumerate(CONFIDENCES):
        value_at_risk, expected_shortfall = truth(distribution, confidence)
        held = ((of_var[:, level, 0] <= value_at_risk) & (value_at_risk <= of_var[:, level, 1])).mean()
        # By ranks, which are whole numbers: at least nine of ten.
        assert 0.88 < held < 0.96
        held = ((of_es[:, level, 0] <= expected_shortfall) & (expected_shortfall <= of_es[:, level, 1])).mean()
        assert 0.83 < held < 0.96


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("days", [60, 250, 299, 500, 1000, 2500])
def test_ranks_are_the_binomials(days: int, confidence: float) -> None:
    nearer, further = var_ranks(days, confidence)
    beyond = stats.binom(days, 1 - confidence)
    assert beyond.cdf(nearer - 1) >= 0.95
    assert nearer == days or beyond.cdf(nearer - 2) < 0.95
    assert beyond.cdf(further - 1) <= 0.05
    assert beyond.cdf(further) > 0.05


def test_too_few_days_give_no_upper_bound() -> None:
    outcomes = np.random.default_rng(1).normal(size=(1, 250))
    (value_at_risk,), (expected_shortfall,) = simulated(outcomes)
    assert np.isnan(value_at_risk[2]).tolist() == [False, True]
    assert np.isfinite(expected_shortfall[2, 0])
    (few,) = simulated(outcomes[:, :60])[1]
    assert np.isnan(few[1]).all()


def test_they_hold_the_figure_and_grow_with_the_portfolio() -> None:
    outcomes = np.random.default_rng(2).standard_t(4, 1000)
    for bounds in simulated(np.stack([outcomes, 2 * outcomes])):
        once, twice = bounds
        np.testing.assert_allclose(twice, 2 * once)
        assert (once[:, 0] > 0).all()
        assert (once[:, 0] < once[:, 1]).all()


def test_nothing_moves_and_nothing_is_lost() -> None:
    value_at_risk, expected_shortfall = simulated(np.zeros((1, 500)))
    assert not value_at_risk.any()
    assert np.isnan(expected_shortfall).all()
    _, of_gains = simulated(np.full((1, 500), 3.0))
    assert np.isnan(of_gains[:, :, 1]).all()


@pytest.mark.parametrize(("method", "degrees"), [(Method.COVARIANCE, None), (Method.STUDENT_T, 6)])
def test_of_a_volatility(method: Method, degrees: int | None) -> None:
    rng = np.random.default_rng(3)
    drawn = rng.normal(size=(4000, 500)) if degrees is None else rng.standard_t(degrees, (4000, 500)) / math.sqrt(1.5)
    intervals = [of_volatility(sigma, 500, method) for sigma in drawn.std(axis=1, ddof=1)]
    assert 0.87 < np.mean([one.low <= 1 <= one.high for one in intervals]) < 0.93


def test_an_exponential_average_is_less_sure_than_a_window() -> None:
    window, average = of_volatility(1.0, 500, Method.COVARIANCE), of_volatility(1.0, 500, Method.EWMA)
    assert average.low < window.low < 1 < window.high < average.high


@pytest.mark.parametrize("method", list(Method))
def test_the_basis_is_a_sentence_with_the_days(method: Method) -> None:
    assert "731" in basis(method, 731)
    assert basis(method, 731).endswith(".")
