"""The methods: each turns simulated profit and loss into volatility, VaR and ES, and into their derivatives.

`MODELS` is the registry. A method sees `Outcomes`, the profit and loss of P portfolios over the days of one scenario
matrix, and nothing else; one portfolio is a batch of one. The filtered method has scenarios of its own
(`scenarios_for`) and is otherwise a `Simulated` like the historical one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np

from tailwatch.risk import components, tail
from tailwatch.risk.arrays import Flags, Matrix, Vector, row_by_row
from tailwatch.risk.covariance import NO_MOVEMENT, ewma_weights
from tailwatch.risk.types import CONFIDENCES, Method, Sample

_NORMAL: Final = NormalDist()
#: Degrees of freedom of the Student-t method: those of the likelihood that the volatility model is fitted by.
STUDENT_T_FREEDOM: Final = 6


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
        variances: Vector = row_by_row(self.pnl * self.pnl, ewma_weights(self.days))
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
        value_at_risk: Of the VaR at one level.
        expected_shortfall: Of the ES at one level.
    """

    value_at_risk: Matrix
    expected_shortfall: Matrix


class Model(Protocol):
    """A method at work."""

    def figures(self, outcomes: Outcomes) -> Figures:
        """Return volatility, VaR and ES at every level."""
        ...

    def gradients(self, outcomes: Outcomes, var_level: float, es_level: float) -> Gradients:
        """Return day weights of the VaR at one level and of the ES at another."""
        ...


def normal_multiples(confidence: float) -> tuple[float, float]:
    """Return VaR and ES of a standard normal loss: z and φ(z)/α."""
    z = _NORMAL.inv_cdf(confidence)
    return z, _NORMAL.pdf(z) / tail.tail_probability(confidence)


@lru_cache(maxsize=16)
def student_t_multiples(confidence: float) -> tuple[float, float]:
    """Return VaR and ES of a Student-t loss with 6 degrees of freedom, mean zero and standard deviation 1.

    VaR √((ν−2)/ν)·t, ES √((ν−2)/ν)·f(t)/α·(ν+t²)/(ν−1), with t the quantile and f the density (McNeil, Frey &
    Embrechts 2005, Quantitative Risk Management, section 2.2.4).
    """
    # With an even number of degrees of freedom the distribution function is a polynomial of s = t/√(ν+t²).
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        rest = 1 - middle * middle
        if middle * (1 + rest / 2 + 3 * rest * rest / 8) / 2 < confidence - 0.5:
            low = middle
        else:
            high = middle
    nu = STUDENT_T_FREEDOM
    t = low * math.sqrt(nu / (1 - low * low))
    density = math.gamma((nu + 1) / 2) / (math.sqrt(nu * math.pi) * math.gamma(nu / 2))
    density *= (1 + t * t / nu) ** (-(nu + 1) / 2)
    scale = math.sqrt((nu - 2) / nu)
    return scale * t, scale * density / tail.tail_probability(confidence) * (nu + t * t) / (nu - 1)


@dataclass(frozen=True)
class Elliptical:
    """Profit and loss of mean zero and known shape: every figure is a multiple of one volatility (RiskMetrics 1996).

    Attributes:
        multiples: VaR and ES of standard deviation 1 at a confidence.
        volatility: (P,) of the outcomes.
        gradient: (P, T) day weights of that volatility.
    """

    multiples: Callable[[float], tuple[float, float]]
    volatility: Callable[[Outcomes], Vector]
    gradient: Callable[[Outcomes], Matrix]

    def figures(self, outcomes: Outcomes) -> Figures:
        """Return σ and its multiples."""
        sigma = self.volatility(outcomes)
        factors = np.array([self.multiples(confidence) for confidence in CONFIDENCES])
        return Figures(sigma, np.outer(sigma, factors[:, 0]), np.outer(sigma, factors[:, 1]))

    def gradients(self, outcomes: Outcomes, var_level: float, es_level: float) -> Gradients:
        """Return multiples of the volatility's day weights."""
        weights = self.gradient(outcomes)
        return Gradients(weights * self.multiples(var_level)[0], weights * self.multiples(es_level)[1])


class Simulated:
    """The outcomes as they are: Weibull quantile and fractional tail mean of the simulated profit and loss."""

    def figures(self, outcomes: Outcomes) -> Figures:
        """Return the sample volatility and the tail figures of the outcomes."""
        losses = -outcomes.worst.outcomes
        weights = outcomes.weights
        return Figures(
            outcomes.sample_volatility,
            row_by_row(losses, weights.value_at_risk.T),
            row_by_row(losses, weights.expected_shortfall.T),
        )

    def gradients(self, outcomes: Outcomes, var_level: float, es_level: float) -> Gradients:
        """Return the day weights of VaR and ES."""
        weights, worst = outcomes.weights, outcomes.worst
        var_row, es_row = CONFIDENCES.index(var_level), CONFIDENCES.index(es_level)
        quantile = components.value_at_risk_weights(
            worst, weights.value_at_risk[var_row], weights.neighbourhood[var_row]
        )
        moving = ~outcomes.still[:, None]
        return Gradients(
            components.on_days(worst, moving * quantile, outcomes.days),
            components.on_days(worst, moving * weights.expected_shortfall[es_row], outcomes.days),
        )


#: VaR and ES per unit of volatility, of the methods that rest on the covariance of the window.
OF_COVARIANCE: Final[Mapping[Method, Callable[[float], tuple[float, float]]]] = {
    Method.COVARIANCE: normal_multiples,
    Method.STUDENT_T: student_t_multiples,
}


def _of_sample_covariance(multiples: Callable[[float], tuple[float, float]]) -> Elliptical:
    return Elliptical(
        multiples=multiples,
        volatility=lambda outcomes: outcomes.sample_volatility,
        gradient=lambda outcomes: outcomes.sample_volatility_gradient,
    )


MODELS: Final[Mapping[Method, Model]] = {
    **{method: _of_sample_covariance(multiples) for method, multiples in OF_COVARIANCE.items()},
    Method.EWMA: Elliptical(
        multiples=normal_multiples,
        volatility=lambda outcomes: outcomes.ewma_volatility,
        gradient=lambda outcomes: outcomes.ewma_volatility_gradient,
    ),
    Method.HISTORICAL: Simulated(),
    Method.FILTERED: Simulated(),
}


def scenarios_for(method: Method, sample: Sample) -> Matrix:
    """Return the (T, M) scenario returns that a method rests on."""
    return sample.filtered if method is Method.FILTERED else sample.returns


def _reciprocal(values: Vector) -> Matrix:
    """Return (P, 1) 1/values, 0 where the value is 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)[:, None]
