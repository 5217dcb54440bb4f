"""Portfolios and histories at the edge of what can be measured, under every method."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from tailwatch.risk import (
    CovarianceEstimator,
    Method,
    PriceSeries,
    RiskInputs,
    RiskSettings,
    Sample,
    Status,
    align,
    measure,
    to_json_dict,
)
from tailwatch.risk.headline import headline_figures
from tailwatch.risk.methods import MODELS, scenarios_for
from tailwatch.risk.tail import value_at_risk
from tests.support.risk_reports import assert_sound, funded, report, tail, with_market
from tests.support.risk_samples import prices_of, random_series, sample_of, weekdays

each_method = pytest.mark.parametrize("method", list(MODELS))
SIMULATED = (Method.HISTORICAL, Method.FILTERED)
OF_ONE_VOLATILITY = tuple(method for method in MODELS if method not in SIMULATED)


def heavy(days: int, names: int, seed: int = 1) -> np.ndarray:
    """Return (days, names) independent heavy-tailed returns."""
    return 0.01 * np.random.default_rng(seed).standard_t(4, (days, names))


def aligned(series: list[PriceSeries], window: int = 500) -> Sample:
    """Return the sample of these series beside a benchmark of 700 days that ends with the newest."""
    return align(series, window=window, benchmark=random_series("MARKET", 700, 9))


@each_method
def test_one_name(method: Method) -> None:
    sample = sample_of(heavy(500, 1))
    measured = report(sample, np.array([1000.0]), method)
    (position,) = measured.positions
    assert position.component_volatility == pytest.approx(measured.fractions.annualized_volatility)
    assert position.volatility == pytest.approx(measured.fractions.annualized_volatility)
    assert position.component_var_95 == pytest.approx(measured.fractions.var_95_1d)
    assert position.component_es_975 == pytest.approx(measured.fractions.es_975_1d)
    if method in SIMULATED:
        expected = value_at_risk(scenarios_for(method, sample).T, 0.95)[0]
        assert measured.fractions.var_95_1d == pytest.approx(expected)
    assert measured.concentration is not None
    assert measured.concentration.effective_positions == 1
    assert measured.concentration.diversification_ratio == pytest.approx(1)
    assert measured.concentration.effective_bets == pytest.approx(1)
    assert measured.correlation is not None
    assert measured.correlation.matrix == [[1.0]]


@each_method
def test_what_is_perfectly_correlated_is_not_diversified(method: Method) -> None:
    # The third column is the first one again: the covariance is singular, too.
    sample = sample_of(heavy(600, 1) * np.array([1.0, 2.0, 1.0]))
    values = np.array([100.0, 300.0, 50.0])
    together = report(sample, values, method)
    assert_sound(together)
    alone = [tail(report(sample, row, method).amounts) for row in np.diag(values)]
    np.testing.assert_allclose(tail(together.amounts), np.sum(alone, axis=0), rtol=1e-9)
    assert together.concentration is not None
    assert together.concentration.diversification_ratio == pytest.approx(1)
    assert together.concentration.effective_bets == pytest.approx(1)
    shares = {one.ticker: one.component_var_95 for one in together.positions}
    np.testing.assert_allclose([shares["A0"], shares["A1"]], np.array([1, 6]) * 2 * shares["A2"], rtol=1e-9)


@each_method
def test_a_perfect_hedge_has_no_risk(method: Method) -> None:
    returns = np.repeat(heavy(500, 1), 2, axis=1)
    measured = report(sample_of(returns), np.array([1000.0, -1000.0]), method, cash=1000.0)
    assert tail(measured.fractions) == [0] * 6
    assert measured.fractions.annualized_volatility == 0
    assert measured.concentration is not None
    assert measured.concentration.diversification_ratio is None
    for one in measured.positions:
        # Which days are the worst is a matter of rounding here, and so would be the share in them.
        assert (one.component_volatility, one.component_var_95, one.component_es_975) == (0, 0, 0)


# Not the filtered method: it scales each instrument by its own volatility, so a basket and its parts need not cancel.
@pytest.mark.parametrize("method", [method for method in MODELS if method is not Method.FILTERED])
def test_a_hedge_that_is_perfect_but_for_rounding_has_no_components(method: Method) -> None:
    base = heavy(500, 2)
    returns = np.column_stack([base, base @ [0.3, 0.7]])
    measured = report(sample_of(returns), np.array([300.0, 700.0, -1000.0]), method, cash=1000.0)
    for one in measured.positions:
        assert (one.component_volatility, one.component_var_95, one.component_es_975) == (0, 0, 0)


@pytest.mark.parametrize("method", [Method.COVARIANCE, Method.STUDENT_T])
def test_a_hedge_that_shrinkage_does_not_believe_has_its_tail_in_every_place(method: Method) -> None:
    returns = np.column_stack([np.repeat(heavy(200, 1), 2, axis=1), heavy(200, 1, seed=2)])
    sample, values = sample_of(returns), np.array([1000.0, -1000.0, 0.0])
    measured = report(sample, values, method, 1000.0, CovarianceEstimator.LEDOIT_WOLF)
    settings = RiskSettings(method, covariance=CovarianceEstimator.LEDOIT_WOLF)
    short = headline_figures(sample, values[None, :], settings)
    expected = np.stack([short.value_at_risk[0], short.expected_shortfall[0]], axis=1).ravel()
    assert (expected > 0).all()
    np.testing.assert_allclose(tail(measured.amounts), expected, rtol=1e-9)
    assert_sound(measured)


def test_steady_gains_have_no_volatility_and_a_negative_var() -> None:
    measured = report(sample_of(np.full((500, 2), 0.0003)), np.array([1000.0, 500.0]))
    assert measured.fractions.annualized_volatility == 0
    assert measured.fractions.var_95_1d == pytest.approx(-0.0003)
    assert [one.component_volatility for one in measured.positions] == [0, 0]
    assert [one.component_var_95 for one in measured.positions] == pytest.approx([-0.0002, -0.0001])


@each_method
def test_a_price_that_never_moves(method: Method) -> None:
    returns = heavy(500, 2)
    returns[:, 1] = 0
    measured = report(sample_of(returns), np.array([1000.0, 500.0]), method)
    assert_sound(measured)
    assert measured.correlation is not None
    assert measured.correlation.matrix == [[1.0, None], [None, None]]
    still = measured.positions[1]
    assert (still.volatility, still.component_volatility) == (0, 0)
    assert (still.component_var_95, still.component_es_975, still.marginal_var_95) == (0, 0, 0)
    assert [warning.code for warning in measured.warnings] == ["never_moved"]
    assert "A1" in measured.warnings[0].message
    alone = report(sample_of(returns[:, :1]), np.array([1000.0]), method)
    np.testing.assert_allclose(tail(measured.amounts), tail(alone.amounts), rtol=1e-9)


@each_method
def test_nothing_moves(method: Method) -> None:
    measured = report(sample_of(np.zeros((500, 3))), np.array([1.0, 2.0, 3.0]), method)
    assert tail(measured.fractions) == [0] * 6
    assert measured.drawdown is not None
    assert (measured.drawdown.depth, measured.drawdown.start) == (0, None)
    json.dumps(to_json_dict(measured), allow_nan=False)


@each_method
def test_all_short(method: Method) -> None:
    sample, values = sample_of(heavy(600, 4)), np.array([-4000.0, -3000.0, -2000.0, -1000.0])
    bare = report(sample, values, method)
    assert tail(bare.fractions) == [None] * 6
    assert bare.warnings[0].code == "nav_not_positive"
    assert min(tail(bare.amounts)) > 0
    measured = report(sample, values, method, funded(values))
    assert_sound(measured)
    assert measured.nav == pytest.approx(10_000)
    assert tail(measured.amounts) == tail(bare.amounts)
    np.testing.assert_allclose(tail(measured.fractions), np.array(tail(bare.amounts)) / 10_000, rtol=1e-12)


@each_method
def test_a_net_asset_value_of_zero(method: Method) -> None:
    measured = report(sample_of(heavy(600, 2)), np.array([1000.0, -1000.0]), method)
    assert_sound(measured)
    assert measured.nav == 0
    assert measured.warnings[0].code == "nav_not_positive"
    assert min(tail(measured.amounts)) > 0
    assert measured.fractions.annualized_volatility is None
    assert measured.disagreement is None
    assert measured.intervals is not None
    assert measured.intervals.fractions is None
    for figures in measured.methods.values():
        assert tail(figures.fractions) == [None] * 6
    for one in measured.positions:
        assert (one.weight, one.component_volatility, one.component_var_95, one.component_es_975) == (None,) * 4
        assert one.marginal_var_95 is not None


@each_method
def test_sixty_days(method: Method) -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (60, 3))
    sample = sample_of(returns)
    measured = report(sample, np.full(3, 1000.0), method)
    assert_sound(measured)
    codes = {warning.code for warning in measured.warnings}
    assert ("thin_tail" in codes) == (method in SIMULATED)
    assert ("ewma_scaling" in codes) == (method is Method.FILTERED)
    if method in SIMULATED:
        worst = -scenarios_for(method, sample).sum(axis=1).min() * 1000
        assert measured.amounts.var_99_1d == pytest.approx(worst)
        assert measured.amounts.es_99_1d == pytest.approx(worst)


@each_method
def test_sixty_days_beside_long_histories(method: Method) -> None:
    young = PriceSeries("YOUNG", weekdays(700)[-61:], prices_of(heavy(60, 1)[:, 0]))
    newer = PriceSeries("NEWER", weekdays(700)[-60:], prices_of(heavy(59, 1)[:, 0]))
    sample = aligned([random_series("OLD", 700, 3), young, newer])
    market_values = {"OLD": 1000.0, "YOUNG": 1000.0, "NEWER": 500.0}
    as_of: date = sample.sessions[-1].astype(object)
    measured = measure(RiskInputs(sample, market_values, as_of, RiskSettings(method)))
    assert_sound(measured)
    status = {one.ticker: one.status for one in measured.positions}
    assert status == {"OLD": Status.MODELLED, "YOUNG": Status.PROXIED, "NEWER": Status.EXCLUDED}
    assert (measured.coverage.modelled, measured.coverage.proxied, measured.coverage.excluded) == (0.4, 0.4, 0.2)
    (outside,) = [one for one in measured.positions if one.ticker == "NEWER"]
    assert (outside.component_var_95, outside.volatility) == (None, None)
    modelled = RiskInputs(sample, {"OLD": 1000.0, "YOUNG": 1000.0}, as_of, RiskSettings(method))
    assert tail(measure(modelled).amounts) == tail(measured.amounts)


@each_method
def test_a_column_of_gaps(method: Method) -> None:
    days, prices = weekdays(700), prices_of(heavy(699, 1)[:, 0])
    carried = PriceSeries("CARRIED", days[::3][-200:], prices[::3][-200:])
    # Each price is older than may be carried by the time of the next one, so that no day has a return.
    sparse = PriceSeries("SPARSE", days[::8], prices[::8])
    hole = np.r_[0:400, 520:700]
    holed = PriceSeries("HOLED", days[hole], prices[hole])
    sample = aligned([random_series("WHOLE", 700, 3), carried, sparse, holed])
    as_of: date = sample.sessions[-1].astype(object)
    market_values = {"WHOLE": 1000.0, "CARRIED": 800.0, "SPARSE": 600.0, "HOLED": 400.0}
    measured = measure(RiskInputs(sample, market_values, as_of, RiskSettings(method)))
    assert_sound(measured)
    assert np.isfinite(scenarios_for(method, sample)).all()
    outcome = {one.ticker: one for one in measured.coverage.instruments}
    assert outcome["CARRIED"].gaps > 300
    assert outcome["HOLED"].status is Status.PROXIED
    assert outcome["SPARSE"].status is Status.EXCLUDED
    assert "WHOLE" not in outcome
    without = align([random_series("WHOLE", 700, 3)], benchmark=random_series("MARKET", 700, 9))
    one, other = (
        measure(RiskInputs(each, {"WHOLE": 1000.0}, as_of, RiskSettings(method))) for each in (sample, without)
    )
    np.testing.assert_allclose(tail(one.amounts), tail(other.amounts), rtol=1e-12)


@pytest.fixture(scope="module")
def five_thousand() -> Sample:
    rng = np.random.default_rng(1)
    return sample_of(rng.normal(0, 0.01, (260, 1)) + rng.normal(0, 0.02, (260, 5000)))


@each_method
def test_five_thousand_names(five_thousand: Sample, method: Method) -> None:
    assert five_thousand.filtered_fallback is None
    values = np.random.default_rng(2).uniform(1, 100, 5000)
    measured = report(five_thousand, values, method)
    assert_sound(measured)
    assert len(measured.positions) == 5000
    assert measured.correlation is not None
    assert (len(measured.correlation.tickers), measured.correlation.omitted) == (50, 4950)
    if method in SIMULATED:
        expected = value_at_risk((scenarios_for(method, five_thousand) @ values)[None, :], 0.99)[0]
        assert measured.amounts.var_99_1d == pytest.approx(expected)


@each_method
@pytest.mark.parametrize("factor", [1e-50, 1e50])
def test_amounts_of_any_size(method: Method, factor: float) -> None:
    sample, values = sample_of(heavy(600, 3)), np.array([3000.0, -2000.0, 500.0])
    one, other = (report(sample, scale * values, method, scale * funded(values)) for scale in (1.0, factor))
    np.testing.assert_allclose(tail(other.amounts), factor * np.array(tail(one.amounts)), rtol=1e-9)
    np.testing.assert_allclose(tail(other.fractions), tail(one.fractions), rtol=1e-9)
    assert other.fractions.annualized_volatility == pytest.approx(one.fractions.annualized_volatility, rel=1e-9)
    for name in ("component_volatility", "component_var_95", "component_es_975"):
        shares, scaled = ([getattr(each, name) for each in measured.positions] for measured in (one, other))
        np.testing.assert_allclose(scaled, shares, rtol=1e-9)
    assert other.concentration is not None
    assert one.concentration is not None
    assert other.concentration.effective_bets == pytest.approx(one.concentration.effective_bets)


@each_method
def test_a_speck_beside_a_mountain(method: Method) -> None:
    sample = with_market(sample_of(heavy(600, 2)))
    measured = report(sample, np.array([1e58, 1e-58]), method)
    assert_sound(measured)
    alone = report(sample, np.array([1e58, 0.0]), method)
    np.testing.assert_allclose(tail(measured.amounts), tail(alone.amounts), rtol=1e-12)


@each_method
@pytest.mark.parametrize("jump", [-0.95, 9.0])
@pytest.mark.parametrize("day", [0, 300, -2, -1])
def test_a_jump_of_one_day(method: Method, jump: float, day: int) -> None:
    calm = heavy(600, 3)
    jumped = calm.copy()
    jumped[day, 0] = jump
    values = np.array([1000.0, 500.0, -300.0])
    before, after = (report(with_market(sample_of(each)), values, method) for each in (calm, jumped))
    assert_sound(after)
    if method in OF_ONE_VOLATILITY:
        assert min(np.subtract(tail(after.amounts), tail(before.amounts))) > 0
    elif jump < 0 and day != 0:
        # A fall yesterday is an outcome itself, and makes the filtered method expect more of every other day.
        assert after.amounts.es_99_1d > before.amounts.es_99_1d
