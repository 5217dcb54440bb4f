"""The headline figures of any number of portfolios on one sample: what snapshots lead with and what-ifs ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.components import marginal
from tailwatch.risk.methods import MODELS, OF_COVARIANCE, Figures, Outcomes, simulate
from tailwatch.risk.shrinkage import shrunk_volatility
from tailwatch.risk.types import CONFIDENCES, CovarianceEstimator, Method, RiskSettings, Sample


class Volatility(NamedTuple):
    """Daily volatility under the covariance that was asked for."""

    portfolio: Vector
    """(P,)"""
    derivatives: Matrix
    """(P, M) by position, per unit of currency."""
    instruments: Vector
    """(M,)"""


def window_volatility(
    sample: Sample, exposures: Matrix, window: Outcomes, estimator: CovarianceEstimator
) -> Volatility:
    """Return the volatility of (P, M) exposures under the covariance of the window that was asked for.

    Args:
        sample: The aligned sample.
        exposures: (P, M) signed market values.
        window: Their outcomes over the window.
        estimator: Of the covariance.
    """
    volatility = window.sample_volatility
    derivatives = marginal(window.sample_volatility_gradient, sample.returns)
    if estimator is CovarianceEstimator.SAMPLE:
        return Volatility(volatility, derivatives, sample.volatilities)
    intensity, variance = sample.shrinkage
    own = np.sqrt((1 - intensity) * sample.sample_variances + intensity * variance)
    return Volatility(*shrunk_volatility(sample.shrinkage, exposures, volatility, derivatives), own)


def at_volatility(method: Method, volatility: Vector) -> Figures:
    """Return the figures of a method that rests on the covariance of the window, at (P,) daily volatilities."""
    multiples = np.array([OF_COVARIANCE[method](confidence) for confidence in CONFIDENCES])
    return Figures(volatility, np.outer(volatility, multiples[:, 0]), np.outer(volatility, multiples[:, 1]))


def headline_figures(sample: Sample, exposures: Matrix, settings: RiskSettings) -> Figures:
    """Return the headline figures of (P, M) exposures: volatility of the window, VaR and ES of the method.

    One day, base currency, positive losses: what `measure` says of each portfolio, and nothing else.
    """
    window = simulate(exposures, sample.returns, sample.volatilities)
    scenarios = window
    if settings.method is Method.FILTERED:
        scenarios = simulate(exposures, sample.filtered, sample.volatility_now)
    return figures_of(sample, window, scenarios, np.einsum("pm,pm->p", exposures, exposures), settings)


def figures_of(
    sample: Sample, window: Outcomes, scenarios: Outcomes, squares: Vector, settings: RiskSettings
) -> Figures:
    """Return the headline figures of outcomes, without the derivatives that a whole measurement has.

    Args:
        sample: That both outcomes are of.
        window: Over the window.
        scenarios: Over the scenarios of the method.
        squares: (P,) sums of squared market values; what shrinkage adds rests on them.
        settings: Of the portfolio.
    """
    volatility = window.sample_volatility
    if settings.covariance is CovarianceEstimator.LEDOIT_WOLF:
        intensity, variance = sample.shrinkage
        volatility = np.sqrt((1 - intensity) * volatility**2 + intensity * variance * squares)
    if settings.method in OF_COVARIANCE:
        return at_volatility(settings.method, volatility)
    tails = MODELS[settings.method].figures(scenarios)
    return Figures(volatility, tails.value_at_risk, tails.expected_shortfall)
