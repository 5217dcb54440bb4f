"""The volatility model against its definition, step by step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tailwatch.errors import InvalidModelError
from tailwatch.risk.averages import SEED_DAYS, exponential_averages
from tailwatch.risk.coefficients import default_model, from_json, to_json
from tailwatch.risk.volatility import VolatilityModel, conditional_variances, features

Floats = NDArray[np.float64]


def noise(days: int, names: int, seed: int) -> Floats:
    return 0.01 * np.random.default_rng(seed).standard_t(4, (days, names))


def stepwise(values: Floats, span: float) -> Floats:
    """The definition: e ← λe + (1−λ)x from the mean of the first 250 values, one day after the other."""
    decay = span / (1 + span)
    averages = np.empty((len(values) + 1, values.shape[1]))
    averages[: SEED_DAYS + 1] = values[:SEED_DAYS].mean(axis=0)
    for day in range(SEED_DAYS, len(values)):
        averages[day + 1] = decay * averages[day] + (1 - decay) * values[day]
    return averages


@settings(max_examples=30)
@given(days=st.integers(SEED_DAYS, 700), names=st.integers(1, 4), span=st.sampled_from([1, 5, 8, 22, 66, 250, 750]))
def test_blocks_are_the_recursion(days: int, names: int, span: int) -> None:
    values = noise(days, names, days) ** 2
    assert exponential_averages(values, span) == pytest.approx(stepwise(values, span), rel=1e-13)


def test_the_variance_is_the_sum_of_its_ten_terms() -> None:
    returns = noise(900, 3, 1)
    market = returns.mean(axis=1)
    model = default_model()
    squares, falls = returns**2, np.where(returns < 0, returns**2, 0.0)
    market_squares = market[:, None] ** 2
    market_falls = np.where(market[:, None] < 0, market_squares, 0.0)
    expected = np.zeros((901, 3))
    for coefficient, span in zip(model.squares, (1, 5, 22, 66, 250, 750), strict=True):
        expected += coefficient * stepwise(squares, span)
    for own, of_market, span in zip(model.downside, model.market, (1, 8), strict=True):
        scaled = stepwise(squares, 750) * stepwise(market_falls, span) / stepwise(market_squares, 750)
        expected += own * stepwise(falls, span) + of_market * scaled
    assert conditional_variances(returns, market, model) == pytest.approx(expected, rel=1e-12)


def test_a_forecast_knows_the_days_before_only() -> None:
    returns = noise(600, 3, 2)
    other = returns.copy()
    other[400:] *= 7
    before, after = (conditional_variances(each, each.mean(axis=1), default_model()) for each in (returns, other))
    assert (before[:401] == after[:401]).all()
    assert (before[401:] != after[401:]).all()


def test_ten_times_the_returns_have_a_hundred_times_the_variance() -> None:
    returns = noise(600, 3, 3)
    once, tenfold = (
        conditional_variances(each, returns.mean(axis=1), default_model()) for each in (returns, 10 * returns)
    )
    assert tenfold == pytest.approx(100 * once, rel=1e-12)


def test_a_market_without_movement_adds_nothing() -> None:
    returns = noise(400, 2, 4)
    *_, one, other = features(returns, np.zeros(400))
    assert not one.any()
    assert not other.any()


def test_a_file_gives_back_the_model_and_its_digest() -> None:
    model = default_model()
    again = from_json(to_json(model))
    assert (again, again.digest, again.provenance) == (model, model.digest, model.provenance)
    assert VolatilityModel.of(model.coefficients) == model
    whole, same = VolatilityModel((0, 0, 1, 0, 0, 0), (0, 0), (0, 0)), VolatilityModel.of([0.0, 0.0, 1.0, *[0.0] * 7])
    assert whole.digest == same.digest
    assert dataclasses.replace(model, downside=(0.059, 0.396)).digest != model.digest


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"squares": [1, 0, 0, 0, 0], "downside": [0, 0], "market": [0, 0]}',
        '{"squares": [1, 0, 0, 0, 0, -0.1], "downside": [0, 0], "market": [0, 0]}',
        '{"squares": [0, 0, 0, 0, 0, 0], "downside": [0, 0], "market": [0, 0]}',
        '{"squares": [NaN, 0, 0, 0, 0, 0], "downside": [0, 0], "market": [0, 0]}',
        '{"squares": ["x", 0, 0, 0, 0, 0], "downside": [0, 0], "market": [0, 0]}',
    ],
)
def test_what_is_no_model_is_refused(document: str) -> None:
    with pytest.raises(InvalidModelError):
        from_json(document)
