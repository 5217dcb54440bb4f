"""Alignment: sessions, gaps, short histories, benchmark."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.errors import InvalidPriceSeriesError, InvalidRiskSettingsError
from tailwatch.risk import PriceSeries, Status, align
from tailwatch.risk.returns import (
    BETA_PRIOR_DEVIATION,
    CARRY_LIMIT,
    LOWEST_PROXY_RETURN,
    MINIMUM_OBSERVATIONS,
    shrunk_regression,
)
from tests.support.risk_samples import prices_of, random_series, weekdays


def without(series: PriceSeries, *gone: int) -> PriceSeries:
    """Return the series without the prices at these places."""
    keep = np.ones(series.dates.size, dtype=np.bool_)
    keep[list(gone)] = False
    return PriceSeries(series.ticker, series.dates[keep], series.closes[keep])


def newest(series: PriceSeries, count: int) -> PriceSeries:
    return PriceSeries(series.ticker, series.dates[-count:], series.closes[-count:])


def test_full_histories_are_plain_returns() -> None:
    series = [random_series(ticker, 700, seed) for seed, ticker in enumerate("ABC")]
    sample = align(series, window=500)
    assert sample.tickers == ("A", "B", "C")
    assert sample.returns.shape == (500, 3)
    assert sample.returns.flags.f_contiguous
    np.testing.assert_array_equal(sample.sessions, series[0].dates[-501:])
    for column, one in enumerate(series):
        np.testing.assert_array_equal(sample.returns[:, column], one.closes[-500:] / one.closes[-501:-1] - 1)
    for one in sample.instruments:
        assert (one.status, one.reason, one.observations, one.gaps) == (Status.MODELLED, None, 500, 0)
        assert one.last_price_date == series[0].dates[-1].astype(object)


def test_a_missing_price_is_carried_forward_and_counted() -> None:
    whole, other = random_series("A", 700, 1), random_series("B", 700, 2)
    sample = align([without(whole, 400, 401), other], window=500)
    column = sample.returns[:, 0]
    place = 400 - (700 - 501) - 1  # price 400 ends return 400 − 199 − 1
    assert column[place] == column[place + 1] == 0
    assert column[place + 2] == pytest.approx(whole.closes[402] / whole.closes[399] - 1)
    outcome = sample.outcome["A"]
    assert (outcome.status, outcome.gaps, outcome.observations) == (Status.MODELLED, 2, 498)


def test_a_longer_gap_is_not_bridged() -> None:
    whole, other = random_series("A", 700, 1), random_series("B", 700, 2)
    sample = align([without(whole, *range(400, 400 + CARRY_LIMIT + 1)), other], window=500)
    outcome = sample.outcome["A"]
    # The sixth session has no price: the return into it and the one out of it are unknown.
    assert (outcome.status, outcome.gaps, outcome.observations) == (
        Status.PROXIED,
        CARRY_LIMIT,
        500 - CARRY_LIMIT - 2,
    )
    assert outcome.reason is not None
    assert "2 of 500 daily returns" in outcome.reason


def test_a_price_before_the_window_is_carried_into_it() -> None:
    whole, other = random_series("A", 700, 1), random_series("B", 700, 2)
    first = 700 - 501
    sample = align([without(whole, first, first + 1), other], window=500)
    assert sample.outcome["A"].status is Status.MODELLED
    assert sample.returns[1, 0] == pytest.approx(whole.closes[first + 2] / whole.closes[first - 1] - 1)


def test_sessions_are_the_union() -> None:
    every, odd = random_series("A", 700, 1), random_series("B", 700, 2)
    even = without(random_series("C", 700, 3), *range(1, 700, 2))
    sample = align([without(odd, *range(0, 700, 2)), even], window=500)
    np.testing.assert_array_equal(sample.sessions, every.dates[-501:])
    assert [one.gaps for one in sample.instruments] == [250, 250]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -5.0, 1e60])
def test_an_unusable_price_counts_as_missing(bad: float) -> None:
    whole, other = random_series("A", 700, 1), random_series("B", 700, 2)
    closes = whole.closes.copy()
    closes[500] = bad
    np.testing.assert_array_equal(
        align([PriceSeries("A", whole.dates, closes), other]).returns, align([without(whole, 500), other]).returns
    )


def test_an_absurd_move_counts_as_missing() -> None:
    whole, other = random_series("A", 700, 1), random_series("B", 700, 2)
    closes = whole.closes.copy()
    closes[500] *= 1e8
    sample = align([PriceSeries("A", whole.dates, closes), other])
    assert sample.outcome["A"].status is Status.PROXIED
    assert np.abs(sample.returns).max() < 1


def test_59_returns_are_excluded_and_60_proxied() -> None:
    other = random_series("B", 700, 2)
    for count, status in ((MINIMUM_OBSERVATIONS - 1, Status.EXCLUDED), (MINIMUM_OBSERVATIONS, Status.PROXIED)):
        sample = align([newest(random_series("A", 700, 1), count + 1), other], window=500)
        outcome = sample.outcome["A"]
        assert (outcome.status, outcome.observations) == (status, count)
        assert outcome.reason is not None
        assert sample.tickers == (("B",) if status is Status.EXCLUDED else ("A", "B"))


def test_a_proxy_follows_the_benchmark_and_keeps_its_own_noise() -> None:
    market = random_series("MARKET", 700, 7)
    rng = np.random.default_rng(8)
    moves = 1.5 * (market.closes[1:] / market.closes[:-1] - 1) + rng.normal(0, 0.006, 699)
    young = newest(PriceSeries("YOUNG", market.dates, prices_of(moves)), 201)
    sample = align([young, random_series("B", 700, 2)], window=500, benchmark=market)
    column, known = sample.returns[:, 0], slice(300, None)
    np.testing.assert_array_equal(column[known], young.closes[1:] / young.closes[:-1] - 1)
    assert sample.benchmark is not None
    beta, residuals = shrunk_regression(column[known], sample.benchmark.returns[known])
    assert beta == pytest.approx(1.5, abs=0.1)
    stand_ins = column[:300] - beta * sample.benchmark.returns[:300]
    assert np.isclose(stand_ins[:, None], residuals[None, :], atol=1e-12).any(axis=1).all()
    assert len(set(np.round(stand_ins, 12))) > 100
    assert stand_ins.std() == pytest.approx(residuals.std(), rel=0.15)


def test_stand_ins_stay_with_their_day() -> None:
    """A day's draw depends on ticker and day: not on the window, the other instruments or their order."""
    young, market = newest(random_series("YOUNG", 700, 1), 200), random_series("MARKET", 700, 7)
    others = [random_series(ticker, 700, seed) for seed, ticker in enumerate("BCD")]
    wide = align([young, *others], window=500, benchmark=market)
    narrow = align([*others[:1], young], window=300, benchmark=market)
    np.testing.assert_array_equal(wide.returns[-300:, wide.index["YOUNG"]], narrow.returns[:, narrow.index["YOUNG"]])


def test_two_short_histories_draw_apart() -> None:
    young = newest(random_series("X", 700, 1), 200)
    twin = PriceSeries("Y", young.dates, young.closes)
    sample = align([young, twin, random_series("B", 700, 2)], window=500)
    assert not np.array_equal(sample.returns[:300, 0], sample.returns[:300, 1])


def test_without_a_benchmark_the_average_stands_in() -> None:
    full = [random_series(ticker, 700, seed) for seed, ticker in enumerate("BC")]
    sample = align([*full, newest(random_series("YOUNG", 700, 5), 200)], window=500)
    own, unknown, known = sample.returns[:, 2], slice(301), slice(301, None)  # 200 prices make 199 returns
    # The average is over the instruments that have a return on the day.
    beta, residuals = shrunk_regression(own[known], sample.returns[known].mean(axis=1))
    drawn = own[unknown] - beta * sample.returns[unknown, :2].mean(axis=1)
    assert np.isclose(drawn[:, None], residuals[None, :], atol=1e-12).any(axis=1).all()
    assert sample.outcome["YOUNG"].reason is not None
    assert "the average of all instruments" in sample.outcome["YOUNG"].reason


def test_a_young_price_that_never_moved_is_taken_to_stay() -> None:
    still = PriceSeries("STILL", weekdays(700)[-200:], np.full(200, 10.0))
    sample = align([random_series("B", 700, 1), still], window=500)
    assert not sample.returns[:, 1].any()


def test_vasicek_shrinkage() -> None:
    rng = np.random.default_rng(1)
    market = rng.normal(0, 0.01, 120)
    own = 2.0 * market + rng.normal(0, 0.03, 120)
    (slope, _), covariance = np.polyfit(market, own, 1, cov=True)
    # polyfit scales by n − 2 degrees of freedom as we do.
    trust = BETA_PRIOR_DEVIATION**2 / (BETA_PRIOR_DEVIATION**2 + covariance[0, 0])
    beta, residuals = shrunk_regression(own, market)
    assert beta == pytest.approx(trust * slope + 1 - trust, rel=1e-9)
    assert min(1, slope) < beta < max(1, slope)
    assert residuals.mean() == pytest.approx(0, abs=1e-15)


def test_a_still_market_says_nothing_about_beta() -> None:
    beta, _ = shrunk_regression(np.random.default_rng(1).normal(0, 0.01, 80), np.zeros(80))
    assert beta == 1


def test_a_stand_in_never_loses_everything() -> None:
    market = random_series("MARKET", 700, 7, volatility=0.2)
    rng = np.random.default_rng(2)
    wild = PriceSeries("WILD", weekdays(700)[-101:], prices_of(np.exp(rng.normal(0, 1.5, 100)) - 1))
    sample = align([wild, random_series("B", 700, 2)], window=500, benchmark=market)
    assert sample.returns[:, 0].min() == LOWEST_PROXY_RETURN


def test_the_benchmark_lengthens_a_short_window() -> None:
    young, market = newest(random_series("YOUNG", 700, 1), 100), random_series("MARKET", 700, 7)
    alone, beside = align([young], window=500), align([young], window=500, benchmark=market)
    assert (alone.returns.shape, alone.outcome["YOUNG"].status) == ((99, 1), Status.MODELLED)
    assert (beside.returns.shape, beside.outcome["YOUNG"].status) == ((500, 1), Status.PROXIED)


def test_the_benchmark_adds_no_sessions_within_the_window() -> None:
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2023-01-01"))
    prices = prices_of(np.random.default_rng(3).normal(0, 0.01, days.size - 1))
    sample = align([random_series("A", 700, 1)], window=500, benchmark=PriceSeries("EVERY DAY", days, prices))
    np.testing.assert_array_equal(sample.sessions, weekdays(700)[-501:])
    assert sample.benchmark is not None
    held = prices[np.searchsorted(days, sample.sessions)]
    np.testing.assert_allclose(sample.benchmark.returns, held[1:] / held[:-1] - 1, rtol=1e-12)


def test_a_benchmark_with_little_history_is_named() -> None:
    sample = align([random_series("A", 700, 1)], benchmark=newest(random_series("NEW", 700, 2), 30))
    assert sample.benchmark is None
    assert sample.betas is None
    assert sample.benchmark_reason is not None
    assert "NEW" in sample.benchmark_reason


def test_beta_uses_the_benchmarks_known_days() -> None:
    own, market = random_series("A", 700, 1), newest(random_series("MARKET", 700, 2), 301)
    sample = align([own], window=500, benchmark=market)
    moves = market.closes[1:] / market.closes[:-1] - 1
    assert sample.betas is not None
    assert sample.betas[0] == pytest.approx(np.polyfit(moves, sample.returns[-300:, 0], 1)[0], rel=1e-9)


@pytest.mark.parametrize(
    "series",
    [
        [],
        [PriceSeries("NONE", np.empty(0, dtype="datetime64[D]"), np.empty(0))],
        [newest(random_series("A", 700, 1), 30)],
        [PriceSeries("NAN", weekdays(100), np.full(100, np.nan))],
    ],
)
def test_nothing_usable_is_an_empty_sample(series: list[PriceSeries]) -> None:
    sample = align(series, benchmark=random_series("MARKET", 700, 2))
    assert sample.tickers == ()
    assert sample.returns.shape == (0, 0)
    assert sample.sessions.size == 0
    assert [one.status for one in sample.instruments] == [Status.EXCLUDED] * len(series)


def test_a_delisted_instrument_is_excluded_once_it_left_the_window() -> None:
    old = PriceSeries("OLD", weekdays(400), random_series("OLD", 400, 1).closes)
    sample = align([old, random_series("B", 1000, 2)], window=500)
    assert sample.tickers == ("B",)
    assert sample.outcome["OLD"].observations == 0
    assert sample.outcome["OLD"].last_price_date == weekdays(400)[-1].astype(object)


def test_bad_arguments_are_refused() -> None:
    good = random_series("A", 100, 1)
    with pytest.raises(InvalidRiskSettingsError, match="at least 60"):
        align([good], window=59)
    with pytest.raises(InvalidPriceSeriesError, match="twice"):
        align([good, good])
    with pytest.raises(InvalidPriceSeriesError, match="belong together"):
        PriceSeries("A", good.dates, good.closes[:-1])
    with pytest.raises(InvalidPriceSeriesError, match="rise"):
        PriceSeries("A", good.dates[::-1], good.closes)
    with pytest.raises(InvalidPriceSeriesError, match=r"datetime64\[D\]"):
        PriceSeries("A", good.dates.astype("datetime64[s]"), good.closes)


@st.composite
def ragged_series(draw: st.DrawFn) -> list[PriceSeries]:
    """Draw histories that start, stop and pause as they like, with a few unusable prices."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    series = []
    for number in range(draw(st.integers(1, 6))):
        start, length = draw(st.integers(0, 250)), draw(st.integers(0, 300))
        days = weekdays(600)[start : start + length]
        days = days[rng.random(days.size) < draw(st.sampled_from([1.0, 0.97, 0.6, 0.15]))]
        closes = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, days.size)))
        closes[rng.random(days.size) < draw(st.sampled_from([0.0, 0.02]))] = draw(
            st.sampled_from([np.nan, 0.0, -1.0, np.inf, 1e-60, 1e45])
        )
        series.append(PriceSeries(f"R{number}", days, closes))
    return series


@given(ragged_series(), st.integers(60, 300), st.booleans())
def test_never_nan_and_always_accounted_for(series: list[PriceSeries], window: int, with_benchmark: bool) -> None:
    market = random_series("MARKET", 500, 9) if with_benchmark else None
    sample = align(series, window=window, benchmark=market)
    days, names = sample.returns.shape
    assert (days, names) == (max(sample.sessions.size - 1, 0), len(sample.tickers))
    assert days <= window
    assert np.isfinite(sample.returns).all()
    assert (sample.returns > -1).all()
    assert [one.ticker for one in sample.instruments] == [one.ticker for one in series]
    for one in sample.instruments:
        assert (one.ticker in sample.tickers) == (one.status is not Status.EXCLUDED)
        assert (one.reason is None) == (one.status is Status.MODELLED)
        assert (one.observations >= MINIMUM_OBSERVATIONS) == (one.status is not Status.EXCLUDED)


@given(ragged_series(), st.randoms(use_true_random=False))
def test_the_order_of_the_series_does_not_matter(series: list[PriceSeries], random: object) -> None:
    shuffled = list(series)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = align(series, window=200), align(shuffled, window=200)
    np.testing.assert_array_equal(one.sessions, other.sessions)
    for ticker in one.tickers:
        np.testing.assert_allclose(
            one.returns[:, one.index[ticker]], other.returns[:, other.index[ticker]], rtol=1e-9, atol=1e-12
        )


@given(ragged_series())
def test_equals_a_plain_carry_forward(series: list[PriceSeries]) -> None:
    sample = align(series, window=120)
    if not sample.tickers:
        return
    union = sorted({day for one in series if np.sum(_usable(one)) > 60 for day in one.dates[_usable(one)].tolist()})
    for one in series:
        outcome = sample.outcome[one.ticker]
        if outcome.status is not Status.MODELLED:
            continue
        prices = dict(zip(one.dates[_usable(one)].tolist(), one.closes[_usable(one)].tolist(), strict=True))
        carried: list[float] = []
        for place in range(len(union)):
            recent = [prices[past] for past in union[max(0, place - CARRY_LIMIT) : place + 1] if past in prices]
            carried.append(recent[-1] if recent else float("nan"))
        window = np.array(carried[-(len(sample.returns) + 1) :])
        np.testing.assert_allclose(
            sample.returns[:, sample.index[one.ticker]], window[1:] / window[:-1] - 1, rtol=1e-12, atol=1e-15
        )


def _usable(series: PriceSeries) -> np.ndarray:
    return (series.closes > 1e-50) & (series.closes < 1e50)
