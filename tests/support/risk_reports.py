"""Whole measurements of a sample, for tests of what must hold for all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np

from tailwatch.risk import (
    CovarianceEstimator,
    Method,
    RiskInputs,
    RiskReport,
    RiskSettings,
    Sample,
    measure,
    to_json_dict,
)
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.results import TailFigures
from tailwatch.risk.scenarios import scenarios_of


def report(
    sample: Sample,
    values: np.ndarray,
    method: Method = Method.HISTORICAL,
    cash: float = 0.0,
    covariance: CovarianceEstimator = CovarianceEstimator.SAMPLE,
) -> RiskReport:
    """Measure (M,) market values of the sample's instruments on its last day."""
    market_values = dict(zip(sample.tickers, values.tolist(), strict=True))
    as_of: date = sample.sessions[-1].astype(object)
    return measure(RiskInputs(sample, market_values, as_of, RiskSettings(method, covariance=covariance), cash))


def funded(values: np.ndarray) -> float:
    """Return cash that makes NAV as large as the gross exposure."""
    return float(np.abs(values).sum() - values.sum())


def tail(figures: TailFigures) -> list[float]:
    """Return VaR and ES at 95, 97.5 and 99 %."""
    names = ("var_95_1d", "es_95_1d", "var_975_1d", "es_975_1d", "var_99_1d", "es_99_1d")
    return [getattr(figures, name) for name in names]


def slack(values: np.ndarray) -> float:
    """Return the rounding that figures of these market values may have."""
    return 1e-10 * float(np.abs(values).sum())


def with_market(sample: Sample) -> Sample:
    """Return the sample with a market of its own behind its scenarios, as a benchmark is.

    Without one the average of the columns is the market, and then every instrument of a sample has its part in the
    volatility of every other one.
    """
    market = np.random.default_rng(5).normal(0, 0.01, len(sample.returns))
    return replace(sample, given_scenarios=scenarios_of(sample.returns, market, default_model()))


def assert_sound(measured: RiskReport) -> None:
    """Check what every report owes: no NaN, tails in order, and components that add up wherever there are any."""
    json.dumps(to_json_dict(measured), allow_nan=False)
    room = slack(np.array([one.market_value or 0.0 for one in measured.positions]))
    for figures in measured.methods.values():
        var_95, es_95, var_975, es_975, var_99, es_99 = tail(figures.amounts)
        assert var_95 <= var_975 + room <= var_99 + 2 * room
        assert es_95 <= es_975 + room <= es_99 + 2 * room
        assert var_95 <= es_95 + room
        assert var_975 <= es_975 + room
        assert var_99 <= es_99 + room
    if measured.fractions.var_95_1d is None:
        return
    for name, total in (
        ("component_volatility", measured.fractions.annualized_volatility),
        ("component_var_95", measured.fractions.var_95_1d),
        ("component_es_975", measured.fractions.es_975_1d),
    ):
        parts = [getattr(one, name) or 0.0 for one in measured.positions]
        np.testing.assert_allclose(sum(parts), total, rtol=1e-9, atol=1e-9)
