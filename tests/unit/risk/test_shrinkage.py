"""Ledoit-Wolf shrinkage: the formula written out, what it does to a portfolio, and that components still add up."""

from __future__ import annotations

import numpy as np
import pytest

from tailwatch.risk import CovarianceEstimator, Method, RiskInputs, RiskReport, RiskSettings, measure
from tailwatch.risk.methods import OF_COVARIANCE
from tailwatch.risk.shrinkage import ledoit_wolf
from tests.support.risk_samples import sample_of

DAYS, NAMES = 120, 8


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    rng = np.random.default_rng(5)
    return 0.01 * (rng.normal(size=(DAYS, 1)) + rng.normal(size=(DAYS, NAMES)) * rng.uniform(0.5, 2, NAMES))


def written_out(returns: np.ndarray) -> float:
    """Return δ by the sums over days and matrices of the paper (section 3.2)."""
    x = returns - returns.mean(axis=0)
    days, names = x.shape
    s = x.T @ x / days
    target = np.trace(s) / names * np.eye(names)
    distance = ((s - target) ** 2).sum() / names
    noise = sum(((np.outer(row, row) - s) ** 2).sum() / names for row in x) / days**2
    return min(noise, distance) / distance


@pytest.mark.parametrize(("days", "names"), [(120, 8), (60, 90), (500, 2)])
def test_the_intensity_is_that_of_the_paper(days: int, names: int) -> None:
    returns = np.random.default_rng(days).standard_t(4, (days, names)) * np.linspace(0.005, 0.02, names)
    assert ledoit_wolf(returns).intensity == pytest.approx(written_out(returns), rel=1e-10)


def test_nothing_to_shrink() -> None:
    one = np.random.default_rng(1).normal(0, 0.01, (100, 1))
    assert ledoit_wolf(one) == (0.0, pytest.approx(one.var(ddof=1)))
    assert ledoit_wolf(np.zeros((100, 3))) == (0.0, 0.0)
    assert ledoit_wolf(np.zeros((100, 0))) == (0.0, 0.0)


def report(returns: np.ndarray, values: np.ndarray, method: Method) -> RiskReport:
    sample = sample_of(returns)
    as_of = sample.sessions[-1].astype(object)
    settings = RiskSettings(method, covariance=CovarianceEstimator.LEDOIT_WOLF)
    return measure(RiskInputs(sample, dict(zip(sample.tickers, values.tolist(), strict=True)), as_of, settings))


@pytest.mark.parametrize("method", list(Method))
def test_figures_are_those_of_the_shrunk_matrix(returns: np.ndarray, method: Method) -> None:
    values = np.array([500.0, 400, 300, 200, 100, 50, -60, -200])
    measured = report(returns, values, method)
    intensity, variance = ledoit_wolf(returns)
    matrix = (1 - intensity) * np.cov(returns.T) + intensity * variance * np.eye(NAMES)
    volatility = float(np.sqrt(values @ matrix @ values))
    assert measured.amounts.annualized_volatility == pytest.approx(volatility * 252**0.5)
    components = [one.component_volatility for one in measured.positions]
    order = [int(one.ticker[1:]) for one in measured.positions]
    expected = (values * (matrix @ values) / volatility)[order] * 252**0.5 / measured.nav
    assert components == pytest.approx(expected.tolist())
    own = np.sqrt(np.diag(matrix))[order] * 252**0.5
    assert [one.volatility for one in measured.positions] == pytest.approx(own.tolist())
    if method in OF_COVARIANCE:
        assert measured.amounts.var_95_1d == pytest.approx(OF_COVARIANCE[method](0.95)[0] * volatility)
    assert sum(one.component_var_95 for one in measured.positions) == pytest.approx(measured.fractions.var_95_1d)
    assert sum(one.component_es_975 for one in measured.positions) == pytest.approx(measured.fractions.es_975_1d)


def test_a_hedge_has_volatility_again() -> None:
    """What two series that are one in the sample lose against each other is not believed to be nothing."""
    base = np.random.default_rng(2).normal(0, 0.01, (200, 1))
    other = np.random.default_rng(3).normal(0, 0.01, (200, 1))
    returns = np.hstack([base, base, other])
    values = np.array([100.0, -100.0, 10.0])
    shrunk = report(returns, values, Method.COVARIANCE)
    assert shrunk.amounts.var_95_1d is not None
    assert shrunk.amounts.var_95_1d > 1.7 * 10 * 0.01
