"""What must hold for every portfolio under every method, checked on the whole measurement."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import CovarianceEstimator, Method, to_json_dict
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.covariance import ewma_covariance, sample_covariance
from tailwatch.risk.methods import MODELS, scenarios_for
from tailwatch.risk.shrinkage import ledoit_wolf
from tailwatch.risk.volatility import conditional_variances
from tests.support.risk_reports import assert_sound, funded, report, slack, tail, with_market
from tests.support.risk_samples import books, return_matrices, sample_of

Book = tuple[np.ndarray, np.ndarray]
methods = st.sampled_from(list(MODELS))
#: On both sides of the 250 days from which the volatility model scales the scenarios.
any_books = books(max_days=400)


@given(any_books, methods)
def test_tails_are_ordered_and_components_add_up(book: Book, method: Method) -> None:
    returns, values = book
    measured = report(sample_of(returns), values, method, cash=funded(values))
    assert_sound(measured)
    assert tail(measured.amounts) == tail(measured.methods[method].amounts)
    marginal = sum(one.marginal_var_95 * one.market_value for one in measured.positions)
    assert marginal == pytest.approx(measured.amounts.var_95_1d, rel=1e-9, abs=slack(values))


@given(any_books, methods, st.floats(1e-3, 1e3))
def test_figures_scale_with_the_portfolio(book: Book, method: Method, factor: float) -> None:
    returns, values = book
    sample = sample_of(returns)
    one, other = report(sample, values, method), report(sample, factor * values, method)
    np.testing.assert_allclose(
        tail(other.amounts), factor * np.array(tail(one.amounts)), rtol=1e-9, atol=factor * slack(values)
    )


@given(any_books, methods, st.floats(0, 1e9))
def test_cash_leaves_currency_figures_alone(book: Book, method: Method, cash: float) -> None:
    returns, values = book
    sample = sample_of(returns)
    one, other = report(sample, values, method, funded(values)), report(sample, values, method, funded(values) + cash)
    assert one.amounts == other.amounts
    assert one.distribution == other.distribution
    assert other.fractions.var_95_1d == pytest.approx(other.amounts.var_95_1d / other.nav, rel=1e-12)


@given(any_books, methods, st.randoms(use_true_random=False))
def test_the_order_of_the_instruments_does_not_matter(book: Book, method: Method, random: object) -> None:
    returns, values = book
    order = list(range(values.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = (
        report(sample_of(returns), values, method),
        report(sample_of(returns[:, order]), values[order], method),
    )
    np.testing.assert_allclose(tail(one.amounts), tail(other.amounts), rtol=1e-9, atol=slack(values))
    np.testing.assert_allclose(
        one.amounts.annualized_volatility, other.amounts.annualized_volatility, rtol=1e-9, atol=slack(values)
    )


@given(any_books, methods, st.floats(0.01, 0.99))
def test_two_lots_are_one_position(book: Book, method: Method, share: float) -> None:
    returns, values = book
    lots = np.append(values, values[0] * (1 - share))
    lots[0] *= share
    one, other = (
        report(with_market(sample_of(returns)), values, method),
        report(with_market(sample_of(np.column_stack([returns, returns[:, 0]]))), lots, method),
    )
    np.testing.assert_allclose(tail(one.amounts), tail(other.amounts), rtol=1e-9, atol=slack(values))


def test_a_scenario_is_as_unusual_as_the_day_it_comes_from() -> None:
    rng = np.random.default_rng(3)
    returns = 0.01 * rng.standard_t(4, (600, 3))
    returns[400:] *= 5
    sample = sample_of(returns)
    then = np.sqrt(conditional_variances(returns, returns.mean(axis=1), default_model())[:-1])
    np.testing.assert_allclose(sample.filtered / sample.volatility_now, returns / then, rtol=1e-9)


@pytest.mark.parametrize("estimator", list(CovarianceEstimator))
@pytest.mark.parametrize("method", list(MODELS))
def test_components_are_slopes_of_the_whole_measurement(method: Method, estimator: CovarianceEstimator) -> None:
    rng = np.random.default_rng(7)
    # The trades below are too small to make two of the worst outcomes change places.
    sample = sample_of(rng.standard_t(4, (600, 5)) * 0.01)
    values = np.array([5e5, 3e5, -2e5, 1e5, 4e5])
    measured = report(sample, values, method, funded(values), estimator)
    names = ("annualized_volatility", "var_95_1d", "es_975_1d")
    shares = {
        one.ticker: (one.component_volatility, one.component_var_95, one.component_es_975)
        for one in measured.positions
    }
    for column, ticker in enumerate(sample.tickers):
        step = np.zeros(values.size)
        step[column] = 0.1
        up, down = (report(sample, values + sign * step, method, 0.0, estimator).amounts for sign in (1, -1))
        slopes = [(getattr(up, name) - getattr(down, name)) / 0.2 for name in names]
        expected = values[column] * np.array(slopes) / measured.nav
        volatility, var, es = shares[ticker]
        assert volatility == pytest.approx(expected[0], abs=1e-7)
        assert es == pytest.approx(expected[2], abs=1e-7)
        if method not in {Method.HISTORICAL, Method.FILTERED}:
            assert var == pytest.approx(expected[1], abs=1e-7)
    if method in {Method.HISTORICAL, Method.FILTERED}:
        # One day's return would be noise: it is the mean over the ranks within √(nα(1−α)) of the quantile's.
        scenarios = scenarios_for(method, sample)
        outcomes = scenarios @ values
        rank, reach = round(601 * 0.05), round(math.sqrt(600 * 0.05 * 0.95))
        around = np.argsort(outcomes)[rank - 1 - reach : rank + reach]
        expected = values * scenarios[around].mean(axis=0) / outcomes[around].mean() * measured.fractions.var_95_1d
        np.testing.assert_allclose([shares[ticker][1] for ticker in sample.tickers], expected, rtol=1e-9)


@given(any_books)
def test_short_of_everything_mirrors_the_tail(book: Book) -> None:
    returns, values = book
    sample = sample_of(returns)
    one, other = report(sample, values), report(sample, -values)
    for method in (Method.HISTORICAL, Method.FILTERED):
        gains = np.sort(scenarios_for(method, sample) @ values)[::-1]
        expected = []
        for alpha in (0.05, 0.025, 0.01):
            size = max(gains.size * alpha, 1.0)
            whole = math.floor(size)
            expected.append(np.interp((gains.size + 1) * alpha, np.arange(1, gains.size + 1), gains))
            expected.append((gains[:whole].sum() + (size - whole) * gains[whole]) / size)
        np.testing.assert_allclose(tail(other.methods[method].amounts), expected, rtol=1e-9, atol=slack(values))
    for method in set(MODELS) - {Method.HISTORICAL, Method.FILTERED}:
        np.testing.assert_allclose(
            tail(one.methods[method].amounts), tail(other.methods[method].amounts), rtol=1e-9, atol=slack(values)
        )


@given(any_books, st.integers(0, 2**32 - 1))
def test_two_portfolios_in_one_are_no_riskier_than_apart(book: Book, seed: int) -> None:
    # What makes the ES a coherent measure (Acerbi & Tasche 2002). The VaR of outcomes that are no ellipse is not.
    returns, values = book
    sample = sample_of(returns)
    others = values * np.random.default_rng(seed).normal(0, 2, values.size)
    one, other, both = (report(sample, each) for each in (values, others, values + others))
    room = slack(values) + slack(others)
    for method in MODELS:
        apart = np.add(tail(one.methods[method].amounts), tail(other.methods[method].amounts))
        together = np.array(tail(both.methods[method].amounts))
        assert (together[1::2] <= apart[1::2] + room).all()
        if method not in {Method.HISTORICAL, Method.FILTERED}:
            assert (together <= apart + room).all()


@given(return_matrices(max_days=400))
def test_no_combination_of_instruments_has_a_negative_variance(returns: np.ndarray) -> None:
    intensity, variance = ledoit_wolf(returns)
    sample = sample_covariance(returns)
    shrunk = (1 - intensity) * sample + intensity * variance * np.eye(len(sample))
    for matrix in (sample, ewma_covariance(returns), shrunk):
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12, atol=1e-18)
        assert np.linalg.eigvalsh(matrix).min() >= -1e-12 * np.trace(matrix)


@given(any_books, methods)
def test_concentration_stays_in_its_range(book: Book, method: Method) -> None:
    returns, values = book
    concentration = report(sample_of(returns), values, method).concentration
    assert concentration is not None
    assert 1 / values.size - 1e-12 <= concentration.hhi <= 1 + 1e-12
    assert concentration.effective_positions == pytest.approx(1 / concentration.hhi)
    if concentration.diversification_ratio is not None:
        assert concentration.diversification_ratio >= 1 - 1e-9


@given(any_books, methods, st.floats(-1e8, 1e8), st.booleans())
def test_every_figure_is_finite_or_null_with_a_reason(
    book: Book, method: Method, cash: float, with_benchmark: bool
) -> None:
    returns, values = book
    sample = sample_of(returns, returns.mean(axis=1) if with_benchmark else None)
    measured = report(sample, values, method, cash)
    text = json.dumps(to_json_dict(measured), allow_nan=False)
    codes = {warning.code for warning in measured.warnings}
    unusable = measured.nav <= 0 or measured.gross > 20 * measured.nav
    assert (measured.fractions.var_95_1d is None) == unusable
    assert unusable == bool(codes & {"nav_not_positive", "leverage"})
    assert measured.amounts.var_95_1d is not None
    assert (measured.drawdown is None) == bool(codes & {"nav_not_positive", "leverage", "drawdown"})
    assert ("null" in text) or with_benchmark


@given(any_books, methods, st.integers(1, 5))
def test_instruments_that_are_not_held_do_not_matter(book: Book, method: Method, extra: int) -> None:
    returns, values = book
    others = np.random.default_rng(extra).normal(0, 0.02, (len(returns), extra))
    one = report(with_market(sample_of(returns)), values, method)
    wide = with_market(sample_of(np.column_stack([returns, others])))
    other = report(wide, np.concatenate([values, np.zeros(extra)]), method)
    assert len(other.positions) == len(one.positions)
    assert other.correlation is not None
    assert one.correlation is not None
    assert other.correlation.tickers == one.correlation.tickers
    np.testing.assert_allclose(tail(one.amounts), tail(other.amounts), rtol=1e-9, atol=slack(values))
