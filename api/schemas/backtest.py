"""The backtests of a portfolio: of its positions on their history, and of what was served."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from api.schemas.base import Moment, Output
from api.schemas.risk import Method
from api.schemas.risk import Warning as RiskWarning

BacktestState = Literal["none", "computing", "ready", "failed"]


class TrafficLight(Output):
    """Basel's zones over all runs of 250 days: shares of them, and the last one."""

    green: float
    yellow: float
    red: float
    last: Literal["green", "yellow", "red"]
    last_exceedances: int


class BacktestScores(Output):
    """How one method did at one level. A p-value is that of the forecasts being right."""

    n: int = Field(description="Days tested.")
    exceedances: int = Field(description="Days whose loss was larger than the value at risk.")
    exceedance_rate: float
    pinball: float = Field(description="Mean; lower is better.")
    fz0: float | None = Field(description="Mean score of value at risk and expected shortfall; lower is better.")
    kupiec_p: float | None
    independence_p: float | None
    conditional_coverage_p: float | None
    traffic_light: TrafficLight | None
    z2: float | None = Field(description="Acerbi and Székely's; below zero the expected shortfall was too small.")
    reasons: dict[str, str] | None = Field(default=None, description="Why a figure is null, by its name.")


class BacktestSeries(Output):
    """The headline method, day by day; fractions of net asset value."""

    dates: list[date]
    pnl: list[float]
    var_95_1d: list[float]
    var_99_1d: list[float]


class ServedDay(Output):
    """What was served for one session, and what it brought to exactly those positions."""

    day: date
    as_of: date = Field(description="The price day that the figures rested on.")
    method: Method
    var_95_1d: float
    var_99_1d: float
    es_975_1d: float
    pnl: float
    exceeded_95: bool
    exceeded_99: bool


class Served(Output):
    """The live backtest."""

    n: int
    exceedances: int = Field(description="Of the 95 % value at risk.")
    rate: float | None
    exceedances_99: int
    rate_99: float | None
    days: list[ServedDay] = Field(description="Oldest first, the last thousand at most.")


class Backtest(Output):
    """The newest backtest of the portfolio's positions that was made, and the live one."""

    state: BacktestState = Field(description="`computing`: a newer one is on its way.")
    reason: str | None = Field(description="Why it failed.")
    snapshot_id: int | None = Field(description="The snapshot whose positions were tested.")
    as_of: date | None
    computed_at: Moment | None
    method: Method | None = Field(description="Of the series: the headline method.")
    start: date | None
    end: date | None
    methods: dict[Method, dict[str, BacktestScores]] = Field(description="By method and level: 95, 97.5, 99.")
    series: BacktestSeries | None
    warnings: list[RiskWarning]
    live: Served


class BacktestWanted(Output):
    """A backtest is wanted."""

    state: BacktestState
