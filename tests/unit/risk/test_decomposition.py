"""Risk added up by label, and the effective number of bets."""

from __future__ import annotations

import numpy as np
import pytest

from tailwatch.risk import Method, RiskInputs, RiskReport, RiskSettings, Status, UnmodelledPosition, measure
from tailwatch.risk.covariance import principal_components
from tailwatch.risk.decomposition import effective_bets
from tests.support.risk_samples import sample_of


def report(returns: np.ndarray, values: dict[str, float], method: Method = Method.FILTERED) -> RiskReport:
    sample = sample_of(returns)
    return measure(
        RiskInputs(
            sample,
            values,
            sample.sessions[-1].astype(object),
            RiskSettings(method),
            unmodelled=[UnmodelledPosition("NEW", Status.PENDING, "Its price is being fetched.")],
            currencies={"A0": "USD", "A1": "USD", "A2": "USD", "NEW": "EUR"},
            labels={"sector": {"A0": "Energy", "A2": "Energy"}, "asset_class": {}},
        )
    )


@pytest.mark.parametrize("method", list(Method))
def test_groups_add_up_to_the_portfolio(method: Method) -> None:
    returns = np.random.default_rng(1).standard_t(5, (600, 3)) * 0.01
    measured = report(returns, {"A0": 500.0, "A1": 300.0, "A2": -200.0}, method)
    energy, others = measured.by_label["sector"]
    assert (energy.label, others.label) == ("Energy", None)
    assert (energy.market_value, energy.positions) == (300, 2)
    assert (others.market_value, others.positions) == (300, 2)
    of = {one.ticker: one for one in measured.positions}
    assert energy.component_var_95 == pytest.approx(of["A0"].component_var_95 + of["A2"].component_var_95)
    for groups in (measured.by_currency, *measured.by_label.values()):
        assert sum(one.positions for one in groups) == 4
        for name, total in (
            ("component_volatility", measured.fractions.annualized_volatility),
            ("component_var_95", measured.fractions.var_95_1d),
            ("component_es_975", measured.fractions.es_975_1d),
            ("weight", 1.0),
        ):
            assert sum(getattr(one, name) or 0 for one in groups) == pytest.approx(total)
    dollars, euros = measured.by_currency
    assert (dollars.label, euros.label) == ("USD", "EUR")
    # Nothing is known of it: no sum, not zero.
    assert (euros.market_value, euros.component_var_95) == (None, None)


def test_independent_bets_alike_count_in_full() -> None:
    # Orthogonal deviations of one length.
    deviations = np.eye(5, 20) - np.eye(5, 20, k=5)
    values = np.array([np.full(5, 7.0), [7.0, 0, 0, 0, 0], np.zeros(5)])
    found = effective_bets(values, *principal_components(deviations[None]))
    np.testing.assert_allclose(found, [5, 1, np.nan])


def test_names_that_move_together_are_one_bet() -> None:
    base = np.random.default_rng(1).normal(0, 0.01, (500, 1))
    measured = report(np.hstack([base, 2 * base, base]), {"A0": 100.0, "A1": 100.0, "A2": 100.0})
    assert measured.concentration is not None
    assert measured.concentration.effective_bets == pytest.approx(1)
    assert measured.concentration.effective_positions == pytest.approx(3)


@pytest.mark.parametrize(("days", "names"), [(500, 6), (80, 120)])
def test_principal_components_rebuild_the_covariance(days: int, names: int) -> None:
    returns = np.random.default_rng(2).normal(0, 0.01, (days, names))
    deviations = (returns - returns.mean(axis=0)).T
    (components,), (variances,) = principal_components(deviations[None])
    np.testing.assert_allclose((components * variances) @ components.T, np.cov(returns.T), atol=1e-14)
    kept = components[:, variances > 1e-12]
    np.testing.assert_allclose(kept.T @ kept, np.eye(kept.shape[1]), atol=1e-8)
