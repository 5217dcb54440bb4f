"""Stress: today's positions in past episodes and under shocks."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from api.schemas.base import Output
from api.schemas.risk import TailFigures
from api.schemas.risk import Warning as RiskWarning


class StressPosition(Output):
    """One position in one scenario."""

    ticker: str
    pnl: float | None = Field(description="Profit and loss in the base currency.")
    basis: Literal["history", "beta", "none"] = Field(
        description="What it rests on: its own prices of then, its beta times the benchmark's return, or nothing."
    )


class WorstDay(Output):
    """The worst single day of an episode for today's positions."""

    date: date
    pnl: float


class StressEpisode(Output):
    """Today's positions through one stretch of the past."""

    key: str
    name: str
    from_: date = Field(alias="from", description="The close before it began.")
    to: date = Field(description="Its last close.")
    source: str = Field(description="Where the days are from.")
    pnl: float | None = Field(description="In the base currency; null where no price reaches back.")
    fraction: float | None = Field(description="Of net asset value.")
    worst_day: WorstDay | None
    own: float = Field(description="Share of gross exposure with prices of then; the three add up to 1.")
    by_beta: float = Field(description="Share that moves with its beta.")
    missing: float = Field(description="Share that nothing is known of.")
    positions: list[StressPosition]


class StressFactor(Output):
    """Today's positions after a move of the benchmark, by their betas."""

    key: str
    name: str
    shock: float = Field(description="The benchmark's return.")
    pnl: float | None
    fraction: float | None
    positions: list[StressPosition]


class StressShock(TailFigures):
    """The headline figures after a shock, fractions of net asset value."""

    key: str
    name: str
    annualized_volatility: float | None


class VolatilityShock(StressShock):
    """All volatilities times the multiplier."""

    multiplier: float


class Stress(Output):
    """What the newest snapshot's positions would lose."""

    snapshot_id: int | None
    as_of: date | None
    base_currency: str | None
    nav: float | None
    episodes: list[StressEpisode]
    factors: list[StressFactor]
    volatility: list[VolatilityShock]
    correlation: list[StressShock]
    warnings: list[RiskWarning]
