"""Quantiles and tail means against numpy, against a plain twin, and against their own laws."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import CONFIDENCES
from tailwatch.risk.tail import (
    Quantile,
    expected_shortfall,
    neighbourhood_weights,
    quantile_rank,
    quantile_weights,
    tail_mean_weights,
    tail_probability,
    tail_weights,
    value_at_risk,
    worst_outcomes,
)
from tests.support.risk_samples import pnl_matrices

LEVELS = {0.95: Fraction(1, 20), 0.975: Fraction(1, 40), 0.99: Fraction(1, 100)}


def plain_var(outcomes: list[float], alpha: Fraction) -> float:
    """Weibull's quantile, written down in exact rational ranks."""
    ordered = sorted(outcomes)
    rank = min(max((len(ordered) + 1) * alpha, Fraction(1)), Fraction(len(ordered)))
    below = math.floor(rank)
    share = float(rank - below)
    above = ordered[below] if share else 0.0
    return -((1 - share) * ordered[below - 1] + share * above)


def plain_es(outcomes: list[float], alpha: Fraction) -> float:
    """Acerbi and Tasche's tail mean, one outcome after the other until the tail is full."""
    left = size = max(len(outcomes) * alpha, Fraction(1))
    total = 0.0
    for outcome in sorted(outcomes):
        taken = min(left, Fraction(1))
        total += float(taken) * outcome
        left -= taken
    return -total / float(size)


@given(pnl_matrices(), st.sampled_from(CONFIDENCES))
def test_equals_the_plain_twin(pnl: np.ndarray, confidence: float) -> None:
    tolerance = 1e-12 * max(1.0, float(np.abs(pnl).max()))
    var, es = value_at_risk(pnl, confidence), expected_shortfall(pnl, confidence)
    for row, outcomes in enumerate(pnl.tolist()):
        assert var[row] == pytest.approx(plain_var(outcomes, LEVELS[confidence]), abs=tolerance)
        assert es[row] == pytest.approx(plain_es(outcomes, LEVELS[confidence]), abs=tolerance)


@pytest.mark.parametrize(
    ("convention", "name"),
    [
        (Quantile.WEIBULL, "weibull"),
        (Quantile.LINEAR, "linear"),
        (Quantile.HIGHER, "higher"),
        (Quantile.LOWER, "lower"),
    ],
)
@pytest.mark.parametrize("days", [1, 2, 19, 60, 99, 250, 499, 500, 501, 1000])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_conventions_are_numpys(convention: Quantile, name: str, days: int, confidence: float) -> None:
    pnl = np.random.default_rng(days).standard_t(4, (2, days))
    # An exact rank gives numpy's own rounding no chance to pick the neighbour.
    alpha = tail_probability(confidence)
    expected = -np.quantile(pnl, alpha, axis=1, method=name)
    exact = (days - 1) * LEVELS[confidence]
    if convention in {Quantile.HIGHER, Quantile.LOWER} and exact.denominator == 1:
        expected = -np.sort(pnl, axis=1)[:, int(exact)]
    np.testing.assert_allclose(value_at_risk(pnl, confidence, convention), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("days", "alpha", "rank"),
    [(500, 0.05, 25.05), (500, 0.01, 5.01), (99, 0.01, 1.0), (60, 0.01, 1.0), (1, 0.05, 1.0), (19, 0.05, 1.0)],
)
def test_rank(days: int, alpha: float, rank: float) -> None:
    assert quantile_rank(days, alpha) == rank


@given(pnl_matrices())
def test_es_is_at_least_var_and_levels_are_ordered(pnl: np.ndarray) -> None:
    slack = 1e-12 * max(1.0, float(np.abs(pnl).max()))
    vars_ = [value_at_risk(pnl, confidence) for confidence in CONFIDENCES]
    shortfalls = [expected_shortfall(pnl, confidence) for confidence in CONFIDENCES]
    for var, es in zip(vars_, shortfalls, strict=True):
        assert (es >= var - slack).all()
    for figures in (vars_, shortfalls):
        assert (np.diff(figures, axis=0) >= -slack).all()


@given(st.integers(1, 3000), st.sampled_from(CONFIDENCES))
def test_weights_are_averages(days: int, confidence: float) -> None:
    alpha = tail_probability(confidence)
    for weights in (
        quantile_weights(days, alpha),
        tail_mean_weights(days, alpha),
        neighbourhood_weights(days, alpha),
    ):
        assert weights.shape == (days,)
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1, abs=1e-12)


@given(st.integers(1, 3000))
def test_depth_holds_every_weight(days: int) -> None:
    weights = tail_weights(days, CONFIDENCES)
    assert weights.depth <= days
    for level, confidence in enumerate(CONFIDENCES):
        alpha = tail_probability(confidence)
        for cut, whole in (
            (weights.value_at_risk, quantile_weights(days, alpha)),
            (weights.expected_shortfall, tail_mean_weights(days, alpha)),
            (weights.neighbourhood, neighbourhood_weights(days, alpha)),
        ):
            np.testing.assert_array_equal(cut[level], whole[: weights.depth])
            assert not whole[weights.depth :].any()


def test_neighbourhood_is_centred_on_the_quantile() -> None:
    (ranks,) = np.nonzero(neighbourhood_weights(500, 0.05))
    assert (ranks[0] + 1, ranks[-1] + 1) == (20, 30)


@given(pnl_matrices(), st.integers(1, 400))
def test_worst_outcomes_are_the_worst(pnl: np.ndarray, depth: int) -> None:
    depth = min(depth, pnl.shape[1])
    worst = worst_outcomes(pnl, depth)
    np.testing.assert_array_equal(worst.outcomes, np.sort(pnl, axis=1)[:, :depth])
    np.testing.assert_array_equal(np.take_along_axis(pnl, worst.days, axis=1), worst.outcomes)
    for days in worst.days:
        assert len(set(days.tolist())) == depth
