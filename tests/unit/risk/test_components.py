"""Euler components against finite differences, and the sums they owe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import CONFIDENCES, Method
from tailwatch.risk.components import marginal, on_days, value_at_risk_weights
from tailwatch.risk.covariance import ewma_covariance, sample_covariance
from tailwatch.risk.methods import MODELS, simulate
from tailwatch.risk.tail import neighbourhood_weights, quantile_weights, worst_outcomes
from tests.support.risk_samples import books

VAR_ROW, ES_ROW = CONFIDENCES.index(0.95), CONFIDENCES.index(0.975)


def figures_and_derivatives(method: Method, values: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (P, 3) volatility, VaR 95, ES 97.5 and their (P, 3, M) derivatives."""
    outcomes = simulate(values, returns, returns.std(axis=0))
    figures = MODELS[method].figures(outcomes)
    gradients = MODELS[method].gradients(outcomes, 0.95, 0.975)
    of_volatility = outcomes.sample_volatility_gradient
    if method is Method.EWMA:
        of_volatility = outcomes.ewma_volatility_gradient
    each = (of_volatility, gradients.value_at_risk, gradients.expected_shortfall)
    totals = np.stack(
        [figures.volatility, figures.value_at_risk[:, VAR_ROW], figures.expected_shortfall[:, ES_ROW]], axis=1
    )
    return totals, np.stack([marginal(one, returns) for one in each], axis=1)


@given(books(), st.sampled_from(list(MODELS)))
def test_components_add_up(book: tuple[np.ndarray, np.ndarray], method: Method) -> None:
    returns, values = book
    totals, derivatives = figures_and_derivatives(method, values[None, :], returns)
    slack = 1e-10 * float(np.abs(values).sum())
    np.testing.assert_allclose((derivatives * values).sum(axis=2), totals, rtol=1e-9, atol=slack)


@given(books())
def test_volatility_from_outcomes_is_that_of_the_matrix(book: tuple[np.ndarray, np.ndarray]) -> None:
    returns, values = book
    outcomes = simulate(values[None, :], returns, returns.std(axis=0))
    slack = (1e-9 * float(np.abs(values).sum())) ** 2
    for volatility, matrix in (
        (outcomes.sample_volatility, sample_covariance(returns)),
        (outcomes.ewma_volatility, ewma_covariance(returns)),
    ):
        assert volatility[0] ** 2 == pytest.approx(values @ matrix @ values, rel=1e-9, abs=slack)


@pytest.mark.parametrize("method", list(MODELS))
@pytest.mark.parametrize("seed", range(5))
def test_derivatives_are_finite_differences(method: Method, seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(4, (400, 6)) * 0.01
    values = rng.normal(0, 1e5, 6)
    _, derivatives = figures_and_derivatives(method, values[None, :], returns)
    step = 1e-2
    for name in range(6):
        bump = np.zeros(6)
        bump[name] = step
        up, _ = figures_and_derivatives(method, (values + bump)[None, :], returns)
        down, _ = figures_and_derivatives(method, (values - bump)[None, :], returns)
        slopes = ((up - down) / (2 * step))[0]
        volatility, var, es = derivatives[0, :, name]
        assert volatility == pytest.approx(slopes[0], abs=1e-7)
        assert es == pytest.approx(slopes[2], abs=1e-7)
        # The simulated VaR's derivative is smoothed over its neighbourhood on purpose: the raw slope is one day.
        if method not in {Method.HISTORICAL, Method.FILTERED}:
            assert var == pytest.approx(slopes[1], abs=1e-7)


def test_var_derivative_is_the_scaled_mean_of_its_neighbourhood() -> None:
    rng = np.random.default_rng(3)
    returns, values = rng.standard_t(4, (500, 4)) * 0.01, np.array([5.0, 3.0, -2.0, 1.0]) * 1e4
    totals, derivatives = figures_and_derivatives(Method.HISTORICAL, values[None, :], returns)
    pnl = returns @ values
    around = np.argsort(pnl)[19:30]  # ranks 20 to 30: 25.05 ± √(500·.05·.95)
    loss = -pnl[around].mean()
    expected = -returns[around].mean(axis=0) * totals[0, 1] / loss
    np.testing.assert_allclose(derivatives[0, 1], expected, rtol=1e-12)


def test_var_derivative_where_the_neighbourhood_has_lost_the_sign() -> None:
    pnl = np.concatenate([np.full(25, -1.0), [-0.5, 200.0], np.linspace(300, 400, 473)])[None, :]
    worst = worst_outcomes(pnl, 60)
    quantile, around = quantile_weights(500, 0.05)[:60], neighbourhood_weights(500, 0.05)[:60]
    assert (worst.outcomes @ quantile)[0] < 0 < (worst.outcomes @ around)[0]
    np.testing.assert_array_equal(value_at_risk_weights(worst, quantile, around)[0], quantile)


def test_weights_land_on_their_days() -> None:
    pnl = np.array([[3.0, -5.0, 1.0, -2.0], [-1.0, 4.0, -3.0, 2.0]])
    worst = worst_outcomes(pnl, 2)
    placed = on_days(worst, np.array([[0.75, 0.25], [0.5, 0.5]]), 4)
    np.testing.assert_array_equal(placed, [[0, -0.75, 0, -0.25], [-0.5, 0, -0.5, 0]])


@given(books(max_days=120), st.sampled_from(list(MODELS)))
def test_a_batch_is_its_portfolios(book: tuple[np.ndarray, np.ndarray], method: Method) -> None:
    returns, values = book
    batch = np.stack([values, -2 * values, np.zeros_like(values)])
    totals, derivatives = figures_and_derivatives(method, batch, returns)
    slack = 1e-10 * float(np.abs(values).sum())
    for row, one in enumerate(batch):
        alone, own = figures_and_derivatives(method, one[None, :], returns)
        np.testing.assert_allclose(totals[row], alone[0], rtol=1e-9, atol=slack)
        # Which of several equal outcomes counts may differ, so only sums are compared.
        np.testing.assert_allclose((derivatives[row] * one).sum(), (own[0] * one).sum(), rtol=1e-9, atol=slack)
    assert not totals[2].any()
