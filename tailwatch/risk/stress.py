"""Stress: what today's positions would lose if the past came again, the market fell, or its order broke.

Episodes revalue today's positions with the returns of then; a name without prices of then moves with its beta, and
is told apart. Factor shocks move every position by its beta. Volatility shocks scale the scenarios, correlation
shocks the covariance of the window, and the tail figures with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import repeat
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from tailwatch.risk.arrays import Flags, Indices, Matrix, Vector
from tailwatch.risk.coverage import Exposure, exposure_of
from tailwatch.risk.episodes import EpisodeReturns
from tailwatch.risk.results import Caveat, HeadlineFigures, RiskReport, members
from tailwatch.risk.stack import rows_of
from tailwatch.risk.types import Method, RiskInputs, Sample

Basis = Literal["history", "beta", "none"]

#: What a position without prices of its own rests on, by whether it has a beta.
_BASIS: Final[dict[bool, Basis]] = {True: "beta", False: "none"}
#: A return by beta is not below that: a price does not turn negative.
LOWEST_RETURN: Final = -1.0
FACTOR_SHOCKS: Final = (
    ("market-10", "Market falls 10 %", -0.10),
    ("market-20", "Market falls 20 %", -0.20),
    ("market+10", "Market rises 10 %", 0.10),
)
VOLATILITY_SHOCKS: Final = (("volatility-1.5", "Volatility × 1.5", 1.5), ("volatility-2", "Volatility × 2", 2.0))
#: How far each correlation goes from where it is (0) to the extreme (1), and which that is.
CORRELATION_SHOCKS: Final = (
    ("correlation-half", "Correlations halfway to one", 0.5, 1.0),
    ("correlation-one", "All correlations one", 1.0, 1.0),
    ("correlation-zero", "All correlations zero", 1.0, 0.0),
)

NO_BETAS: Final = Caveat("no_betas", "There is no benchmark to measure betas against: what rests on them is missing.")
HEDGED_AWAY: Final = Caveat(
    "hedged_away", "Nothing moved in the window, or all of it cancels out: correlations have nothing to act on."
)


class PositionLoss(NamedTuple):
    """One position in one scenario: its profit and loss in base currency, and what that rests on."""

    ticker: str
    pnl: float | None
    basis: Basis


class WorstDay(NamedTuple):
    """The worst single day of an episode for today's positions."""

    date: date
    pnl: float


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """Today's positions through one episode.

    Attributes:
        key, name, start, end, source: Of the episode.
        pnl: Profit and loss from start to end in base currency, share quantities fixed; None where nothing reaches.
        fraction: Of NAV.
        worst_day: Of the episode, at today's values.
        own: Share of gross exposure with prices of then; the three add up to 1.
        by_beta: Share that moves with its beta.
        missing: Share that stands still, because nothing is known of it.
        positions: Each.
    """

    key: str
    name: str
    start: date
    end: date
    source: str
    pnl: float | None
    fraction: float | None
    worst_day: WorstDay | None
    own: float
    by_beta: float
    missing: float
    positions: tuple[PositionLoss, ...]


@dataclass(frozen=True, slots=True)
class FactorResult:
    """Today's positions after a move of the benchmark; `shock` is its return."""

    key: str
    name: str
    shock: float
    pnl: float | None
    fraction: float | None
    positions: tuple[PositionLoss, ...]


@dataclass(frozen=True, slots=True)
class ShockedFigures:
    """The headline figures after a shock, fractions of NAV. `multiplier` is that of all volatilities, or None."""

    key: str
    name: str
    multiplier: float | None
    figures: HeadlineFigures


@dataclass(frozen=True, slots=True)
class StressReport:
    """Every stress of one portfolio."""

    episodes: tuple[EpisodeResult, ...]
    factors: tuple[FactorResult, ...]
    volatility: tuple[ShockedFigures, ...]
    correlation: tuple[ShockedFigures, ...]
    warnings: tuple[Caveat, ...]


def stress(inputs: RiskInputs, report: RiskReport, episodes: Sequence[EpisodeReturns]) -> StressReport:
    """Put a measured portfolio under stress.

    Args:
        inputs: That it was measured from.
        report: Its measurement.
        episodes: Returns of the sample's instruments, in its order.
    """
    return stress_all([inputs], [report], episodes)[0]


def stress_all(
    everything: Sequence[RiskInputs], reports: Sequence[RiskReport], episodes: Sequence[EpisodeReturns]
) -> list[StressReport]:
    """Put measured portfolios of one sample under stress, those with as many positions in one go.

    Args:
        everything: That they were measured from.
        reports: Their measurements.
        episodes: Returns of the sample's instruments, in its order.
    """
    exposures = [exposure_of(inputs) for inputs in everything]
    alike: dict[int, list[int]] = {}
    for place, exposure in enumerate(exposures):
        alike.setdefault(len(exposure.tickers), []).append(place)
    found: dict[int, StressReport] = {}
    for places in alike.values():
        books = _books(
            everything[places[0]].sample, [exposures[one] for one in places], [reports[one] for one in places]
        )
        found |= dict(zip(places, _stressed(books, episodes), strict=True))
    return [found[place] for place in range(len(everything))]


class _Books(NamedTuple):
    """What every stress of P portfolios with n modelled positions looks at."""

    exposures: Sequence[Exposure]
    reports: Sequence[RiskReport]
    columns: Indices
    """(P, n)"""
    values: Matrix
    """(P, n)"""
    betas: Matrix | None
    """(P, n)"""
    volatilities: Matrix
    """(P, n) daily."""
    scales: Sequence[float | None]
    """1 / NAV; None where fractions of it say nothing."""


def _books(sample: Sample, exposures: Sequence[Exposure], reports: Sequence[RiskReport]) -> _Books:
    columns = np.array([one.columns for one in exposures])
    usable = [report.fractions.annualized_volatility is not None for report in reports]
    return _Books(
        exposures,
        reports,
        columns,
        np.array([one.values for one in exposures]),
        None if sample.betas is None else sample.betas[columns],
        sample.volatilities[columns],
        [1 / one.nav if fine and one.nav > 0 else None for one, fine in zip(exposures, usable, strict=True)],
    )


def _stressed(books: _Books, episodes: Sequence[EpisodeReturns]) -> Iterator[StressReport]:
    by_episode = zip(*[_episode(one, books) for one in episodes], strict=True) if episodes else repeat(())
    by_factor = zip(*[_factor(shock, books) for shock in FACTOR_SHOCKS], strict=True)
    by_correlation = _correlation(books)
    for of_episodes, factors, correlation, exposure, report in zip(
        by_episode, by_factor, by_correlation, books.exposures, books.reports, strict=False
    ):
        warnings = []
        if books.betas is None and exposure.tickers:
            warnings.append(NO_BETAS)
        figures = report.fractions
        if figures.annualized_volatility is not None and correlation[0].figures.annualized_volatility is None:
            warnings.append(HEDGED_AWAY)
        yield StressReport(
            episodes=tuple(of_episodes),
            factors=tuple(factors),
            volatility=tuple(
                ShockedFigures(key, name, multiplier, _scaled(figures, multiplier))
                for key, name, multiplier in VOLATILITY_SHOCKS
            ),
            correlation=correlation,
            warnings=tuple(warnings),
        )


def _episode(returns: EpisodeReturns, books: _Books) -> list[EpisodeResult]:
    values, betas = books.values, books.betas
    known: Flags = returns.known[books.columns]
    total = returns.total[books.columns]
    by_beta: Flags = np.zeros(known.shape, dtype=np.bool_)
    # Of a name that is not known it is zero on every day.
    daily = rows_of(returns.daily, books.columns)
    total_then, daily_then = returns.benchmark_total, returns.benchmark_daily
    if betas is not None and total_then is not None and daily_then is not None and not known.all():
        by_beta = ~known
        total = np.where(by_beta, np.maximum(betas * total_then, LOWEST_RETURN), total)
        daily[by_beta] = np.maximum(np.outer(betas[by_beta], daily_then), LOWEST_RETURN)
    by_day = np.matmul(values[:, None, :], daily)[:, 0, :]
    losses = values * total
    gross = np.array([one.gross for one in books.exposures])
    own, beta = (_shares(values, chosen, gross).tolist() for chosen in (known, by_beta))
    reached = np.any(known | by_beta, axis=1).tolist()
    worst = by_day.argmin(axis=1).tolist() if returns.sessions.size else []
    episode = returns.episode
    found = []
    for row, (exposure, scale) in enumerate(zip(books.exposures, books.scales, strict=True)):
        pnl = float(losses[row].sum()) if reached[row] else None
        day = None
        if reached[row] and worst:
            day = WorstDay(returns.sessions[worst[row]].astype(object), float(by_day[row, worst[row]]))
        found.append(
            EpisodeResult(
                key=episode.key,
                name=episode.name,
                start=episode.start,
                end=episode.end,
                source=episode.source,
                pnl=pnl,
                fraction=None if pnl is None or scale is None else pnl * scale,
                worst_day=day,
                own=own[row],
                by_beta=beta[row],
                missing=max(0.0, 1 - own[row] - beta[row]) if exposure.gross else 0.0,
                positions=_positions(exposure, losses[row], known[row], by_beta[row]),
            )
        )
    return found


def _shares(values: Matrix, chosen: Flags, gross: Vector) -> Vector:
    """Return (P,) shares of gross exposure; 0 where nothing is held."""
    amounts = np.abs(values).sum(axis=1, where=chosen)
    shares: Vector = np.divide(amounts, gross, out=np.zeros_like(gross), where=gross > 0)
    return shares


def _positions(exposure: Exposure, losses: Vector, known: Flags, by_beta: Flags) -> tuple[PositionLoss, ...]:
    """Return the losses of all positions, the modelled ones in the order of the arrays, largest value first."""
    modelled = [
        PositionLoss(ticker, loss, "history") if own else PositionLoss(ticker, loss if beta else None, _BASIS[beta])
        for ticker, loss, own, beta in zip(
            exposure.tickers, losses.tolist(), known.tolist(), by_beta.tolist(), strict=True
        )
    ]
    if len(modelled) == len(exposure.holdings):
        return tuple(modelled)
    by_ticker = {one.ticker: one for one in modelled}
    return tuple(by_ticker.get(one.ticker) or PositionLoss(one.ticker, None, "none") for one in exposure.holdings)


def _factor(chosen: tuple[str, str, float], books: _Books) -> list[FactorResult]:
    key, name, shock = chosen
    none = np.zeros(books.values.shape[1], dtype=np.bool_)
    if books.betas is None or not none.size:
        return [
            FactorResult(key, name, shock, None, None, _positions(exposure, values, none, none))
            for exposure, values in zip(books.exposures, books.values, strict=True)
        ]
    losses = books.values * np.maximum(books.betas * shock, LOWEST_RETURN)
    found = []
    for exposure, own, scale in zip(books.exposures, losses, books.scales, strict=True):
        pnl = float(own.sum())
        fraction = None if scale is None else pnl * scale
        found.append(FactorResult(key, name, shock, pnl, fraction, _positions(exposure, own, none, ~none)))
    return found


def _correlation(books: _Books) -> Iterator[tuple[ShockedFigures, ...]]:
    """Yield the figures in proportion to the volatility that the shocked correlations give.

    Each correlation moves by a share of the way to the extreme, so the variance does as well: from v'Σv towards
    (Σ vσ)², which all ones give, or Σ (vσ)², which all zeros give. A book that is hedged away has no volatility for
    its figures to be in proportion to: they are None.
    """
    moves = books.values * books.volatilities
    all_one, all_zero = (moves.sum(axis=1) ** 2).tolist(), (moves * moves).sum(axis=1).tolist()
    for report, one, zero in zip(books.reports, all_one, all_zero, strict=True):
        # That of the window as it is, whatever the estimator and the headline method.
        of_window = report.methods.get(Method.HISTORICAL)
        variance = ((of_window and of_window.amounts.volatility_1d) or 0.0) ** 2
        shocked = []
        for key, name, way, extreme in CORRELATION_SHOCKS:
            goal = one if extreme else zero
            ratio = math.sqrt(((1 - way) * variance + way * goal) / variance) if variance > 0 else None
            shocked.append(ShockedFigures(key, name, None, _scaled(report.fractions, ratio)))
        yield tuple(shocked)


def _scaled(figures: HeadlineFigures, factor: float | None) -> HeadlineFigures:
    if factor is None:
        return HeadlineFigures()
    return HeadlineFigures(
        **{name: None if value is None else value * factor for name, value in members(figures).items()}
    )


def to_json_dict(report: StressReport) -> dict[str, Any]:
    """Return the report as plain JSON values, days as dates, under the field names of the HTTP contract."""
    return {
        "episodes": [_episode_json(one) for one in report.episodes],
        "factors": [_factor_json(one) for one in report.factors],
        "volatility": [_figures_json(one) | {"multiplier": one.multiplier} for one in report.volatility],
        "correlation": [_figures_json(one) for one in report.correlation],
        "warnings": [{"code": warning.code, "message": warning.message} for warning in report.warnings],
    }


# Written out: `asdict` copies every position of every scenario, and takes ten times as long as the stress itself.
def _episode_json(one: EpisodeResult) -> dict[str, Any]:
    return {
        "key": one.key,
        "name": one.name,
        "from": one.start,
        "to": one.end,
        "source": one.source,
        "pnl": one.pnl,
        "fraction": one.fraction,
        "worst_day": None if one.worst_day is None else {"date": one.worst_day.date, "pnl": one.worst_day.pnl},
        "own": one.own,
        "by_beta": one.by_beta,
        "missing": one.missing,
        "positions": _positions_json(one.positions),
    }


def _factor_json(one: FactorResult) -> dict[str, Any]:
    return {
        "key": one.key,
        "name": one.name,
        "shock": one.shock,
        "pnl": one.pnl,
        "fraction": one.fraction,
        "positions": _positions_json(one.positions),
    }


def _positions_json(positions: Sequence[PositionLoss]) -> list[dict[str, Any]]:
    return [{"ticker": ticker, "pnl": pnl, "basis": basis} for ticker, pnl, basis in positions]


def _figures_json(one: ShockedFigures) -> dict[str, Any]:
    return {"key": one.key, "name": one.name, **members(one.figures)}
