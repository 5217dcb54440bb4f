"""Stress: what today's positions would lose if the past came again, the market fell, or its order broke.

Episodes revalue today's positions with the returns of then; a name without prices of then moves with its beta, and
is told apart. Factor shocks move every position by its beta. Volatility shocks scale the scenarios, correlation
shocks the covariance of the window, and the tail figures with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from tailwatch.risk.arrays import Flags, Vector
from tailwatch.risk.coverage import Exposure, exposure_of
from tailwatch.risk.episodes import EpisodeReturns
from tailwatch.risk.methods import simulate
from tailwatch.risk.results import Caveat, HeadlineFigures, RiskReport, members
from tailwatch.risk.types import RiskInputs, Sample

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
    book = _book(inputs, report)
    correlation = _correlation(inputs.sample, book, report.fractions)
    warnings = []
    if book.betas is None and book.exposure.tickers:
        warnings.append(NO_BETAS)
    if report.fractions.annualized_volatility is not None and correlation[0].figures.annualized_volatility is None:
        warnings.append(HEDGED_AWAY)
    return StressReport(
        episodes=tuple(_episode(one, book) for one in episodes),
        factors=tuple(_factor(shock, book) for shock in FACTOR_SHOCKS),
        volatility=tuple(
            ShockedFigures(key, name, multiplier, _scaled(report.fractions, multiplier))
            for key, name, multiplier in VOLATILITY_SHOCKS
        ),
        correlation=correlation,
        warnings=tuple(warnings),
    )


class _Book(NamedTuple):
    """What every stress looks at."""

    exposure: Exposure
    on_columns: Vector
    """(M,) market values on the columns of the sample."""
    betas: Vector | None
    """Of the modelled positions, in the order of the exposure."""
    scale: float | None
    """1 / NAV; None where fractions of it say nothing."""


def _book(inputs: RiskInputs, report: RiskReport) -> _Book:
    exposure, sample = exposure_of(inputs), inputs.sample
    on_columns = np.zeros(len(sample.tickers))
    on_columns[exposure.columns] = exposure.values
    usable = report.fractions.annualized_volatility is not None and exposure.nav > 0
    return _Book(
        exposure,
        on_columns,
        None if sample.betas is None else sample.betas[exposure.columns],
        1 / exposure.nav if usable else None,
    )


def _episode(returns: EpisodeReturns, book: _Book) -> EpisodeResult:
    exposure, values = book.exposure, book.exposure.values
    known, total = returns.known[exposure.columns], returns.total[exposure.columns]
    by_beta = np.zeros_like(known)
    # Of a name that is not known it is zero on every day.
    by_day = returns.daily @ book.on_columns
    betas, total_then, daily_then = book.betas, returns.benchmark_total, returns.benchmark_daily
    if betas is not None and total_then is not None and daily_then is not None and not known.all():
        by_beta = ~known
        total = np.where(by_beta, np.maximum(betas * total_then, LOWEST_RETURN), total)
        moved = np.maximum(np.outer(daily_then, betas[by_beta]), LOWEST_RETURN)
        by_day = by_day + moved @ values[by_beta]
    own_share, beta_share = _share(exposure, values, known), _share(exposure, values, by_beta)
    reached = bool((known | by_beta).any())
    losses = values * total
    pnl = float(losses.sum()) if reached else None
    worst = None
    if reached and returns.sessions.size:
        place = int(by_day.argmin())
        worst = WorstDay(returns.sessions[place].astype(object), float(by_day[place]))
    episode = returns.episode
    return EpisodeResult(
        key=episode.key,
        name=episode.name,
        start=episode.start,
        end=episode.end,
        source=episode.source,
        pnl=pnl,
        fraction=None if pnl is None or book.scale is None else pnl * book.scale,
        worst_day=worst,
        own=own_share,
        by_beta=beta_share,
        missing=max(0.0, 1 - own_share - beta_share) if exposure.gross else 0.0,
        positions=_positions(exposure, losses, known, by_beta),
    )


def _share(exposure: Exposure, values: Vector, chosen: Flags) -> float:
    return float(np.abs(values[chosen]).sum()) / exposure.gross if exposure.gross else 0.0


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


def _factor(chosen: tuple[str, str, float], book: _Book) -> FactorResult:
    key, name, shock = chosen
    exposure = book.exposure
    none = np.zeros(exposure.values.size, dtype=np.bool_)
    if book.betas is None or not book.betas.size:
        return FactorResult(key, name, shock, None, None, _positions(exposure, exposure.values, none, none))
    losses = exposure.values * np.maximum(book.betas * shock, LOWEST_RETURN)
    pnl = float(losses.sum())
    fraction = None if book.scale is None else pnl * book.scale
    return FactorResult(key, name, shock, pnl, fraction, _positions(exposure, losses, none, ~none))


def _correlation(sample: Sample, book: _Book, figures: HeadlineFigures) -> tuple[ShockedFigures, ...]:
    """Return the figures in proportion to the volatility that the shocked correlations give.

    Each correlation moves by a share of the way to the extreme, so the variance does as well: from v'Σv towards
    (Σ vσ)², which all ones give, or Σ (vσ)², which all zeros give. A book that is hedged away has no volatility for
    its figures to be in proportion to: they are None.
    """
    moves = book.on_columns * sample.volatilities
    variance = 0.0
    if book.exposure.columns.size:
        # Zero, and not what rounding leaves, where everything is hedged away.
        outcomes = simulate(book.on_columns[None, :], sample.returns, sample.volatilities)
        variance = float(outcomes.sample_volatility[0]) ** 2
    shocked = []
    for key, name, way, extreme in CORRELATION_SHOCKS:
        goal = float(moves.sum()) ** 2 if extreme else float(moves @ moves)
        ratio = math.sqrt(((1 - way) * variance + way * goal) / variance) if variance > 0 else None
        shocked.append(ShockedFigures(key, name, None, _scaled(figures, ratio)))
    return tuple(shocked)


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
