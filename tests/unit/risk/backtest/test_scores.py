"""The scores and tests of a backtest against their definitions, on simulated truth and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import special, stats

from tailwatch.errors import UndefinedScoreError
from tailwatch.risk import CONFIDENCES
from tailwatch.risk.backtest import scores
from tailwatch.risk.methods import normal_multiples

levels = st.sampled_from(CONFIDENCES)
amounts = st.floats(-10, 10)
losses = st.floats(1e-3, 10)


def flags(max_size: int = 400) -> st.SearchStrategy[NDArray[np.bool_]]:
    return st.integers(1, max_size).flatmap(lambda size: arrays(np.bool_, size))


@given(amounts, amounts, levels)
def test_pinball_weighs_losses_beyond_by_one_minus_alpha(pnl: float, var: float, level: float) -> None:
    alpha = 1 - level
    beyond = -var - pnl
    expected = (1 - alpha) * beyond if beyond > 0 else alpha * -beyond
    loss = float(scores.pinball_loss(np.array(pnl), np.array(var), level))
    assert loss == pytest.approx(expected, abs=1e-12)
    assert loss >= 0


@given(amounts, amounts, losses, levels)
def test_fz0_is_the_formula_of_the_paper(pnl: float, var: float, es: float, level: float) -> None:
    alpha, v, e = 1 - level, -var, -es
    expected = -(pnl <= v) * (v - pnl) / (alpha * e) + v / e + math.log(-e) - 1
    assert float(scores.fz0(np.array(pnl), np.array(var), np.array(es), level)) == pytest.approx(expected, rel=1e-9)


@given(amounts, losses, losses, levels, st.floats(0.1, 1000))
def test_fz0_moves_by_the_logarithm_of_the_unit(pnl: float, var: float, es: float, level: float, unit: float) -> None:
    one = scores.fz0(np.array(pnl), np.array(var), np.array(es), level)
    other = scores.fz0(np.array(pnl * unit), np.array(var * unit), np.array(es * unit), level)
    assert float(other - one) == pytest.approx(math.log(unit), abs=1e-6)


@pytest.mark.parametrize("level", CONFIDENCES)
def test_the_true_forecast_scores_best(level: float) -> None:
    pnl = np.random.default_rng(1).normal(size=200_000)
    var, es = normal_multiples(level)

    def joint(var_factor: float, es_factor: float) -> float:
        ones = np.ones_like(pnl)
        return float(scores.fz0(pnl, ones * var * var_factor, ones * es * es_factor, level).mean())

    truth = float(scores.pinball_loss(pnl, np.array(var), level).mean())
    for wrong in (0.8, 1.2):
        assert float(scores.pinball_loss(pnl, np.array(var * wrong), level).mean()) > truth
        assert joint(wrong, wrong) > joint(1, 1)
        assert joint(1, wrong) > joint(1, 1)


def test_fz0_and_z2_need_a_loss_for_expected_shortfall() -> None:
    pnl, var = np.zeros(3), np.zeros(3)
    for es in (np.zeros(3), np.array([1.0, -1.0, 1.0]), np.array([1.0, math.nan, 1.0])):
        with pytest.raises(UndefinedScoreError):
            scores.fz0(pnl, var, es, 0.95)
        with pytest.raises(UndefinedScoreError):
            scores.acerbi_szekely_z2(pnl, var, es, 0.95)
    with pytest.raises(UndefinedScoreError):
        scores.acerbi_szekely_z2(np.empty(0), np.empty(0), np.empty(0), 0.95)


@given(st.data(), st.integers(1, 3000), levels)
def test_kupiec_is_the_likelihood_ratio_of_a_binomial(data: st.DataObject, days: int, level: float) -> None:
    count = data.draw(st.integers(0, days))
    result = scores.kupiec(count, days, level)
    fitted, wanted = stats.binom.logpmf(count, days, count / days), stats.binom.logpmf(count, days, 1 - level)
    assert result.statistic == pytest.approx(2 * (fitted - wanted), rel=1e-6, abs=1e-6)
    assert result.p_value == pytest.approx(stats.chi2.sf(result.statistic, 1), rel=1e-9, abs=1e-300)


def test_kupiec_without_an_exceedance_and_with_nothing_else() -> None:
    none, every = scores.kupiec(0, 100, 0.99), scores.kupiec(100, 100, 0.99)
    assert none.statistic == pytest.approx(-200 * math.log(0.99))
    assert every.statistic == pytest.approx(-200 * math.log(0.01))
    nothing = scores.kupiec(0, 0, 0.99)
    assert (nothing.statistic, nothing.p_value) == (None, None)
    assert nothing.reason


@given(flags(), levels)
def test_christoffersen_is_the_likelihood_ratio_of_a_markov_chain(exceeded: NDArray[np.bool_], level: float) -> None:
    result = scores.christoffersen(exceeded, level)
    pairs = np.zeros((2, 2))
    np.add.at(pairs, (exceeded[:-1].astype(int), exceeded[1:].astype(int)), 1)
    coverage = scores.kupiec(int(exceeded.sum()), exceeded.size, level)
    assert coverage.statistic is not None
    if (pairs.sum(axis=1) == 0).any():
        assert result.independence.statistic is None
        assert result.independence.p_value is None
        assert result.independence.reason
        ratio = 0.0
    else:
        chain = special.xlogy(pairs, pairs / pairs.sum(axis=1, keepdims=True)).sum()
        pooled = special.xlogy(pairs.sum(axis=0), pairs.sum(axis=0) / pairs.sum()).sum()
        ratio = 2 * (chain - pooled)
        assert result.independence.statistic == pytest.approx(ratio, abs=1e-8)
        assert result.independence.p_value == pytest.approx(stats.chi2.sf(max(ratio, 0), 1), abs=1e-4)
    joint = result.conditional_coverage
    assert joint.statistic == pytest.approx(coverage.statistic + ratio, abs=1e-8)
    assert joint.p_value == pytest.approx(stats.chi2.sf(joint.statistic, 2), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    "exceeded",
    [[False] * 10, [True] * 10, [False] * 9 + [True], [True] * 9 + [False], [True], [False]],
    ids=["never", "always", "on the last day", "but on the last day", "one day", "one other day"],
)
def test_independence_needs_a_day_after_each_kind(exceeded: list[bool]) -> None:
    result = scores.christoffersen(np.array(exceeded), 0.95)
    assert result.independence.p_value is None
    assert result.independence.reason
    assert result.conditional_coverage.p_value is not None


def test_no_day_at_all_has_no_test() -> None:
    result = scores.christoffersen(np.empty(0, dtype=bool), 0.95)
    assert (result.independence.p_value, result.conditional_coverage.p_value) == (None, None)
    assert result.conditional_coverage.reason


def rejections(hits: NDArray[np.bool_], level: float) -> tuple[float, float, float]:
    """Return the shares of the rows that each of the three tests rejects at 5 %."""
    rows = [(scores.kupiec(int(row.sum()), row.size, level), scores.christoffersen(row, level)) for row in hits]
    tests = [(one.p_value, two.independence.p_value, two.conditional_coverage.p_value) for one, two in rows]
    shares = (np.array([[value is not None and value < 0.05 for value in row] for row in tests])).mean(axis=0)
    return tuple(shares.tolist())


def test_tests_accept_the_truth_and_reject_what_is_wrong() -> None:
    draws = np.random.default_rng(2).random((300, 2000))
    right, too_many = draws < 0.05, draws < 0.08
    # Each exceedance makes one on the next day likelier, while the share stays near 5 %.
    clustered = np.zeros_like(right)
    for day in range(1, draws.shape[1]):
        clustered[:, day] = draws[:, day] < np.where(clustered[:, day - 1], 0.3, 0.0368)
    kupiec, independence, joint = rejections(right, 0.95)
    assert all(0.01 < share < 0.11 for share in (kupiec, independence, joint))
    kupiec, _, joint = rejections(too_many, 0.95)
    assert min(kupiec, joint) > 0.95
    _, independence, joint = rejections(clustered, 0.95)
    assert min(independence, joint) > 0.95


@given(arrays(np.bool_, st.integers(scores.TRAFFIC_LIGHT_DAYS, 400)), levels)
def test_traffic_light_is_the_zone_of_every_run(exceeded: NDArray[np.bool_], level: float) -> None:
    light = scores.traffic_light(exceeded, level)
    assert light is not None
    zones = []
    for start in range(exceeded.size - 249):
        below = stats.binom.cdf(int(exceeded[start : start + 250].sum()), 250, 1 - level)
        zones.append("green" if below < 0.95 else "yellow" if below < 0.9999 else "red")
    for zone in ("green", "yellow", "red"):
        assert getattr(light, zone) == pytest.approx(zones.count(zone) / len(zones))
    assert light.last == zones[-1]
    assert light.runs == len(zones)
    assert light.last_exceedances == int(exceeded[-250:].sum())


def test_traffic_light_needs_250_days() -> None:
    assert scores.traffic_light(np.zeros(249, dtype=bool), 0.99) is None
    assert scores.traffic_light(np.zeros(250, dtype=bool), 0.99) is not None


@given(st.lists(st.tuples(amounts, losses, losses), min_size=1, max_size=50), levels)
def test_z2_is_its_definition(days: list[tuple[float, float, float]], level: float) -> None:
    expected = 1 + sum(pnl / es for pnl, var, es in days if pnl + var < 0) / (len(days) * (1 - level))
    pnl, var, es = np.array(days).T
    assert scores.acerbi_szekely_z2(pnl, var, es, level) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_z2_is_zero_for_the_truth_and_below_for_a_shortfall_too_small() -> None:
    pnl = np.random.default_rng(3).standard_t(4, size=(400, 250))
    var = np.full(250, stats.t.ppf(0.975, 4))
    t = var[0]
    es = np.full(250, stats.t.pdf(t, 4) / 0.025 * (4 + t * t) / 3)
    right = np.array([scores.acerbi_szekely_z2(row, var, es, 0.975) for row in pnl])
    assert abs(right.mean()) < 0.1
    # Acerbi & Székely (2014) have −0.70 as the 5 % point of 250 days at 97.5 %, for thin and for heavier tails.
    assert 0.01 < (right < -0.7).mean() < 0.1
    normal_var, normal_es = normal_multiples(0.975)
    wrong = [scores.acerbi_szekely_z2(row, np.full(250, normal_var), np.full(250, normal_es), 0.975) for row in pnl]
    assert np.mean(np.array(wrong) < -0.7) > 0.5


def test_a_loss_that_equals_the_var_does_not_exceed_it() -> None:
    assert scores.exceeded(np.array([-1.0, -1.0000001, 0.0]), np.array([1.0, 1.0, 0.0])).tolist() == [
        False,
        True,
        False,
    ]
