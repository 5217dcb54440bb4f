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
from typing import Final, Literal

import numpy as np

from tailwatch.errors import InvalidModelError
from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.averages import exponential_averages
from tailwatch.risk.ranges import measures

#: Centres of mass, in days, of the exponential averages of squared returns, and of those of squared falls.
SQUARE_SPANS: Final = (1, 5, 22, 66, 250, 750)
DOWNSIDE_SPANS: Final = (1, 8)
#: The long average that the market term is scaled by.
LONG_SPAN: Final = 750
_SPANS: Final = (*SQUARE_SPANS, *DOWNSIDE_SPANS)
_LONG: Final = SQUARE_SPANS.index(LONG_SPAN)
#: Decay of the plain exponential average that stands in where history is too short for the model.
FALLBACK_DECAY: Final = 0.94

#: What stands for the variance of a past day.
Measure = Literal["squares", "range"]


@dataclass(frozen=True)
class VolatilityModel:
    """Ten non-negative coefficients, and where they come from.

    Attributes:
        squares: Of the averages of r² over `SQUARE_SPANS`.
        downside: Of the averages of r² on falling days over `DOWNSIDE_SPANS`.
        market: Of the market's falls over `DOWNSIDE_SPANS`, scaled to the instrument's own long-run variance.
        provenance: How they were found: data, dates, method. Changes no figure.
        measure: What the averages of an instrument's own past are made of: squared returns, or where open, high and
            low are known, the variance of the night and of the day's range (`tailwatch.risk.ranges`).

    Raises:
        InvalidModelError: a coefficient is missing, negative or not finite, or all of them are zero.
    """

    squares: tuple[float, ...]
    downside: tuple[float, ...]
    market: tuple[float, ...]
    provenance: Mapping[str, str] = field(default_factory=dict, compare=False)
    measure: Measure = "squares"

    def __post_init__(self) -> None:
        lengths = (len(self.squares), len(self.downside), len(self.market))
        if lengths != (len(SQUARE_SPANS), len(DOWNSIDE_SPANS), len(DOWNSIDE_SPANS)):
            raise InvalidModelError(
                f"A volatility model has {len(SQUARE_SPANS)} + {len(DOWNSIDE_SPANS)} + {len(DOWNSIDE_SPANS)} "
                f"coefficients, not {' + '.join(map(str, lengths))}."
            )
        if self.measure not in {"squares", "range"}:
            raise InvalidModelError(f"A volatility model measures by squares or range, not by {self.measure}.")
        values = np.array(self.coefficients)
        if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
            raise InvalidModelError("The coefficients of a volatility model are non-negative and not all zero.")

    @classmethod
    def of(
        cls,
        coefficients: Sequence[float],
        provenance: Mapping[str, str] | None = None,
        measure: Measure = "squares",
    ) -> VolatilityModel:
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
            measure,
        )

    @property
    def coefficients(self) -> tuple[float, ...]:
        """All ten, in the order of `features`."""
        return (*self.squares, *self.downside, *self.market)

    @property
    def digest(self) -> str:
        """SHA-256 of the coefficients and the measure: equal models have equal digests, whatever their provenance."""
        content: list[float | str] = [float(value) for value in self.coefficients]
        if self.measure != "squares":
            content.append(self.measure)
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def features(returns: Matrix, market: Vector, ranges: Matrix | None = None) -> list[Matrix]:
    """Return the ten (T+1, M) terms whose weighted sum is the variance, in the order of the coefficients.

    Args:
        returns: (T, M) simple daily returns, newest last.
        market: (T,) the market's returns.
        ranges: (T, M) of `range_variances`, NaN where not known; None: squared returns alone.
    """
    squares = returns * returns if ranges is None else measures(returns, ranges)
    # The market stands beside the instruments, and all averages are taken in one go.
    both = np.column_stack([squares, market**2])
    falling = np.column_stack([returns < 0, market < 0])
    values = np.empty((len(both), len(_SPANS), both.shape[1]))
    values[:, : len(SQUARE_SPANS)] = both[:, None]
    values[:, len(SQUARE_SPANS) :] = np.where(falling, both, 0.0)[:, None]
    averages = exponential_averages(values, np.array(_SPANS, dtype=np.float64)[:, None])
    terms = [averages[:, row, :-1] for row in range(len(_SPANS))]
    own, whole = averages[:, _LONG, :-1], averages[:, _LONG, -1:]
    for row in range(len(SQUARE_SPANS), len(_SPANS)):
        part = averages[:, row, -1:]
        # A market that never moved has no falls either.
        terms.append(own * np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))
    return terms


def conditional_variances(
    returns: Matrix, market: Vector, model: VolatilityModel, ranges: Matrix | None = None
) -> Matrix:
    """Return the (T+1, M) daily variances that the model expects.

    Row s is the forecast for day s from the days before it; row T is the next day's. The first 250 rows know
    what they forecast and are of no use.

    Args:
        returns: (T, M) simple daily returns, newest last.
        market: (T,) the market's returns.
        model: The coefficients.
        ranges: (T, M) of `range_variances`, NaN where not known. Only a model that measures by range looks at them.
    """
    variances = np.zeros((len(returns) + 1, returns.shape[1]))
    terms = features(returns, market, ranges if model.measure == "range" else None)
    for coefficient, term in zip(model.coefficients, terms, strict=True):
        if coefficient:
            variances += coefficient * term
    return variances


def ewma_variance_path(returns: Matrix, decay: float = FALLBACK_DECAY, seed: int = 20) -> Matrix:
    """Return (T+1, M) daily variances by one exponential average, mean zero (RiskMetrics 1996).

    Row s is the forecast for day s from the days before it; the first `seed` rows are the mean of the first squares.
    """
    return exponential_averages(returns * returns, decay / (1 - decay), seed)
