"""What must hold for every portfolio, checked on the whole measurement."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import Method, RiskInputs, RiskReport, RiskSettings, Sample, measure, to_json_dict
from tailwatch.risk.methods import MODELS
from tailwatch.risk.results import TailFigures
from tailwatch.risk.tail import value_at_risk
from tests.support.risk_samples import books, sample_of

Book = tuple[np.ndarray, np.ndarray]
methods = st.sampled_from(list(MODELS))


def report(sample: Sample, values: np.ndarray, method: Method = Method.HISTORICAL, cash: float = 0.0) -> RiskReport:
    market_values = dict(zip(sample.tickers, values.tolist(), strict=True))
    as_of: date = sample.sessions[-1].astype(object)
    return measure(RiskInputs(sample, market_values, as_of, RiskSettings(method), cash))


def funded(values: np.ndarray) -> float:
    """Return cash that makes NAV as large as the gross exposure."""
    return float(np.abs(values).sum() - values.sum())


def tail(figures: TailFigures) -> list[float]:
    """Return VaR and ES at 95, 97.5 and 99 %."""
    names = ("var_95_1d", "es_95_1d", "var_975_1d", "es_975_1d", "var_99_1d", "es_99_1d")
    return [getattr(figures, name) for name in names]


def slack(values: np.ndarray) -> float:
    return 1e-10 * float(np.abs(values).sum())


@given(books(), methods)
def test_tails_are_ordered(book: Book, method: Method) -> None:
    returns, values = book
    measured = report(sample_of(returns), values, method)
    for figures in measured.methods.values():
        var_95, es_95, var_975, es_975, var_99, es_99 = tail(figures.amounts)
        room = slack(values)
        assert var_95 <= var_975 + room <= var_99 + 2 * room
        assert es_95 <= es_975 + room <= es_99 + 2 * room
        assert var_95 <= es_95 + room
        assert var_975 <= es_975 + room
        assert var_99 <= es_99 + room
    assert tail(measured.amounts) == tail(measured.methods[method].amounts)


@given(books(), methods, st.floats(1e-3, 1e3))
def test_figures_scale_with_the_portfolio(book: Book, method: Method, factor: float) -> None:
    returns, values = book
    sample = sample_of(returns)
    one, other = report(sample, values, method), report(sample, factor * values, method)
    np.testing.assert_allclose(
        tail(other.amounts), factor * np.array(tail(one.amounts)), rtol=1e-9, atol=factor * slack(values)
    )


@given(books(), methods)
def test_components_add_up(book: Book, method: Method) -> None:
    returns, values = book
    measured = report(sample_of(returns), values, method, cash=funded(values))
    for name, total in (
        ("component_volatility", measured.fractions.annualized_volatility),
        ("component_var_95", measured.fractions.var_95_1d),
        ("component_es_975", measured.fractions.es_975_1d),
    ):
        parts = [getattr(one, name) for one in measured.positions]
        assert sum(parts) == pytest.approx(total, rel=1e-9, abs=1e-9)
    marginal = sum(one.marginal_var_95 * one.market_value for one in measured.positions)
    assert marginal == pytest.approx(measured.amounts.var_95_1d, rel=1e-9, abs=slack(values))


@given(books(), methods, st.floats(0, 1e9))
def test_cash_leaves_currency_figures_alone(book: Book, method: Method, cash: float) -> None:
    returns, values = book
    sample = sample_of(returns)
    one, other = report(sample, values, method, funded(values)), report(sample, values, method, funded(values) + cash)
    assert one.amounts == other.amounts
    assert one.distribution == other.distribution
    assert other.fractions.var_95_1d == pytest.approx(other.amounts.var_95_1d / other.nav, rel=1e-12)


@given(books(), methods, st.randoms(use_true_random=False))
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


@given(books(), methods, st.floats(0.01, 0.99))
def test_two_lots_are_one_position(book: Book, method: Method, share: float) -> None:
    returns, values = book
    lots = np.append(values, values[0] * (1 - share))
    lots[0] *= share
    one, other = (
        report(sample_of(returns), values, method),
        report(sample_of(np.column_stack([returns, returns[:, 0]])), lots, method),
    )
    np.testing.assert_allclose(tail(one.amounts), tail(other.amounts), rtol=1e-9, atol=slack(values))


@given(books())
def test_short_of_everything_mirrors_the_tail(book: Book) -> None:
    returns, values = book
    sample = sample_of(returns)
    one, other = report(sample, values), report(sample, -values)
    upper = np.sort(returns @ values)[::-1]
    rank = min(max((upper.size + 1) * 0.05, 1), upper.size)
    below = int(np.floor(rank + 1e-9))
    gain = upper[below - 1] + (rank - below) * (upper[min(below, upper.size - 1)] - upper[below - 1])
    assert other.amounts.var_95_1d == pytest.approx(gain, rel=1e-9, abs=slack(values))
    for method in (Method.COVARIANCE, Method.EWMA):
        np.testing.assert_allclose(
            tail(one.methods[method].amounts), tail(other.methods[method].amounts), rtol=1e-9, atol=slack(values)
        )


@given(books(), methods)
def test_concentration_stays_in_its_range(book: Book, method: Method) -> None:
    returns, values = book
    concentration = report(sample_of(returns), values, method).concentration
    assert concentration is not None
    assert 1 / values.size - 1e-12 <= concentration.hhi <= 1 + 1e-12
    assert concentration.effective_positions == pytest.approx(1 / concentration.hhi)
    if concentration.diversification_ratio is not None:
        assert concentration.diversification_ratio >= 1 - 1e-9


@given(books(), methods, st.floats(-1e8, 1e8), st.booleans())
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


@given(books(), st.integers(1, 5))
def test_instruments_that_are_not_held_do_not_matter(book: Book, extra: int) -> None:
    returns, values = book
    others = np.random.default_rng(extra).normal(0, 0.02, (len(returns), extra))
    wide = sample_of(np.column_stack([returns, others]))
    one = report(sample_of(returns), values)
    other = report(wide, np.concatenate([values, np.zeros(extra)]))
    assert len(other.positions) == len(one.positions)
    assert other.correlation is not None
    assert one.correlation is not None
    assert other.correlation.tickers == one.correlation.tickers
    np.testing.assert_allclose(tail(one.amounts), tail(other.amounts), rtol=1e-9, atol=slack(values))


def test_one_name() -> None:
    returns = np.random.default_rng(1).standard_t(4, (500, 1)) * 0.01
    measured = report(sample_of(returns), np.array([1000.0]))
    (position,) = measured.positions
    assert position.component_volatility == pytest.approx(measured.fractions.annualized_volatility)
    assert position.volatility == pytest.approx(measured.fractions.annualized_volatility)
    assert measured.fractions.var_95_1d == pytest.approx(value_at_risk(returns.T, 0.95)[0])
    assert measured.concentration is not None
    assert measured.concentration.effective_positions == 1
    assert measured.concentration.diversification_ratio == pytest.approx(1)
    assert measured.correlation is not None
    assert measured.correlation.matrix == [[1.0]]


def test_a_perfect_hedge_has_no_risk() -> None:
    returns = np.repeat(np.random.default_rng(1).normal(0, 0.01, (500, 1)), 2, axis=1)
    measured = report(sample_of(returns), np.array([1000.0, -1000.0]), cash=1000.0)
    assert tail(measured.fractions) == pytest.approx([0] * 6, abs=1e-12)
    assert measured.fractions.annualized_volatility == pytest.approx(0, abs=1e-12)
    assert measured.concentration is not None
    assert measured.concentration.diversification_ratio is None
    for one in measured.positions:
        # Which days are the worst is a matter of rounding here, and so would be the share in them.
        assert (one.component_volatility, one.component_var_95, one.component_es_975) == (0, 0, 0)


@pytest.mark.parametrize("method", list(MODELS))
def test_a_hedge_that_is_perfect_but_for_rounding_has_no_components(method: Method) -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(0, 0.01, (500, 2))
    returns = np.column_stack([base, base @ [0.3, 0.7]])
    measured = report(sample_of(returns), np.array([300.0, 700.0, -1000.0]), method, cash=1000.0)
    for one in measured.positions:
        assert (one.component_volatility, one.component_var_95, one.component_es_975) == (0, 0, 0)


def test_steady_gains_have_no_volatility_and_a_negative_var() -> None:
    measured = report(sample_of(np.full((500, 2), 0.0003)), np.array([1000.0, 500.0]))
    assert measured.fractions.annualized_volatility == 0
    assert measured.fractions.var_95_1d == pytest.approx(-0.0003)
    assert [one.component_volatility for one in measured.positions] == [0, 0]
    assert [one.component_var_95 for one in measured.positions] == pytest.approx([-0.0002, -0.0001])


def test_a_price_that_never_moves() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (500, 2))
    returns[:, 1] = 0
    measured = report(sample_of(returns), np.array([1000.0, 500.0]))
    assert measured.correlation is not None
    assert measured.correlation.matrix == [[1.0, None], [None, None]]
    assert [(one.volatility, one.component_var_95) for one in measured.positions][1] == (0, 0)
    assert [warning.code for warning in measured.warnings] == ["never_moved"]
    assert "A1" in measured.warnings[0].message


def test_nothing_moves() -> None:
    measured = report(sample_of(np.zeros((500, 3))), np.array([1.0, 2.0, 3.0]))
    assert tail(measured.fractions) == [0] * 6
    assert measured.drawdown is not None
    assert (measured.drawdown.depth, measured.drawdown.start) == (0, None)
    json.dumps(to_json_dict(measured), allow_nan=False)


def test_sixty_days() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (60, 3))
    measured = report(sample_of(returns), np.full(3, 1000.0))
    assert "thin_tail" in {warning.code for warning in measured.warnings}
    worst = -(returns.sum(axis=1)).min() * 1000
    assert measured.amounts.var_99_1d == pytest.approx(worst)
    assert measured.amounts.es_99_1d == pytest.approx(worst)


def test_five_thousand_names() -> None:
    rng = np.random.default_rng(1)
    returns = rng.normal(0, 0.01, (120, 1)) + rng.normal(0, 0.02, (120, 5000))
    measured = report(sample_of(returns), rng.uniform(1, 100, 5000))
    assert len(measured.positions) == 5000
    assert measured.correlation is not None
    assert (len(measured.correlation.tickers), measured.correlation.omitted) == (50, 4950)
    assert sum(one.component_var_95 or 0 for one in measured.positions) == pytest.approx(
        measured.fractions.var_95_1d, rel=1e-9
    )
