"""What if: figures are those of the portfolio with the trade, sizes keep to limits, hedges are the best there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import CovarianceEstimator, Method, RiskInputs, RiskSettings, Sample, measure
from tailwatch.risk.headline import headline_figures
from tailwatch.risk.hedge import best_hedge, candidates_of
from tailwatch.risk.whatif import FIGURES, amounts, size_to_limit, with_trades
from tests.support.risk_samples import sample_of

NAMES = 5


@pytest.fixture(scope="module")
def sample() -> Sample:
    rng = np.random.default_rng(4)
    market = rng.standard_t(4, (600, 1)) * 0.007
    return sample_of(market * rng.uniform(0.5, 1.5, NAMES) + rng.standard_t(5, (600, NAMES)) * 0.008)


SETTINGS = [RiskSettings(method) for method in Method]
SETTINGS += [RiskSettings(Method.COVARIANCE, covariance=CovarianceEstimator.LEDOIT_WOLF)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_figures_are_those_of_the_portfolio_with_the_trade(sample: Sample, settings: RiskSettings) -> None:
    held, trades = np.array([900.0, 500, 300, 0, -100]), np.zeros((2, NAMES))
    trades[0, 3], trades[1, 0] = 400, -900
    found = amounts(with_trades(sample, held, trades, settings))
    for row, values in enumerate([held, held + trades.sum(axis=0), held + trades[0], held + trades[1]]):
        named = {ticker: value for ticker, value in zip(sample.tickers, values.tolist(), strict=True) if value}
        report = measure(RiskInputs(sample, named, sample.sessions[-1].astype(object), settings))
        for name in FIGURES:
            assert found[name][row] == pytest.approx(getattr(report.amounts, name), rel=1e-12)


def fraction(sample: Sample, held: np.ndarray, settings: RiskSettings, figure: str) -> float:
    return float(amounts(headline_figures(sample, held[None, :], settings))[figure][0]) / float(held.sum())


@given(
    method=st.sampled_from([Method.FILTERED, Method.COVARIANCE, Method.HISTORICAL]),
    figure=st.sampled_from(FIGURES),
    column=st.integers(0, NAMES - 1),
    wanted=st.floats(-3000, 3000).filter(lambda value: abs(value) > 1),
    strictness=st.floats(0.5, 1.3),
)
def test_a_size_keeps_to_the_limit_and_a_little_more_does_not(
    sample: Sample, method: Method, figure: str, column: int, *, wanted: float, strictness: float
) -> None:
    settings, held = RiskSettings(method), np.array([900.0, 500, 300, 200, 100])
    limit = strictness * fraction(sample, held, settings, figure)
    sized = size_to_limit(
        sample, held, column, wanted=wanted, nav=2000.0, gross=2000.0, figure=figure, limit=limit, settings=settings
    )

    def with_value(value: float) -> float:
        traded = held.copy()
        traded[column] += value
        return fraction(sample, traded, settings, figure) if traded.sum() > 0 else np.inf

    if sized.state == "within":
        assert sized.value == wanted
        assert with_value(wanted) <= limit
    elif sized.state == "unreachable":
        assert sized.value is None
        sizes = np.linspace(-1900, 6000, 300)
        assert min(with_value(value) for value in sizes) > limit * (1 - 1e-3)
    else:
        assert sized.value is not None
        assert sized.figure == pytest.approx(with_value(sized.value), rel=1e-9)
        assert sized.figure <= limit * (1 + 1e-12)
        # One part in a thousand less of a needed trade, or more of a cut one, breaks it.
        step = 1e-3 * max(abs(sized.value), 1.0)
        towards = -np.sign(sized.value) if sized.state == "needed" else np.sign(wanted)
        assert with_value(sized.value + towards * step) > limit
        if sized.state == "cut":
            assert 0 <= sized.value / wanted < 1


def test_without_a_trade_in_mind_a_kept_limit_needs_none(sample: Sample) -> None:
    sized = size_to_limit(
        sample,
        np.array([900.0, 500, 300, 200, 100]),
        0,
        wanted=0.0,
        nav=2000.0,
        gross=2000.0,
        figure="var_95_1d",
        limit=0.5,
        settings=RiskSettings(),
    )
    assert (sized.value, sized.state) == (0.0, "within")


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_no_size_of_any_candidate_beats_the_best_hedge(sample: Sample, settings: RiskSettings) -> None:
    held = np.array([900.0, 500, 300, 0, 100])
    hedge = best_hedge(sample, held, candidates_of(held, [3]), settings)
    assert hedge is not None
    assert hedge.after < hedge.before
    for column in range(NAMES):
        exposures = np.repeat(held[None, :], 400, axis=0)
        exposures[:, column] += np.linspace(-4000, 4000, 400)
        assert amounts(headline_figures(sample, exposures, settings))["es_975_1d"].min() >= hedge.after * (1 - 1e-9)
    traded = held.copy()
    traded[hedge.column] += hedge.value
    figures = amounts(headline_figures(sample, traded[None, :], settings))
    assert hedge.after == pytest.approx(figures["es_975_1d"][0])


def test_a_twin_is_the_perfect_hedge_and_nothing_needs_none() -> None:
    rng = np.random.default_rng(8)
    base = rng.normal(0, 0.01, (600, 1))
    sample = sample_of(np.hstack([base, 2 * base, rng.normal(0, 0.01, (600, 1))]))
    hedge = best_hedge(sample, np.array([100.0, 0, 0]), np.array([1, 2]), RiskSettings())
    assert hedge is not None
    assert hedge.column == 1
    assert hedge.value == pytest.approx(-50, rel=1e-5)
    assert hedge.after < 1e-4 * hedge.before
    assert best_hedge(sample, np.zeros(3), np.array([0]), RiskSettings()) is None
    assert best_hedge(sample, np.array([100.0, 0, 0]), np.array([], dtype=np.intp), RiskSettings()) is None


def test_no_size_is_given_where_the_snapshot_has_no_fractions() -> None:
    sample = sample_of(np.random.default_rng(6).standard_t(5, (400, 2)) * 0.01)
    held = np.array([1000.0, -990.0])
    found = size_to_limit(
        sample, held, 1, wanted=0.0, nav=10.0, gross=1990.0, figure="var_95_1d", limit=0.5, settings=RiskSettings()
    )
    assert found.value is not None
    named = {"A0": 1000.0, "A1": -990.0 + found.value}
    there = measure(RiskInputs(sample, named, sample.sessions[-1].astype(object)))
    assert there.fractions.var_95_1d == pytest.approx(found.figure, rel=1e-9)
    just_before = {"A0": 1000.0, "A1": -990.0 + found.value * (1 - 1e-6)}
    assert measure(RiskInputs(sample, just_before, sample.sessions[-1].astype(object))).fractions.var_95_1d is None


@pytest.mark.parametrize("slack", [1e-2, 1e-4, 1e-6])
def test_the_smallest_size_is_found_where_only_few_will_do(slack: float) -> None:
    common = np.random.default_rng(3).standard_t(5, 600) * 0.01
    hedging = -common + np.random.default_rng(4).standard_t(5, 600) * 0.004
    sample = sample_of(np.column_stack([common, hedging]))
    settings, held = RiskSettings(Method.COVARIANCE), np.array([1000.0, 0.0])

    def sized(limit: float) -> tuple[str, float | None, float | None]:
        found = size_to_limit(
            sample,
            held,
            1,
            wanted=0.0,
            nav=1000.0,
            gross=1000.0,
            figure="annualized_volatility",
            limit=limit,
            settings=settings,
        )
        return found.state, found.value, found.figure

    state, _, lowest = sized(1e-9)
    assert state == "unreachable"
    assert lowest is not None
    limit = lowest * (1 + slack)
    state, value, _ = sized(limit)
    assert state == "needed"
    assert value is not None

    def with_value(size: float) -> float:
        return fraction(sample, held + np.array([0.0, size]), settings, "annualized_volatility")

    assert with_value(value) <= limit * (1 + 1e-12)
    # Near the minimum the curve is flat: less of it shows only where the limit leaves room for it to.
    assert with_value(value - 1e-3 * slack**0.5 * value) > limit


def test_a_name_that_is_not_modelled_takes_no_limit_away() -> None:
    sample = sample_of(np.zeros((300, 1)))
    found = size_to_limit(
        sample,
        np.array([0.0]),
        0,
        wanted=0.0,
        nav=-5.0,
        gross=5.0,
        figure="var_95_1d",
        limit=1e-9,
        settings=RiskSettings(),
    )
    # Bought with nothing to hold against it, something that never moves brings NAV back without risk.
    assert found.state == "needed"
    assert found.value is not None
    assert found.value > 5


@given(
    settings=st.sampled_from(SETTINGS),
    seed=st.integers(0, 2**32 - 1),
    signs=st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=NAMES, max_size=NAMES),
)
def test_no_random_trade_beats_the_best_hedge(
    sample: Sample, settings: RiskSettings, seed: int, signs: list[float]
) -> None:
    random = np.random.default_rng(seed)
    held = random.uniform(10, 1000, NAMES) * np.array(signs)
    hedge = best_hedge(sample, held, np.arange(NAMES), settings)
    before = float(amounts(headline_figures(sample, held[None, :], settings))["es_975_1d"][0])
    least = before if hedge is None else hedge.after
    assert hedge is None or hedge.after <= before * (1 - 1e-3)
    tried = np.repeat(held[None, :], 60, axis=0)
    tried[np.arange(60), random.integers(0, NAMES, 60)] += random.uniform(-4, 4, 60) * np.abs(held).sum()
    left = amounts(headline_figures(sample, tried, settings))["es_975_1d"]
    assert left.min() >= least - 1.001e-3 * before
    if hedge is not None:
        assert left.min() >= least * (1 - 1e-7)
