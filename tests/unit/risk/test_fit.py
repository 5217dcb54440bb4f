"""Learning the coefficients: from simulated data with known ones, and from the shipped prices."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

import tailwatch
from tailwatch.cli.price_files import read_prices
from tailwatch.errors import TooLittleHistoryError
from tailwatch.risk import fit as fitting
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.backtest.models import compare
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.fit import FEWEST_RETURNS, Observations, fit, log_likelihood, loss_and_gradient, observe
from tailwatch.risk.volatility import VolatilityModel, conditional_variances

Floats = NDArray[np.float64]

SAMPLE = Path(tailwatch.__file__).parent / "market" / "data" / "us20_adjclose_1990_2022.csv.gz"
TRUE = VolatilityModel(squares=(0.05, 0, 0.4, 0, 0, 0.3), downside=(0, 0.35), market=(0, 0.1))


def noise(days: int, names: int, seed: int = 0) -> Floats:
    return 0.01 * np.random.default_rng(seed).standard_t(6, (days, names))


def simulated(model: VolatilityModel, days: int, names: int, seed: int) -> Floats:
    """Returns that the model is true of, drawn day by day by the definition of its averages."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(6, (days, names)) * np.sqrt(4 / 6)
    sizes = rng.uniform(0.005, 0.03, names)
    returns = np.empty((days, names))
    returns[:SEED_DAYS] = sizes * shocks[:SEED_DAYS]
    spans = np.array([1, 5, 22, 66, 250, 750, 1, 8, 1, 8, 750])[:, None]
    decays = spans / (1 + spans)

    def inputs(rows: Floats) -> Floats:
        market = rows.mean(axis=1, keepdims=True)
        squares, falls = rows**2, np.where(rows < 0, rows**2, 0.0)
        of_market = np.broadcast_to(np.where(market < 0, market**2, 0.0), rows.shape)
        return np.stack([*6 * [squares], falls, falls, of_market, of_market, np.broadcast_to(market**2, rows.shape)])

    averages = inputs(returns[:SEED_DAYS]).mean(axis=1)
    for day in range(SEED_DAYS, days):
        terms = averages[:10].copy()
        terms[8:] *= averages[5] / averages[10]
        returns[day] = shocks[day] * np.sqrt(np.array(model.coefficients) @ terms)
        averages = decays * averages + (1 - decays) * inputs(returns[day : day + 1])[:, 0]
    return returns


@cache
def known_truth() -> tuple[Floats, Observations]:
    returns = simulated(TRUE, 5000, 24, 7)
    return returns, observe(returns)


@cache
def sample() -> Observations:
    prices = read_prices(SAMPLE)
    return observe(prices.returns[:, [column for column, name in enumerate(prices.names) if name != "SP500"]])


def test_known_coefficients_are_found_again() -> None:
    returns, observed = known_truth()
    found = fit(observed)
    assert np.array(found.model.coefficients) == pytest.approx(np.array(TRUE.coefficients), abs=0.06)
    assert found.log_likelihood >= log_likelihood(TRUE, observed)
    # What counts is the variance: the coefficients of neighbouring averages can stand in for one another.
    market = returns.mean(axis=1)
    ratios = conditional_variances(returns, market, found.model) / conditional_variances(returns, market, TRUE)
    assert np.abs(ratios[SEED_DAYS:] - 1).max() < 0.1


def test_the_shipped_coefficients_are_those_of_the_shipped_prices() -> None:
    found, shipped = fit(sample()), default_model()
    assert np.array(found.model.coefficients) == pytest.approx(np.array(shipped.coefficients), abs=0.015)
    assert 0 <= found.log_likelihood - log_likelihood(shipped, sample()) < 1e-5
    assert found.instruments == 20


def test_the_same_data_give_the_same_coefficients() -> None:
    _, observed = known_truth()
    assert fit(observed).model.digest == fit(observed).model.digest


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_coefficients_are_never_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Volatility that falls after falls: the best coefficients of falls would be negative.
    returns = noise(FEWEST_RETURNS, 3, seed) * np.where(rng.random((FEWEST_RETURNS, 1)) < 0.5, 1.0, 3.0)
    model = fit(observe(returns)).model
    assert min(model.coefficients) >= 0
    assert max(model.coefficients) > 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 1.0), min_size=10, max_size=10))
def test_the_gradient_is_the_slope(coefficients: list[float]) -> None:
    observed = observe(noise(900, 4))
    at = np.array(coefficients)
    _, gradient = loss_and_gradient(at, observed)
    step = 1e-6
    for place in range(10):
        change = np.zeros(10)
        change[place] = step
        above, below = (loss_and_gradient(at + sign * change, observed)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / (2 * step), abs=1e-7)


def test_the_likelihood_is_that_of_students_t() -> None:
    returns = noise(900, 1)
    observed = observe(returns)
    market = returns.mean(axis=1)
    variances = conditional_variances(returns, market, TRUE)[SEED_DAYS:-1, 0]
    long_run = conditional_variances(returns, market, VolatilityModel((0, 0, 0, 0, 0, 1), (0, 0), (0, 0)))
    scale = np.sqrt(variances / long_run[SEED_DAYS:-1, 0] * 4 / 6)
    expected = stats.t.logpdf(returns[SEED_DAYS:, 0] / np.sqrt(long_run[SEED_DAYS:-1, 0]), 6, scale=scale).mean()
    assert log_likelihood(TRUE, observed) == pytest.approx(expected, abs=1e-8)


def test_the_size_of_the_returns_changes_nothing() -> None:
    returns = noise(1200, 3)
    market = returns.mean(axis=1)
    small, large = (observe(each, market) for each in (returns, 50 * returns))
    assert large.terms == pytest.approx(small.terms, rel=1e-10)
    assert large.squares == pytest.approx(small.squares, rel=1e-10)


def test_the_longest_run_without_a_gap_counts() -> None:
    returns = noise(2000, 3)
    returns[:500, 0] = np.nan  # listed later
    returns[[900, 1100], 1] = np.nan  # 900 and 899 returns beside a short run: the earlier one is longer
    returns[1300:, 2] = np.nan  # delisted
    observed = observe(returns, np.zeros(2000))
    assert observed.instruments == 3
    counts = np.bincount(observed.days, minlength=2000)
    assert np.flatnonzero(counts).min() == SEED_DAYS
    assert counts.sum() == (1500 - SEED_DAYS) + (900 - SEED_DAYS) + (1300 - SEED_DAYS)
    alone = observe(returns[500:, :1], np.zeros(1500))
    assert set(alone.days + 500) <= set(observed.days)
    assert np.isin(alone.squares, observed.squares).all()


def test_the_past_of_the_observations_is_that_of_the_past() -> None:
    """What is learned from the days before a day is the same whether later days are known or not."""
    returns = noise(1500, 3)
    cut = observe(returns[:1000]).between(0, 1000)
    assert fit(observe(returns).between(0, 1000)).model == fit(cut).model


def test_a_price_that_never_moves_is_left_out() -> None:
    returns = noise(1000, 2)
    returns[:, 1] = 0.0
    observed = observe(returns, returns[:, 0])
    assert observed.instruments == 1
    assert np.isfinite(observed.terms).all()


def test_many_days_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = noise(1000, 4)
    whole = observe(returns)
    monkeypatch.setattr(fitting, "MOST_OBSERVATIONS", 1000)
    some = observe(returns)
    assert some.days.size == pytest.approx(whole.days.size / 3, abs=4)
    assert set(some.days) == set(range(SEED_DAYS, 1000, 3))


@pytest.mark.parametrize("returns", [np.empty((0, 0)), noise(FEWEST_RETURNS - 1, 2), np.zeros((900, 2))])
def test_too_little_to_learn_from(returns: Floats) -> None:
    with pytest.raises(TooLittleHistoryError):
        observe(returns)


def test_no_day_before_a_day_is_too_little() -> None:
    with pytest.raises(TooLittleHistoryError):
        fit(observe(noise(800, 1)).between(0, SEED_DAYS))


def test_out_of_sample_the_true_model_beats_a_wrong_one() -> None:
    returns, _ = known_truth()
    wrong = VolatilityModel(squares=(0, 0, 0, 0, 0, 1.0), downside=(0, 0), market=(0, 0))
    right, worse = compare(returns, [TRUE, wrong], start=2500)
    assert right.log_likelihood > worse.log_likelihood
    assert right.loss_ratios == (1.0, 1.0, 1.0)
    assert all(ratio is not None and ratio > 1 for ratio in worse.loss_ratios)


def test_a_comparison_needs_an_instrument_that_is_always_there() -> None:
    returns = noise(2000, 2)
    returns[[1500, 1600], [0, 1]] = np.nan
    with pytest.raises(TooLittleHistoryError):
        compare(returns, [TRUE], start=1400)
