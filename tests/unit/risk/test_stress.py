"""Stress: the episodes' days, replay by history and by beta, factor, volatility and correlation shocks."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tailwatch.market.sample import SampleSource
from tailwatch.risk import Method, PriceSeries, RiskInputs, RiskSettings, Sample, align, measure
from tailwatch.risk.episodes import EPISODES, Episode, EpisodeReturns, episode_returns
from tailwatch.risk.stress import StressReport, stress, to_json_dict
from tests.support.risk_samples import random_series, sample_of

CRASH = Episode("crash", "A crash", date(2020, 3, 2), date(2020, 3, 6))
DAYS = np.arange("2020-02-28", "2020-03-10", dtype="datetime64[D]")


def closes(ticker: str, *prices: float, days: np.ndarray = DAYS) -> PriceSeries:
    return PriceSeries(ticker, days[: len(prices)], np.array(prices, dtype=np.float64))


def sample_index() -> PriceSeries:
    """Return the S&P 500 of the bundled sample."""
    history = SampleSource().history("^GSPC", date(1980, 1, 1), datetime(2023, 1, 1, tzinfo=UTC))
    return PriceSeries(
        "^GSPC",
        np.array([bar.day for bar in history.bars], dtype="datetime64[D]"),
        np.array([float(bar.adjusted_close) for bar in history.bars]),
    )


@pytest.mark.parametrize("episode", EPISODES, ids=lambda one: one.key)
def test_each_episode_runs_from_the_high_to_the_low_of_the_index(episode: Episode) -> None:
    index = sample_index()
    inside = (index.dates >= np.datetime64(episode.start)) & (index.dates <= np.datetime64(episode.end))
    prices, days = index.closes[inside], index.dates[inside]
    assert days[prices.argmax()] == np.datetime64(episode.start)
    assert days[prices.argmin()] == np.datetime64(episode.end)
    assert prices[-1] / prices[0] < 0.82


def returns_of(*series: PriceSeries, benchmark: PriceSeries | None = None) -> EpisodeReturns:
    return episode_returns(series, benchmark, [CRASH])[0]


def test_returns_are_from_the_close_before_to_the_last_close() -> None:
    found = returns_of(closes("A", 90, 91, 99, 100, 80, 60, 90, 75, 10))
    # 2 March is the fourth day, 6 March the eighth.
    assert found.total[0] == pytest.approx(75 / 100 - 1)
    assert found.daily[:, 0] == pytest.approx([-0.2, -0.25, 0.5, 75 / 90 - 1])
    assert found.sessions[[0, -1]].astype(str).tolist() == ["2020-03-03", "2020-03-06"]
    assert (1 + found.daily[:, 0]).prod() - 1 == pytest.approx(found.total[0])


def test_a_price_of_a_few_days_before_will_do_and_an_old_one_not() -> None:
    some = np.array(["2020-02-26", "2020-03-05", "2020-03-06"], dtype="datetime64[D]")
    assert returns_of(closes("A", 100, 50, 60, days=some)).total[0] == pytest.approx(-0.4)
    old = np.array(["2020-02-20", "2020-03-05", "2020-03-06"], dtype="datetime64[D]")
    assert returns_of(closes("A", 100, 50, 60, days=old)).known.tolist() == [False]
    ended = np.array(["2020-02-20", "2020-02-28"], dtype="datetime64[D]")
    assert returns_of(closes("A", 100, 50, days=ended)).known.tolist() == [False]
    bad = closes("A", 90, 91, 99, 100, np.nan, 0, 90, 75)
    assert returns_of(bad).daily[:, 0] == pytest.approx([-0.1, 75 / 90 - 1])


@pytest.fixture(scope="module")
def sample() -> Sample:
    series = [random_series(ticker, 700, seed) for seed, ticker in enumerate("ABC")]
    return align(series, benchmark=random_series("MARKET", 700, 9))


def report(
    sample: Sample, values: dict[str, float], episodes: tuple[EpisodeReturns, ...] = (), **settings: Method
) -> StressReport:
    inputs = RiskInputs(sample, values, sample.sessions[-1].astype(object), RiskSettings(**settings))
    return stress(inputs, measure(inputs), episodes)


def test_own_history_beta_and_nothing_are_told_apart(sample: Sample) -> None:
    own, none = closes("A", 90, 91, 99, 100, 80, 60, 90, 75), closes("B")
    market = closes("M", 100, 100, 100, 100, 90, 81, 85, 88)
    values = {"A": 600.0, "B": -300.0, "GONE": 100.0}
    with_market = episode_returns([own, none, closes("C")], market, [CRASH])
    (found,) = report(sample, values, with_market).episodes
    assert sample.betas is not None
    by_beta = -300 * float(sample.betas[1]) * -0.12
    assert [(one.ticker, one.basis) for one in found.positions] == [("A", "history"), ("B", "beta"), ("GONE", "none")]
    assert found.pnl == pytest.approx(600 * -0.25 + by_beta)
    assert found.fraction == pytest.approx(found.pnl / 400)
    assert (found.own, found.by_beta, found.missing) == (0.6, 0.3, pytest.approx(0.1))
    assert found.worst_day is not None
    # The second day loses 25 % of A.
    assert found.worst_day.date == date(2020, 3, 4)
    assert found.worst_day.pnl == pytest.approx(-150 - 300 * float(sample.betas[1]) * -0.1)
    (alone,) = report(sample, values, episode_returns([own, none, closes("C")], None, [CRASH])).episodes
    assert [one.basis for one in alone.positions] == ["history", "none", "none"]
    assert (alone.pnl, alone.missing) == (pytest.approx(-150), pytest.approx(0.4))
    (nothing,) = report(sample, {"B": 1.0}, episode_returns([none] * 3, None, [CRASH])).episodes
    assert (nothing.pnl, nothing.fraction, nothing.worst_day, nothing.missing) == (None, None, None, 1)


def test_the_market_moves_everything_by_its_beta(sample: Sample) -> None:
    values = {"A": 600.0, "B": -300.0}
    found = {one.key: one for one in report(sample, values).factors}
    assert sample.betas is not None
    whole = 600 * float(sample.betas[0]) - 300 * float(sample.betas[1])
    assert found["market-10"].pnl == pytest.approx(-0.1 * whole)
    assert found["market+10"].pnl == pytest.approx(0.1 * whole)
    assert found["market-20"].fraction == pytest.approx(-0.2 * whole / 300)
    steep = sample_of(sample.returns * [9, 1, 1], sample.returns[:, 0])
    assert report(steep, {"A0": 100.0}).factors[1].pnl == pytest.approx(-100), "a share loses no more than itself"


def test_without_a_benchmark_factors_are_missing_and_that_is_said() -> None:
    found = report(sample_of(np.random.default_rng(1).normal(0, 0.01, (300, 2))), {"A0": 5.0})
    assert {one.pnl for one in found.factors} == {None}
    assert found.factors[0].positions[0].basis == "none"
    assert [one.code for one in found.warnings] == ["no_betas"]


@pytest.mark.parametrize("method", list(Method))
def test_shocks_of_volatility_and_correlation(sample: Sample, method: Method) -> None:
    values = {"A": 600.0, "B": 300.0, "C": -200.0}
    inputs = RiskInputs(sample, values, sample.sessions[-1].astype(object), RiskSettings(method))
    plain = measure(inputs).fractions
    found = report(sample, values, method=method)
    assert [one.figures.var_95_1d / plain.var_95_1d for one in found.volatility] == pytest.approx([1.5, 2])
    exposures = np.array([600.0, 300, -200])
    deviations, covariance = sample.volatilities, np.cov(sample.returns.T)
    matrices = {
        "correlation-one": np.outer(deviations, deviations),
        "correlation-zero": np.diag(deviations**2),
        "correlation-half": (covariance + np.outer(deviations, deviations)) / 2,
    }
    for one in found.correlation:
        volatility = np.sqrt(exposures @ matrices[one.key] @ exposures * 252) / 700
        assert one.figures.annualized_volatility == pytest.approx(volatility)
        assert one.figures.es_99_1d / plain.es_99_1d == pytest.approx(volatility / plain.annualized_volatility)


def test_nothing_held_and_nothing_moving_have_no_figures() -> None:
    still = sample_of(np.zeros((300, 1)))
    for values in ({}, {"A0": 10.0}):
        found = report(still, values)
        assert {one.figures.annualized_volatility for one in found.correlation} == {None}
        json.dumps(to_json_dict(found), default=str, allow_nan=False)


LONG = Episode("long", "A long one", date(2020, 3, 2), date(2020, 5, 29))
amounts = nps.arrays(np.float64, 3, elements=st.floats(1, 1e6) | st.floats(-1e6, -1), fill=st.nothing())


@given(amounts, st.integers(0, 2**32 - 1), st.sets(st.integers(0, 2)))
def test_an_episode_is_the_sum_of_its_positions_whatever_they_rest_on(
    sample: Sample, values: np.ndarray, seed: int, without: set[int]
) -> None:
    assert sample.betas is not None
    days = np.arange("2020-02-24", "2020-06-05", dtype="datetime64[D]")
    paths = 100 * np.cumprod(1 + np.random.default_rng(seed).normal(0, 0.03, (days.size, 4)), axis=0)
    *names, market = (PriceSeries(ticker, days, path) for ticker, path in zip("ABCM", paths.T.copy(), strict=True))
    names = [closes(one.ticker) if column in without else one for column, one in enumerate(names)]
    (found,) = report(
        sample, dict(zip("ABC", values.tolist(), strict=True)), episode_returns(names, market, [LONG])
    ).episodes
    inside = (days >= np.datetime64(LONG.start)) & (days <= np.datetime64(LONG.end))
    path = paths[inside]
    totals, daily = path[-1] / path[0] - 1, path[1:] / path[:-1] - 1
    for column in without:
        totals[column] = max(sample.betas[column] * totals[3], -1)
        daily[:, column] = np.maximum(sample.betas[column] * daily[:, 3], -1)
    gross = float(np.abs(values).sum())
    assert found.pnl == pytest.approx(values @ totals[:3], rel=1e-9, abs=1e-12 * gross)
    assert found.worst_day is not None
    assert found.worst_day.pnl == pytest.approx((daily[:, :3] @ values).min(), rel=1e-9, abs=1e-12 * gross)
    by_ticker = {one.ticker: one for one in found.positions}
    for column, ticker in enumerate("ABC"):
        assert by_ticker[ticker].pnl == pytest.approx(values[column] * totals[column], rel=1e-9)
        assert by_ticker[ticker].basis == ("beta" if column in without else "history")
    assert found.by_beta == pytest.approx(float(np.abs(values[sorted(without)]).sum()) / gross)
    assert found.own + found.by_beta + found.missing == pytest.approx(1)


@given(amounts, st.sampled_from([Method.HISTORICAL, Method.COVARIANCE, Method.STUDENT_T, Method.EWMA]))
def test_a_shock_of_volatility_is_the_measurement_on_scaled_returns(values: np.ndarray, method: Method) -> None:
    returns = np.random.default_rng(21).standard_t(5, (400, 3)) * 0.01
    held = {f"A{column}": value for column, value in enumerate(values.tolist())}
    for one in report(sample_of(returns), held, method=method).volatility:
        assert one.multiplier is not None
        scaled = sample_of(one.multiplier * returns)
        plain = measure(RiskInputs(scaled, held, scaled.sessions[-1].astype(object), RiskSettings(method))).fractions
        for name in ("annualized_volatility", "var_95_1d", "es_975_1d", "var_99_1d"):
            expected = getattr(plain, name)
            found = getattr(one.figures, name)
            assert found == (None if expected is None else pytest.approx(expected, rel=1e-9))


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("ratio", [1.0, 1 / 3])
def test_a_book_that_is_hedged_away_has_no_correlations_to_shock(method: Method, ratio: float) -> None:
    returns = np.random.default_rng(22).normal(0, 0.01, (600, 1))
    found = report(sample_of(np.hstack([returns, -ratio * returns])), {"A0": 100.0, "A1": 100 / ratio}, method=method)
    for one in found.correlation:
        assert (one.figures.annualized_volatility, one.figures.var_95_1d) == (None, None)
    assert "hedged_away" in [warning.code for warning in found.warnings]


def test_no_position_loses_more_than_all_of_it() -> None:
    market = np.random.default_rng(23).normal(0, 0.005, 400)
    found = report(sample_of(np.column_stack([12 * market, market]), market), {"A0": 100.0, "A1": 100.0})
    by_key = {one.key: one for one in found.factors}
    assert [one.pnl for one in by_key["market-20"].positions] == pytest.approx([-100, -20])
    assert by_key["market-10"].pnl == pytest.approx(-110)
    assert by_key["market+10"].pnl == pytest.approx(130)
