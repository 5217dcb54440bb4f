"""The variance that each instrument is expected to have the next day, from its own past and the market's.

A long-memory model after Corsi (2009): a weighted sum of exponential averages of squared returns over a day, a week,
a month, a quarter, a year and three years, with leverage terms (squares of falls, of the instrument's own and of the
market) and one set of coefficients for every instrument, pooled after Bollerslev, Hood, Huss & Pedersen (2018).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tailwatch.errors import InvalidModelError
from tailwatch.risk.arrays import Matrix, Vector

#: Centres of mass, in days, of the exponential averages of squared returns, and of those of squared falls.
SQUARE_SPANS: Final = (1, 5, 22, 66, 250, 750)
DOWNSIDE_SPANS: Final = (1, 8)
#: The long average that the market term is scaled by.
LONG_SPAN: Final = 750
#: An average starts from the mean of that many values; forecasts before that day rest on what came later.
SEED_DAYS: Final = 250
#: Decay of the plain exponential average that stands in where history is too short for the model.
FALLBACK_DECAY: Final = 0.94

#: Rows of one step of the recursion: a triangular product instead of that many steps in Python.
_BLOCK: Final = 64


@dataclass(frozen=True)
class VolatilityModel:
    """Ten non-negative coefficients, and where they come from.

    Attributes:
        squares: Of the averages of r² over `SQUARE_SPANS`.
        downside: Of the averages of r² on falling days over `DOWNSIDE_SPANS`.
        market: Of the market's falls over `DOWNSIDE_SPANS`, scaled to the instrument's own long-run variance.
        provenance: How they were found: data, dates, method. Changes no figure.

    Raises:
        InvalidModelError: a coefficient is missing, negative or not finite, or all of them are zero.
    """

    squares: tuple[float, ...]
    downside: tuple[float, ...]
    market: tuple[float, ...]
    provenance: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        lengths = (len(self.squares), len(self.downside), len(self.market))
        if lengths != (len(SQUARE_SPANS), len(DOWNSIDE_SPANS), len(DOWNSIDE_SPANS)):
            raise InvalidModelError(
                f"A volatility model has {len(SQUARE_SPANS)} + {len(DOWNSIDE_SPANS)} + {len(DOWNSIDE_SPANS)} "
                f"coefficients, not {' + '.join(map(str, lengths))}."
            )
        values = np.array(self.coefficients)
        if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
            raise InvalidModelError("The coefficients of a volatility model are non-negative and not all zero.")

    @classmethod
    def of(cls, coefficients: Sequence[float], provenance: Mapping[str, str] | None = None) -> VolatilityModel:
        """Return the model of ten coefficients in the order of `features`.

        Raises:
            InvalidModelError: they are none.
        """
        squares, falls = len(SQUARE_SPANS), len(DOWNSIDE_SPANS)
        return cls(
            tuple(coefficients[:squares]),
            tuple(coefficients[squares : squares + falls]),
            tuple(coefficients[squares + falls :]),
            dict(provenance or {}),
        )

    @property
    def coefficients(self) -> tuple[float, ...]:
        """All ten, in the order of `features`."""
        return (*self.squares, *self.downside, *self.market)

    @property
    def digest(self) -> str:
        """SHA-256 of the coefficients: equal models have equal digests, whatever their provenance."""
        return hashlib.sha256(json.dumps([float(value) for value in self.coefficients]).encode()).hexdigest()


def exponential_averages(values: Matrix, span: float, seed: int = SEED_DAYS) -> Matrix:
    """Return the (T+1, M) exponential averages of (T, M) values with centre of mass `span` days.

    Row s rests on the rows before s only: e ← λe + (1−λ)x with λ = span/(1+span), from the mean of the first `seed`
    values on. Rows up to `seed` are that mean. With fewer than `seed` rows all of them are the seed.
    """
    days, seed = len(values), min(seed, len(values))
    averages = np.empty((days + 1, *values.shape[1:]))
    if not days:
        averages[:] = 0.0
        return averages
    averages[: seed + 1] = values[:seed].mean(axis=0)
    decay = span / (1 + span)
    ages = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
    weights = np.where(ages >= 0, (1 - decay) * decay ** np.maximum(ages, 0), 0.0)
    carried = (decay ** np.arange(1, _BLOCK + 1))[:, None]
    for start in range(seed, days, _BLOCK):
        block = values[start : start + _BLOCK]
        size = len(block)
        averages[start + 1 : start + size + 1] = weights[:size, :size] @ block + carried[:size] * averages[start]
    return averages


def features(returns: Matrix, market: Vector) -> list[Matrix]:
    """Return the ten (T+1, M) terms whose weighted sum is the variance, in the order of the coefficients.

    Args:
        returns: (T, M) simple daily returns, newest last.
        market: (T,) the market's returns.
    """
    squares = returns * returns
    falls = np.where(returns < 0, squares, 0.0)
    market_squares = market[:, None] ** 2
    market_falls = np.where(market[:, None] < 0, market_squares, 0.0)
    terms = [exponential_averages(squares, span) for span in SQUARE_SPANS]
    terms += [exponential_averages(falls, span) for span in DOWNSIDE_SPANS]
    own = terms[SQUARE_SPANS.index(LONG_SPAN)]
    whole = exponential_averages(market_squares, LONG_SPAN)
    for span in DOWNSIDE_SPANS:
        part = exponential_averages(market_falls, span)
        # A market that never moved has no falls either.
        terms.append(own * np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))
    return terms


def conditional_variances(returns: Matrix, market: Vector, model: VolatilityModel) -> Matrix:
    """Return the (T+1, M) daily variances that the model expects.

    Row s is the forecast for day s from the days before it; row T is the next day's. The first `SEED_DAYS` rows know
    what they forecast and are of no use.

    Args:
        returns: (T, M) simple daily returns, newest last.
        market: (T,) the market's returns.
        model: The coefficients.
    """
    variances = np.zeros((len(returns) + 1, returns.shape[1]))
    for coefficient, term in zip(model.coefficients, features(returns, market), strict=True):
        if coefficient:
            variances += coefficient * term
    return variances


def ewma_variance_path(returns: Matrix, decay: float = FALLBACK_DECAY, seed: int = 20) -> Matrix:
    """Return (T+1, M) daily variances by one exponential average, mean zero (RiskMetrics 1996).

    Row s is the forecast for day s from the days before it; the first `seed` rows are the mean of the first squares.
    """
    return exponential_averages(returns * returns, decay / (1 - decay), seed)
