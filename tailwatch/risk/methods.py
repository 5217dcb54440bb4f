"""The methods: each turns simulated profit and loss into volatility, VaR and ES, and into their derivatives.

`MODELS` is the registry. A method sees `Outcomes`, the profit and loss of P portfolios over the days of one scenario
matrix, and nothing else; one portfolio is a batch of one. A method on scenarios of its own (the filtered one, once it
is built) gets outcomes of another matrix and is a `Simulated` like the historical one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np

from tailwatch.risk import components, tail
from tailwatch.risk.arrays import Flags, Matrix, Vector
from tailwatch.risk.covariance import NO_MOVEMENT, ewma_weights
from tailwatch.risk.types import CONFIDENCES, Method, Sample

_NORMAL: Final = NormalDist()


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Profit and loss of P portfolios on T days, with what the methods share of it.

    Attributes:
        pnl: (P, T) in base currency, newest last.
        still: (P,) whether all of it is zero: nothing held, nothing moved, or a hedge that is perfect.
    """

    pnl: Matrix
    still: Flags

    @property
    def days(self) -> int:
        """T."""
        return int(self.pnl.shape[1])

    @cached_property
    def deviations(self) -> Matrix:
        """(P, T) profit and loss less its mean."""
        centred: Matrix = self.pnl - self.pnl.mean(axis=1, keepdims=True)
        return centred

    @cached_property
    def sample_volatility(self) -> Vector:
        """(P,) daily sample standard deviation, ddof 1: √(v'Σv) for the sample covariance Σ.

        Zero where it is no more than the rounding of a profit that is the same every day.
        """
        squares: Vector = np.einsum("pt,pt->p", self.deviations, self.deviations)
        volatility = np.sqrt(squares / (self.days - 1))
        volatility[volatility <= NO_MOVEMENT * np.abs(self.pnl[:, 0])] = 0.0
        return volatility

    @cached_property
    def sample_volatility_gradient(self) -> Matrix:
        """(P, T) day weights of the sample volatility; zero where it is zero."""
        return self.deviations * _reciprocal(self.sample_volatility * (self.days - 1))

    @cached_property
    def ewma_volatility(self) -> Vector:
        """(P,) daily EWMA standard deviation, mean zero: √(v'Σv) for the EWMA covariance Σ."""
        variances: Vector = (self.pnl * self.pnl) @ ewma_weights(self.days)
        return np.sqrt(variances)

    @cached_property
    def ewma_volatility_gradient(self) -> Matrix:
        """(P, T) day weights of the EWMA volatility; zero where it is zero."""
        return self.pnl * ewma_weights(self.days) * _reciprocal(self.ewma_volatility)

    @cached_property
    def worst(self) -> tail.Worst:
        """The outcomes that the tail figures of all levels need."""
        return tail.worst_outcomes(self.pnl, self.weights.depth)

    @property
    def weights(self) -> tail.TailWeights:
        """The tail weightings for that many days, one row a level of `CONFIDENCES`."""
        return tail.tail_weights(self.days, CONFIDENCES)


def simulate(exposures: Matrix, returns: Matrix, volatilities: Vector) -> Outcomes:
    """Return the outcomes of (P, M) exposures over (T, M) scenario returns.

    Where everything is hedged away only rounding is left, and which days are its worst says nothing: it is set to
    zero when it stays below a trillionth of the risk that was hedged, measured by the (M,) daily volatilities.
    """
    pnl = exposures @ returns.T
    still = np.abs(pnl).max(axis=1) <= NO_MOVEMENT * (np.abs(exposures) @ volatilities)
    pnl[still] = 0.0
    return Outcomes(pnl, still)


@dataclass(frozen=True, eq=False)
class Figures:
    """Figures of P portfolios at the L levels of `CONFIDENCES`: one day, base currency, positive losses.

    Attributes:
        volatility: (P,).
        value_at_risk: (P, L).
        expected_shortfall: (P, L).
    """

    volatility: Vector
    value_at_risk: Matrix
    expected_shortfall: Matrix


@dataclass(frozen=True, eq=False)
class Gradients:
    """(P, T) day weights: each figure is their product with the profit and loss (see `components`).

    Attributes:
        volatility: Of the daily volatility.
        value_at_risk: Of the VaR at one level.
        expected_shortfall: Of the ES at one level.
    """

    volatility: Matrix
    value_at_risk: Matrix
    expected_shortfall: Matrix


class Model(Protocol):
    """A method at work."""

    def figures(self, outcomes: Outcomes) -> Figures:
        """Return volatility, VaR and ES at every level."""
        ...

    def gradients(self, outcomes: Outcomes, var_level: float, es_level: float) -> Gradients:
        """Return day weights of the volatility, of the VaR at one level and of the ES at another."""
        ...

    def instrument_variances(self, sample: Sample) -> Vector:
        """Return the (M,) daily variances of the instruments under the same moments."""
        ...


def normal_multiples(confidence: float) -> tuple[float, float]:
    """Return VaR and ES of a standard normal loss: z and φ(z)/α."""
    z = _NORMAL.inv_cdf(confidence)
    return z, _NORMAL.pdf(z) / tail.tail_probability(confidence)


_NORMAL_MULTIPLES: Final = np.array([normal_multiples(confidence) for confidence in CONFIDENCES])


@dataclass(frozen=True)
class Normal:
    """Normal profit and loss of mean zero: every figure is a multiple of one volatility (RiskMetrics 1996).

    Attributes:
        volatility: (P,) of the outcomes.
        gradient: (P, T) day weights of that volatility.
        variances: (M,) of the sample's instruments.
    """

    volatility: Callable[[Outcomes], Vector]
    gradient: Callable[[Outcomes], Matrix]
    variances: Callable[[Sample], Vector]

    def figures(self, outcomes: Outcomes) -> Figures:
        """Return σ, zσ and σφ(z)/α."""
        sigma = self.volatility(outcomes)
        return Figures(sigma, np.outer(sigma, _NORMAL_MULTIPLES[:, 0]), np.outer(sigma, _NORMAL_MULTIPLES[:, 1]))

    def gradients(self, outcomes: Outcomes, var_level: float, es_level: float) -> Gradients:
        """Return the volatility's day weights and their multiples."""
        weights = self.gradient(outcomes)
        return Gradients(weights, weights * normal_multiples(var_level)[0], weights * normal_multiples(es_level)[1])

    def instrument_variances(self, sample: Sample) -> Vector:
        """Return `variances` of the sample."""
        return self.variances(sample)


class Simulated:
    """The outcomes as they are: Weibull quantile and fractional tail mean of the simulated profit and loss."""

    def figures(self, outcomes: Outcomes) -> Figures:
        """Return the sample volatility and the tail figures of the outcomes."""
        losses = -outcomes.worst.outcomes
        weights = outcomes.weights
        return Figures(
            outcomes.sample_volatility,
            losses @ weights.value_at_risk.T,
            losses @ weights.expected_shortfall.T,
        )

    def gradients(self, outcomes: Outcomes, var_level: float, es_level: float) -> Gradients:
        """Return the day weights of sample volatility, VaR and ES."""
        weights, worst = outcomes.weights, outcomes.worst
        var_row, es_row = CONFIDENCES.index(var_level), CONFIDENCES.index(es_level)
        quantile = components.value_at_risk_weights(
            worst, weights.value_at_risk[var_row], weights.neighbourhood[var_row]
        )
        moving = ~outcomes.still[:, None]
        return Gradients(
            outcomes.sample_volatility_gradient,
            components.on_days(worst, moving * quantile, outcomes.days),
            components.on_days(worst, moving * weights.expected_shortfall[es_row], outcomes.days),
        )

    def instrument_variances(self, sample: Sample) -> Vector:
        """Return the sample variances."""
        return sample.sample_variances


#: The methods that can be computed. A method of `Method` that is not here falls back with a warning.
MODELS: Final[Mapping[Method, Model]] = {
    Method.COVARIANCE: Normal(
        volatility=lambda outcomes: outcomes.sample_volatility,
        gradient=lambda outcomes: outcomes.sample_volatility_gradient,
        variances=lambda sample: sample.sample_variances,
    ),
    Method.EWMA: Normal(
        volatility=lambda outcomes: outcomes.ewma_volatility,
        gradient=lambda outcomes: outcomes.ewma_volatility_gradient,
        variances=lambda sample: sample.ewma_variances,
    ),
    Method.HISTORICAL: Simulated(),
}
#: Takes the headline where the method asked for is not in `MODELS`.
FALLBACK: Final = Method.HISTORICAL


def _reciprocal(values: Vector) -> Matrix:
    """Return (P, 1) 1/values, 0 where the value is 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)[:, None]
