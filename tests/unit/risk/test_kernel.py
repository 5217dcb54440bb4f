"""The batched kernel says of every portfolio what `measure` says of it alone."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.errors import InvalidRiskSettingsError
from tailwatch.risk import CovarianceEstimator, Method, RiskInputs, RiskReport, RiskSettings, Sample, measure
from tailwatch.risk.drawdown import deepest_fall
from tailwatch.risk.kernel import BatchFigures, measure_batch, share
from tailwatch.risk.report import TRADING_DAYS
from tests.support.risk_samples import return_matrices, sample_of

SETTINGS = [
    RiskSettings(method, covariance=covariance)
    for method in (Method.HISTORICAL, Method.FILTERED)
    for covariance in CovarianceEstimator
]
NAMES, BOOKS = 40, 30


@pytest.fixture(scope="module")
def sample() -> Sample:
    rng = np.random.default_rng(11)
    market = rng.standard_t(4, 700) * 0.007
    returns = market[:, None] * rng.uniform(0.3, 1.6, NAMES) + rng.standard_t(5, (700, NAMES)) * 0.009
    returns[:, 1] = returns[:, 0]
    return sample_of(np.clip(returns, -0.6, 0.6), market)


def made_up_books(seed: int, count: int, names: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (P, M) exposures, long-only, mixed and thin ones, with NAVs that a value path can be made of."""
    rng = np.random.default_rng(seed)
    exposures = rng.uniform(10, 1000, (count, names))
    exposures[1::3] *= rng.choice([-1.0, 1.0], exposures[1::3].shape)
    exposures[2::3] *= rng.random(exposures[2::3].shape) < 0.2
    exposures[:, 0] += 5.0
    return exposures, exposures.sum(axis=1) + 2.5 * np.abs(exposures).sum(axis=1)


def alone(sample: Sample, values: np.ndarray, nav: float, settings: RiskSettings) -> RiskReport:
    named = {ticker: value for ticker, value in zip(sample.tickers, values.tolist(), strict=True) if value}
    cash = nav - float(values.sum())
    return measure(RiskInputs(sample, named, sample.sessions[-1].astype(object), settings, cash=cash))


def assert_same(found: BatchFigures, row: int, report: RiskReport, sample: Sample, values: np.ndarray) -> None:
    """Compare one row with a report: figures to 1e-12, components to 1e-12 of the figure they are parts of."""
    amounts, annual = report.amounts, TRADING_DAYS**0.5
    tails = [amounts.var_95_1d, amounts.var_975_1d, amounts.var_99_1d]
    assert found.value_at_risk[row].tolist() == pytest.approx(tails, rel=1e-12)
    tails = [amounts.es_95_1d, amounts.es_975_1d, amounts.es_99_1d]
    assert found.expected_shortfall[row].tolist() == pytest.approx(tails, rel=1e-12)
    assert found.volatility[row] * annual == pytest.approx(amounts.annualized_volatility, rel=1e-12)
    parts = {
        sample.index[one.ticker]: (
            one.component_volatility / annual,
            one.component_var_95,
            one.component_es_975,
        )
        for one in report.positions
    }
    expected = np.array([parts.get(column, (0.0, 0.0, 0.0)) for column in range(len(values))]) * report.nav
    size = float(np.abs(expected).max())
    for column, name in enumerate(("component_volatility", "component_var", "component_es")):
        np.testing.assert_allclose(getattr(found, name)[row], expected[:, column], rtol=1e-12, atol=1e-12 * size)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_figures_are_those_of_measure(sample: Sample, settings: RiskSettings) -> None:
    exposures, navs = made_up_books(1, BOOKS, NAMES)
    found = measure_batch(share(sample, settings), exposures, navs, block=8)
    assert found.beta is not None
    for row, (values, nav) in enumerate(zip(exposures, navs.tolist(), strict=True)):
        report = alone(sample, values, nav, settings)
        assert_same(found, row, report, sample, values)
        assert found.beta[row] / nav == pytest.approx(report.beta, rel=1e-12)
        assert found.has_drawdown[row]
        assert report.drawdown is not None
        assert found.drawdown[row] == pytest.approx(report.drawdown.depth, rel=1e-12)
        assert sample.sessions[found.peak[row]].astype(object) == report.drawdown.start
        assert sample.sessions[found.trough[row]].astype(object) == report.drawdown.end


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_portfolio_does_not_depend_on_the_others_in_its_batch(sample: Sample, settings: RiskSettings) -> None:
    exposures, navs = made_up_books(2, BOOKS, NAMES)
    shared = share(sample, settings)
    together = measure_batch(shared, exposures, navs)
    for row in range(BOOKS):
        single = measure_batch(shared, exposures[row : row + 1], navs[row : row + 1])
        for one in fields(BatchFigures):
            expected, figure = getattr(together, one.name)[row], getattr(single, one.name)[0]
            scale = float(np.max(np.abs(expected)))
            np.testing.assert_allclose(figure, expected, rtol=1e-13, atol=1e-13 * scale, err_msg=one.name)


@given(returns=return_matrices(max_days=400), seed=st.integers(0, 1000), settings=st.sampled_from(SETTINGS))
def test_components_add_up_whatever_the_returns(returns: np.ndarray, seed: int, settings: RiskSettings) -> None:
    exposures, navs = made_up_books(seed, 7, returns.shape[1])
    found = measure_batch(share(sample_of(returns), settings), exposures, navs, block=3)
    levels = ((found.component_var, found.value_at_risk[:, 0]), (found.component_es, found.expected_shortfall[:, 1]))
    for parts, total in (*levels, (found.component_volatility, found.volatility)):
        sizes = np.abs(parts).sum(axis=1)
        assert np.all(np.abs(parts.sum(axis=1) - total) <= 1e-9 * sizes)
    assert all(np.isfinite(getattr(found, one.name)).all() for one in fields(found) if one.name != "beta")
    assert found.beta is None


@given(returns=return_matrices(max_days=300), seed=st.integers(0, 1000))
def test_volatility_and_falls_whatever_the_returns(returns: np.ndarray, seed: int) -> None:
    """Constant, mirrored and twin columns included: where v'Σv cancels, the days themselves are taken."""
    sample, settings = sample_of(returns), RiskSettings(Method.HISTORICAL)
    exposures, navs = made_up_books(seed, 6, returns.shape[1])
    found = measure_batch(share(sample, settings), exposures, navs)
    pnl = exposures @ returns.T
    gross = np.abs(exposures) @ returns.std(axis=0, ddof=1)
    assert np.all(np.abs(found.volatility - pnl.std(axis=1, ddof=1)) <= 1e-12 * np.maximum(gross, 1e-3))
    paths = (navs - exposures.sum(axis=1))[:, None] + exposures @ sample.price_relatives.T
    positive = paths.min(axis=1) > 0
    assert np.array_equal(found.has_drawdown, positive)
    expected = deepest_fall(paths[positive]).depth
    np.testing.assert_allclose(found.drawdown[positive], expected, rtol=1e-11, atol=1e-13)
    assert not found.drawdown[~positive].any()


def test_what_is_hedged_away_has_no_risk(sample: Sample) -> None:
    exposures = np.zeros((3, NAMES))
    exposures[0, :2] = 1000.0, -1000.0
    exposures[1, :2] = 1000.0, -999.99
    found = measure_batch(share(sample, RiskSettings(Method.HISTORICAL)), exposures, np.full(3, 5000.0))
    for row in (0, 2):
        for name in ("volatility", "value_at_risk", "expected_shortfall", "component_volatility", "component_es"):
            assert not getattr(found, name)[row].any(), name
    remaining = alone(sample, exposures[1], 5000.0, RiskSettings(Method.HISTORICAL))
    annual = found.volatility[1] * TRADING_DAYS**0.5
    assert annual == pytest.approx(remaining.amounts.annualized_volatility, rel=1e-9)
    assert found.component_volatility[1].sum() == pytest.approx(found.volatility[1], rel=1e-9)


def test_volatility_of_what_is_nearly_hedged_away_keeps_its_digits(sample: Sample) -> None:
    """Of twins that differ by a millionth of a percent a day, v'Σv has no digit left and the days have all."""
    returns = sample.returns.copy()
    returns[:, 1] += 1e-8 * np.random.default_rng(5).standard_normal(len(returns))
    twins, settings = sample_of(returns), RiskSettings(Method.HISTORICAL)
    values = np.zeros(NAMES)
    values[:2] = 1000.0, -1000.0
    found = measure_batch(share(twins, settings), values[None, :], np.array([5000.0]))
    amounts = alone(twins, values, 5000.0, settings).amounts
    assert found.volatility[0] * TRADING_DAYS**0.5 == pytest.approx(amounts.annualized_volatility, rel=1e-9)
    assert found.component_volatility[0].sum() == pytest.approx(found.volatility[0], rel=1e-6)


@pytest.mark.parametrize("nav", [0.0, -10.0, 1e-9], ids=["zero", "negative", "next to nothing"])
def test_without_a_positive_value_path_there_is_no_drawdown(sample: Sample, nav: float) -> None:
    exposures, _ = made_up_books(3, 2, NAMES)
    found = measure_batch(share(sample, RiskSettings()), exposures, np.full(2, nav))
    assert not found.has_drawdown.any()
    assert not found.drawdown.any()
    assert (found.value_at_risk > 0).all()


def test_falls_that_single_precision_cannot_tell_apart_are_told_apart() -> None:
    """Of two troughs with prices that have nothing else in common, the one that is deeper by a billionth is found."""
    found, expected = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values, deeper = rng.uniform(1, 10, 200), 20 + 20 * (seed % 2)
        relatives = rng.uniform(0.95, 1.05, (80, 200))
        relatives[0], relatives[-1] = relatives[0] + 0.3, 1.0
        relatives[[20, 40]] -= 0.3
        relatives[deeper] -= (values @ (relatives[deeper] - relatives[60 - deeper])) / values.sum() + 1e-9
        sample = sample_of(relatives[1:] / relatives[:-1] - 1)
        nav = np.array([values.sum()])
        batch = measure_batch(share(sample, RiskSettings(Method.HISTORICAL)), values[None, :], nav)
        found.append((int(batch.trough[0]), float(batch.drawdown[0])))
        expected.append((deeper, float(deepest_fall(values[None, :] @ sample.price_relatives.T).depth[0])))
    assert [trough for trough, _ in found] == [trough for trough, _ in expected]
    assert [depth for _, depth in found] == pytest.approx([depth for _, depth in expected], rel=1e-12)


@pytest.mark.parametrize("method", [Method.COVARIANCE, Method.EWMA, Method.STUDENT_T])
def test_a_method_without_scenarios_is_refused(sample: Sample, method: Method) -> None:
    with pytest.raises(InvalidRiskSettingsError, match=str(method)):
        share(sample, RiskSettings(method))


def test_no_portfolio_at_all_is_a_batch_of_nothing(sample: Sample) -> None:
    found = measure_batch(share(sample, RiskSettings()), np.empty((0, NAMES)), np.empty(0))
    assert found.value_at_risk.shape == (0, 3)
    assert found.component_es.shape == (0, NAMES)
