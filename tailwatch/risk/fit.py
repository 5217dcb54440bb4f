"""Finding the coefficients of the volatility model: pooled maximum likelihood over a universe of instruments.

Every instrument has the same ten coefficients (Bollerslev, Hood, Huss & Pedersen 2018), and each day's return is
taken as Student-t with 6 degrees of freedom around zero at the variance that the model expects, so that a crash does
not decide alone. The averages that the variance is made of know the days before only; every run gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from tailwatch.errors import TooLittleHistoryError
from tailwatch.risk.arrays import Indices, Matrix, Vector
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.volatility import DOWNSIDE_SPANS, LONG_SPAN, SQUARE_SPANS, Measure, VolatilityModel, features

#: Degrees of freedom of the Student-t.
DEGREES_OF_FREEDOM: Final = 6
#: Returns in a row that an instrument needs to be fitted on: the model's longest average.
FEWEST_RETURNS: Final = 750
#: Days of returns that are learned from at most; beyond that every second, third … day of each instrument is.
MOST_OBSERVATIONS: Final = 1_000_000

#: Variance, as a share of the instrument's long-run one, that keeps the likelihood finite where the model says zero.
_FLOOR: Final = 1e-9
#: Relative change of the likelihood at which the search ends.
_TOLERANCE: Final = 1e-12
#: Digits after the point that coefficients are rounded to, far below their standard errors.
_DIGITS: Final = 6
_LONG: Final = SQUARE_SPANS.index(LONG_SPAN)


@dataclass(frozen=True, eq=False)
class Observations:
    """Days of returns of many instruments, each with the terms of its variance, in units of its long-run variance.

    Attributes:
        days: (n,) row of the returns.
        terms: (n, 10) in the order of the coefficients; the long-run average is 1.
        squares: (n,) squared returns.
        instruments: How many were taken.
    """

    days: Indices
    terms: Matrix
    squares: Vector
    instruments: int

    def between(self, first: int, end: int) -> Observations:
        """Return those of the days from `first` on and before `end`."""
        inside = (self.days >= first) & (self.days < end)
        return Observations(self.days[inside], self.terms[inside], self.squares[inside], self.instruments)


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Attributes:
        model: The coefficients.
        log_likelihood: Mean of a day of one instrument, in units of the instrument's long-run volatility.
        observations: Days of returns learned from.
        instruments: How many.
    """

    model: VolatilityModel
    log_likelihood: float
    observations: int
    instruments: int


def observe(returns: Matrix, market: Vector | None = None, ranges: Matrix | None = None) -> Observations:
    """Return what coefficients can be learned from: all days that have 250 before them.

    Of each instrument the longest run without a missing return counts; one of fewer than 750 returns, or of a price
    that never moved, is left out.

    Args:
        returns: (T, N) simple daily returns, newest last; NaN where an instrument has none.
        market: (T,) returns of the market; by default the mean of all instruments that have one on the day.
        ranges: (T, N) variances of the days, for a model that measures by range; NaN where not known.

    Raises:
        TooLittleHistoryError: no instrument has enough of them.
    """
    known = np.isfinite(returns)
    market = mean_market(returns) if market is None else market
    runs = sorted((_longest_run(known[:, column]), column) for column in range(returns.shape[1]))
    runs = [one for one in runs if one[0][1] - one[0][0] >= FEWEST_RETURNS]
    every = math.ceil(sum(end - first - SEED_DAYS for (first, end), _ in runs) / MOST_OBSERVATIONS)
    parts, instruments = [], 0
    for (first, end), some in groupby(runs, key=lambda one: one[0]):
        # One at a time: the ten terms of many instruments at once would not fit into the memory.
        for _, column in some:
            own = None if ranges is None else ranges[first:end, column]
            part = _observe_one(returns[first:end, column], market[first:end], every, own)
            instruments += part[0].size > 0
            parts.append((part[0] + first, *part[1:]))
    if not instruments:
        raise TooLittleHistoryError(
            f"Coefficients are learned from instruments with at least {FEWEST_RETURNS} daily returns in a row; "
            "there is none."
        )
    days, terms, squares = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Observations(days, terms, squares, instruments)


def mean_market(returns: Matrix) -> Vector:
    """Return (T,) the mean of the (T, N) returns that are known on each day; 0 where none is."""
    known = np.isfinite(returns)
    mean: Vector = np.where(known, returns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean


def fit(observations: Observations, provenance: Mapping[str, str] | None = None, measure: Measure = "squares") -> Fit:
    """Return the non-negative coefficients under which the observations are most likely.

    Args:
        observations: Of `observe`.
        provenance: What to write into the model.
        measure: What they were observed by.

    Raises:
        TooLittleHistoryError: there is no observation.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - 40 MB that only a fit needs

    if not observations.days.size:
        raise TooLittleHistoryError("There is no day to learn coefficients from.")
    size = len(SQUARE_SPANS) + 2 * len(DOWNSIDE_SPANS)
    found = minimize(
        loss_and_gradient,
        np.full(size, 1 / size),
        args=(observations,),
        method="L-BFGS-B",
        jac=True,
        bounds=[(0.0, None)] * size,
        options={"ftol": _TOLERANCE, "gtol": 1e-9, "maxiter": 1000, "maxfun": 5000},
    )
    model = VolatilityModel.of([round(float(value), _DIGITS) for value in found.x], provenance, measure)
    return Fit(model, log_likelihood(model, observations), observations.days.size, observations.instruments)


def log_likelihood(model: VolatilityModel, observations: Observations) -> float:
    """Return the mean log-likelihood of a day of one instrument, in units of its long-run volatility."""
    return -loss_and_gradient(np.array(model.coefficients), observations)[0]


def loss_and_gradient(coefficients: Vector, observations: Observations) -> tuple[float, Vector]:
    """Return the mean negative log-likelihood and its (10,) derivatives.

    With h the variance and ν = 6: −ln Γ((ν+1)/2) + ln Γ(ν/2) + ½ ln(π(ν−2)h) + (ν+1)/2 · ln(1 + r²/((ν−2)h)).

    Args:
        coefficients: (10,) non-negative.
        observations: At least one.
    """
    degrees = DEGREES_OF_FREEDOM
    variances = observations.terms @ coefficients + _FLOOR
    scale = (degrees - 2) * variances
    losses = 0.5 * np.log(variances) + (degrees + 1) / 2 * np.log1p(observations.squares / scale)
    constant = math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2) + 0.5 * math.log(math.pi * (degrees - 2))
    slopes = (1 - (degrees + 1) * observations.squares / (scale + observations.squares)) / (2 * variances)
    return float(losses.mean()) + constant, slopes @ observations.terms / losses.size


def _observe_one(
    returns: Vector, market: Vector, every: int, ranges: Vector | None
) -> tuple[Indices, Matrix, Vector]:
    """Return days, terms and squares of one instrument, in units of its long-run variance."""
    days = np.arange(SEED_DAYS, len(returns), every)
    own = None if ranges is None else ranges[:, None]
    terms = np.column_stack([term[days, 0] for term in features(returns[:, None], market, own)])
    long_run = terms[:, _LONG]
    moving = long_run > 0
    days, terms, long_run = days[moving], terms[moving], long_run[moving]
    return days, terms / long_run[:, None], returns[days] ** 2 / long_run


def _longest_run(known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[int, int]:
    """Return the first row of the longest run of True, and the row behind it; of equal ones the newest."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False]))))
    if not edges.size:
        return 0, 0
    firsts, ends = edges[::2], edges[1::2]
    best = len(firsts) - 1 - int((ends - firsts)[::-1].argmax())
    return int(firsts[best]), int(ends[best])
