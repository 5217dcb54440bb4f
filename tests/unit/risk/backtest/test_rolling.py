"""Rolling forecasts: equal to the product's measurement, blind to the future, and right in every corner."""

from __future__ import annotations

import csv
import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tailwatch.market
from tailwatch.errors import InvalidExposureError, InvalidPriceSeriesError, TooLittleHistoryError
from tailwatch.risk import CONFIDENCES, Method, PriceSeries, RiskInputs, align, measure
from tailwatch.risk.backtest import EARLIEST_START, Forecasts, forecasts, variance_path
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.scenarios import scaled_returns
from tailwatch.risk.tail import expected_shortfall, value_at_risk
from tailwatch.risk.volatility import VolatilityModel, conditional_variances

SAMPLE = Path(tailwatch.market.__file__).parent / "data" / "us20_adjclose_1990_2022.csv.gz"
FIELDS = ("var_95_1d", "var_975_1d", "var_99_1d", "es_95_1d", "es_975_1d", "es_99_1d")


@cache
def stocks() -> tuple[tuple[str, ...], NDArray[np.datetime64], NDArray[np.float64]]:
    """Return names, days and prices of the sample without its index; the last 1,900 days."""
    with gzip.open(SAMPLE, "rt") as file:
        header, *rows = csv.reader(file)
    cut = rows[-1900:]
    prices = np.array([row[1:-1] for row in cut], dtype=np.float64)
    return tuple(header[1:-1]), np.array([row[0] for row in cut], dtype="datetime64[D]"), prices


def noise(days: int, names: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return 0.01 * rng.standard_t(5, size=(days, names)) + 0.005 * rng.standard_t(5, size=(days, 1))


def same(one: Forecasts, other: Forecasts, days: int) -> bool:
    """Say whether the first `days` forecasts are equal to the last bit."""
    return np.array_equal(one.var[:, :days], other.var[:, :days]) and np.array_equal(
        one.es[:, :days], other.es[:, :days]
    )


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("end", [150, 600, 1899], ids=["young", "some history", "long history"])
def test_the_last_forecast_is_what_measure_says_of_the_days_before(method: Method, end: int) -> None:
    names, days, prices = stocks()
    weights = np.random.default_rng(4).normal(0.05, 0.1, (3, len(names)))
    weights[2] = np.eye(len(names))[7] * -1.5
    cut = slice(1899 - end, 1899)
    sample = align(
        [PriceSeries(name, days[cut], np.ascontiguousarray(prices[cut, column])) for column, name in enumerate(names)]
    )
    returns = prices[1:] / prices[:-1] - 1
    history = returns[1899 - end :]
    forecast = forecasts(history, weights, method, start=len(history) - 1)
    for row, portfolio in enumerate(weights):
        values = dict(zip(names, (1e6 * portfolio).tolist(), strict=True))
        report = measure(RiskInputs(sample, values, days[1898].astype(object)))
        figures = report.methods[method].amounts
        expected = [getattr(figures, field) / 1e6 for field in FIELDS]
        found = [*forecast.var[row, 0], *forecast.es[row, 0]]
        assert found == pytest.approx(expected, rel=1e-9)
    assert forecast.pnl[:, 0] == pytest.approx(weights @ returns[-1])


@settings(max_examples=40, deadline=None)
@given(
    method=st.sampled_from(Method),
    day=st.integers(61, 318),
    seed=st.integers(0, 2**32 - 1),
    change=st.floats(-0.9, -0.01) | st.floats(0.01, 3.0),
    everything=st.booleans(),
)
def test_what_comes_later_changes_no_forecast(
    method: Method, day: int, seed: int, change: float, everything: bool
) -> None:
    returns = noise(320, 3, seed)
    weights = np.array([[1.0, 0.0, 0.0], [0.4, -0.5, 0.9], [0.0, 0.0, -2.0]])
    later = returns.copy()
    later[day:] = change if everything else later[day:] * (1 + change)
    before = forecasts(returns, weights, method, start=60)
    after = forecasts(later, weights, method, start=60)
    # The forecast for a day is made before it; what it is compared with does change.
    assert same(before, after, day - 60 + 1)
    assert not np.array_equal(before.pnl, after.pnl)


@pytest.mark.parametrize("method", Method)
def test_what_came_before_does_change_the_forecast(method: Method) -> None:
    returns = noise(320, 3, 5)
    weights = np.array([[0.4, 0.3, 0.9], [0.0, 0.0, 1.0]])
    shocked = returns.copy()
    shocked[299] = -0.5
    before, after = (forecasts(one, weights, method, start=260) for one in (returns, shocked))
    assert same(before, after, 40)
    assert (after.es[:, 40:, 2] > before.es[:, 40:, 2]).all()


def directly(
    returns: NDArray[np.float64], weights: NDArray[np.float64], day: int, model: VolatilityModel
) -> NDArray[np.float64]:
    """Return the filtered VaR and ES of one day by the plain definition; (K, 2, L)."""
    past = returns[:day]
    variances = conditional_variances(past, past.mean(axis=1), model)
    outcomes = weights @ scaled_returns(past, variances).T
    var = [value_at_risk(outcomes, level) for level in CONFIDENCES]
    es = [expected_shortfall(outcomes, level) for level in CONFIDENCES]
    return np.array([var, es]).transpose(2, 0, 1)


def assert_direct(
    returns: NDArray[np.float64],
    weights: NDArray[np.float64],
    start: int,
    *,
    every: int,
    model: VolatilityModel | None = None,
) -> None:
    model = model or default_model()
    found = forecasts(returns, weights, Method.FILTERED, start=start, model=model)
    for day in range(start, len(returns), every):
        at = day - start
        expected = directly(returns, weights, day, model)
        assert np.stack([found.var[:, at], found.es[:, at]], axis=1) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_filtered_forecasts_are_the_tail_of_the_scaled_returns() -> None:
    weights = np.array([[1.0, 0, 0, 0], [0, -2.0, 0, 0], [0.5, 0.5, -0.3, 0], [0, 0, 0.2, 0.8]])
    assert_direct(noise(1400, 4, 6), weights, 250, every=97)


def test_names_that_do_not_move_for_a_while_keep_their_returns() -> None:
    returns = noise(1400, 4, 7)
    returns[:500, 1] = 0.0  # begins to move with a volatility of nothing
    returns[:, 2] = 0.0  # never moves
    returns[300:, 3] = 0.0  # stops
    weights = np.array([[0, 1.0, 0, 0], [0.5, -0.5, 0.2, 0.1], [0, 0, 0, 1.0], [0, 0, 1.0, 0]])
    assert_direct(returns, weights, 495, every=3)


def test_a_volatility_that_has_gone_scales_nothing() -> None:
    of_yesterday = VolatilityModel(squares=(1.0, 0, 0, 0, 0, 0), downside=(0, 0), market=(0, 0))
    returns = noise(600, 2, 16)
    returns[400:, 0] = 0.0  # a volatility that halves every day is nothing soon
    assert_direct(returns, np.array([[1.0, 0], [0.5, 0.5]]), 380, every=10, model=of_yesterday)


@settings(max_examples=30, deadline=None)
@given(method=st.sampled_from(Method), size=st.floats(0.01, 1e6), seed=st.integers(0, 2**32 - 1))
def test_forecasts_grow_with_the_portfolio(method: Method, size: float, seed: int) -> None:
    returns = noise(290, 3, seed)
    weights = np.array([[1.0, 0.0, 0.0], [0.4, -0.5, 0.9]])
    one, other = (forecasts(returns, factor * weights, method, start=270) for factor in (1.0, size))
    assert other.var == pytest.approx(size * one.var, rel=1e-9)
    assert other.es == pytest.approx(size * one.es, rel=1e-9)
    assert (one.es >= one.var - 1e-15).all()


@pytest.mark.parametrize("method", Method)
def test_a_perfect_hedge_is_forecast_to_lose_nothing(method: Method) -> None:
    returns = noise(320, 2, 8)[:, [0, 0, 1]]
    weights = np.array([[0.3, -0.3, 0.0], [0.3, -0.3, 0.5]])
    found = forecasts(returns, weights, method, start=300)
    assert (found.var[0] == 0).all()
    assert (found.es[0] == 0).all()
    assert (found.var[1] > 0).all()


def test_the_market_is_the_mean_of_all_columns_unless_given() -> None:
    returns = noise(400, 5, 9)
    weights = np.array([[1.0, 0, 0, 0, 0]])

    def filtered(**given: NDArray[np.float64]) -> Forecasts:
        return forecasts(returns, weights, Method.FILTERED, start=390, **given)

    assert same(filtered(), filtered(market=returns.mean(axis=1)), 10)
    assert not same(filtered(), filtered(market=returns[:, 4]), 10)
    variances = variance_path(returns, market=returns[:, 4])
    assert same(filtered(market=returns[:, 4]), filtered(variances=variances), 10)


def test_variances_are_the_same_whatever_is_computed_at_once() -> None:
    returns = noise(300, 150, 10)
    whole = conditional_variances(returns, returns.mean(axis=1), default_model())
    assert variance_path(returns) == pytest.approx(whole, rel=1e-12)
    some = np.array([149, 3])
    assert variance_path(returns, columns=some) == pytest.approx(whole[:, some], rel=1e-12)


def test_a_shorter_window_sees_less() -> None:
    returns = noise(400, 1, 11)
    found = forecasts(returns, np.ones((1, 1)), Method.HISTORICAL, start=399, window=100, levels=[0.9])
    assert found.var.shape == (1, 1, 1)
    assert found.var[0, 0, 0] == pytest.approx(value_at_risk(returns[299:399].T, 0.9)[0])


@pytest.mark.parametrize("method", [Method.HISTORICAL, Method.FILTERED])
def test_progress_counts_every_portfolio_and_day_once(method: Method) -> None:
    told: list[int] = []
    weights = np.array([[1.0, 0], [0.5, 0.5], [0, -1.0]])
    forecasts(noise(500, 2, 12), weights, method, start=240, progress=told.append)
    assert sum(told) == 3 * 260
    assert len(told) > 1


@pytest.mark.parametrize("start", [-1, 0, EARLIEST_START - 1, 100, 1000])
def test_a_start_without_history_or_behind_the_end_is_refused(start: int) -> None:
    with pytest.raises(TooLittleHistoryError, match=f"{start} before it"):
        forecasts(noise(100, 1, 13), np.ones((1, 1)), Method.HISTORICAL, start=start)


def test_what_is_no_number_is_refused() -> None:
    returns = noise(100, 2, 14)
    for wrong in (np.nan, np.inf):
        with pytest.raises(InvalidExposureError):
            forecasts(returns, np.array([[1.0, wrong]]), Method.EWMA, start=90)
        broken = returns.copy()
        broken[50, 1] = wrong
        with pytest.raises(InvalidPriceSeriesError):
            forecasts(broken, np.array([[1.0, 0.0]]), Method.EWMA, start=90)
    with pytest.raises(InvalidExposureError, match="holds"):
        forecasts(returns, np.zeros((1, 2)), Method.EWMA, start=90)


def test_a_portfolio_of_nothing_beside_others_is_forecast_to_lose_nothing() -> None:
    found = forecasts(noise(300, 2, 15), np.array([[0.0, 0.0], [1.0, 0.0]]), Method.FILTERED, start=280)
    assert (found.var[0] == 0).all()
    assert (found.var[1] > 0).all()
