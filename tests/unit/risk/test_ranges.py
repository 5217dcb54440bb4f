"""Variances from open, high and low: right on average, and a better forecast on days made of many moves."""

from __future__ import annotations

import numpy as np
import pytest

from tailwatch.risk import PriceSeries, align
from tailwatch.risk.backtest.models import compare
from tailwatch.risk.fit import fit, observe
from tailwatch.risk.ranges import measures, range_variances
from tailwatch.risk.volatility import VolatilityModel, conditional_variances

MINUTES = 390


def traded_days(
    seed: int, days: int, columns: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (days, columns) opens, highs, lows, closes, and the true variances of the days, which change slowly."""
    generator = np.random.default_rng(seed)
    level = np.cumsum(generator.normal(0, 0.12, (days, columns)), axis=0)
    # Mean-reverting around one per cent a day.
    level -= np.array([np.convolve(level[:, each], np.full(120, 1 / 120))[:days] for each in range(columns)]).T
    variance = 0.01**2 * np.exp(level)
    shape = (days, columns)
    opens, highs, lows, closes = (np.empty(shape) for _ in range(4))
    price = np.full(columns, 100.0)
    for day in range(days):
        price = price * np.exp(generator.normal(0, np.sqrt(0.2 * variance[day])))
        path = np.cumsum(generator.normal(0, np.sqrt(0.8 * variance[day] / MINUTES), (MINUTES, columns)), axis=0)
        opens[day] = price
        highs[day] = price * np.exp(np.maximum(path.max(axis=0), 0))
        lows[day] = price * np.exp(np.minimum(path.min(axis=0), 0))
        price = closes[day] = price * np.exp(path[-1])
    return opens, highs, lows, closes, variance


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, np.ndarray]:
    """(T, 6) returns and ranges."""
    opens, highs, lows, closes, _ = traded_days(7, 2500, 6)
    ranges = np.column_stack(
        [
            range_variances(opens[:, each], highs[:, each], lows[:, each], closes[:, each], closes[:, each])
            for each in range(6)
        ]
    )
    return closes[1:] / closes[:-1] - 1, ranges[1:]


def test_it_is_the_variance_on_average_and_far_less_scattered() -> None:
    opens, highs, lows, closes, variance = (each[:, 0] for each in traded_days(1, 4000))
    found = range_variances(opens, highs, lows, closes, closes)[1:]
    squares = np.log(closes[1:] / closes[:-1]) ** 2
    # A path of 390 moves misses some of the range that an endless one has.
    assert (found / variance[1:]).mean() == pytest.approx(1, abs=0.1)
    assert (found / variance[1:]).std() < 0.5 * (squares / variance[1:]).std()


def test_by_hand() -> None:
    found = range_variances(*(np.array(each) for each in ([10.0, 11], [10.0, 12], [10.0, 10], [10.0, 11], [5.0, 6])))
    assert np.isnan(found[0])
    # The day did not move on balance, so the adjusted close's move is the night's.
    assert found[1] == pytest.approx(np.log(6 / 5) ** 2 + np.log(12 / 10) ** 2 / (4 * np.log(2)))


@pytest.mark.parametrize(
    "bar", [(np.nan, 12, 10, 11), (9, 12, 10, 11), (11, 10.5, 10, 11), (11, 12, 0, 11), (11, 12, 10, 12.5)]
)
def test_a_bar_that_cannot_be_has_no_range(bar: tuple[float, ...]) -> None:
    opens, highs, lows, closes = (np.array([10.0, each]) for each in bar)
    assert np.isnan(range_variances(opens, highs, lows, closes, closes)[1])


def test_without_ranges_it_is_the_squares_to_the_last_bit(market: tuple[np.ndarray, np.ndarray]) -> None:
    returns, _ = market
    assert (measures(returns, np.full_like(returns, np.nan)) == returns**2).all()


def test_the_scale_knows_the_days_before_only(market: tuple[np.ndarray, np.ndarray]) -> None:
    returns, ranges = market
    changed = ranges.copy()
    changed[1500:] *= 3
    before, after = measures(returns, ranges), measures(returns, changed)
    assert (before[:1500] == after[:1500]).all()
    assert after[1500] == pytest.approx(3 * before[1500])


def test_ranges_on_another_scale_are_brought_to_that_of_the_returns(market: tuple[np.ndarray, np.ndarray]) -> None:
    returns, ranges = market
    once, twice = measures(returns, ranges), measures(returns, 2 * ranges)
    assert twice[250:] == pytest.approx(once[250:], rel=1e-9)


def test_they_forecast_better_where_days_are_made_of_many_moves(market: tuple[np.ndarray, np.ndarray]) -> None:
    returns, ranges = market
    start = 1600
    squares = fit(observe(returns).between(0, start)).model
    ranged = fit(observe(returns, ranges=ranges).between(0, start), measure="range").model
    by_squares, by_ranges = compare(returns, [squares, ranged], start=start, ranges=ranges)
    assert by_ranges.log_likelihood > by_squares.log_likelihood
    assert all(ratio is not None and ratio < 0.995 for ratio in by_ranges.loss_ratios)


def test_a_sample_scales_by_them_only_if_the_model_does(market: tuple[np.ndarray, np.ndarray]) -> None:
    returns, ranges = market
    days = np.arange(np.datetime64("2015-01-01"), np.datetime64("2015-01-01") + len(returns) + 1)
    series = [
        PriceSeries(
            f"T{each}",
            days,
            100 * np.cumprod(np.concatenate(([1.0], 1 + returns[:, each]))),
            np.concatenate(([np.nan], ranges[:, each])),
        )
        for each in range(3)
    ]
    coefficients = (0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.0, 0.1, 0.0, 0.0)
    squares, ranged = (VolatilityModel.of(coefficients, measure=each) for each in ("squares", "range"))
    plain = align([PriceSeries(one.ticker, one.dates, one.closes) for one in series], model=squares)
    assert (align(series, model=squares).filtered == plain.filtered).all()
    sample = align(series, model=ranged)
    assert sample.ranges is not None
    assert sample.ranges == pytest.approx(ranges[-500:, :3])
    newest = returns[-2300:, :3]
    expected = conditional_variances(newest, newest.mean(axis=1), ranged, ranges[-2300:, :3])
    assert sample.volatility_now == pytest.approx(np.sqrt(expected[-1]), rel=1e-9)
    assert squares.digest != ranged.digest
