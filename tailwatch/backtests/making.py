"""Making the rolling backtest of a stored portfolio: its positions of today on every day of their history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import Connection

from tailwatch.backtests.jobs import Job
from tailwatch.errors import TooLittleHistoryError
from tailwatch.market.history import load_series
from tailwatch.measurement.holding import Holding, is_valued, market_value
from tailwatch.measurement.inputs import cash_of, holdings_of, model_of
from tailwatch.measurement.series import cut
from tailwatch.risk import Method, PriceSeries, Sample, Status, align
from tailwatch.risk import backtest as rolling
from tailwatch.risk.arrays import Vector
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.backtest.filtered import variance_path
from tailwatch.risk.currency import in_currency, of_cash
from tailwatch.risk.types import CONFIDENCES
from tailwatch.risk.volatility import VolatilityModel

#: Returns that are loaded at most: some ten years.
MOST_DAYS: Final = 2500
#: Days that every method has seen before the first forecast, where history reaches: the window of most portfolios …
WARM_UP: Final = 500
#: … else what the volatility model starts from, if that leaves so many days to test.
FEWEST_DAYS: Final = 60
#: Digits of a figure of the chart.
_DIGITS: Final = 6


@dataclass(frozen=True)
class Loaded:
    """What a backtest rests on."""

    values: dict[str, float]
    #: Base currency.
    cash: float
    series: list[PriceSeries]
    benchmark: PriceSeries | None
    method: Method
    window: int
    model: VolatilityModel
    left_out: tuple[str, ...]


def load(connection: Connection, job: Job) -> Loaded:
    """Read the prices of the positions that the job's snapshot had, up to its day."""
    document = orjson.loads(job.inputs)
    holdings, benchmark = holdings_of(document)
    model = model_of(document)
    valued = [one for one in holdings if is_valued(one)]
    everything = [*valued, *filter(None, [benchmark])]
    rates = {one.rate_id for one in everything if one.rate_id is not None}
    wanted = {one.instrument_id for one in everything if one.instrument_id > 0} | rates
    found = load_series(connection, list(wanted), with_ranges=model.measure == "range")

    def history(one: Holding) -> PriceSeries | None:
        local, rate = found.get(one.instrument_id), found.get(one.rate_id or 0)
        if one.instrument_id < 0:
            series = None if rate is None else of_cash(one.ticker, rate)
        elif one.rate_id is None or local is None:
            series = local
        else:
            series = None if rate is None else in_currency(local, rate)
        return None if series is None else cut(series, job.as_of)

    return Loaded(
        values={one.ticker: float(market_value(one)) for one in valued},
        cash=float(cash_of(document) or 0),
        series=[known for one in valued if (known := history(one)) is not None],
        benchmark=None if benchmark is None else history(benchmark),
        method=Method(document["parameters"]["method"]),
        window=document["parameters"]["window"],
        model=model,
        left_out=tuple(one.ticker for one in holdings if one not in valued),
    )


def make(loaded: Loaded) -> bytes:
    """Return the stored part of the answer: scores of every method at every level, and the headline method's series.

    The weights are today's market values over their sum, on every day.

    Raises:
        TooLittleHistoryError: fewer than 60 days could be tested, or the positions have no positive value.
    """
    nav = sum(loaded.values.values()) + loaded.cash
    if nav <= 0:
        raise TooLittleHistoryError("The positions have no positive value together: there is nothing to test.")
    sample = align(loaded.series, window=MOST_DAYS, benchmark=loaded.benchmark, model=loaded.model)
    days = len(sample.returns)
    start = WARM_UP if days >= WARM_UP + FEWEST_DAYS else SEED_DAYS
    if days < start + FEWEST_DAYS:
        raise TooLittleHistoryError(
            f"The positions have {days} daily returns together; a backtest needs {start + FEWEST_DAYS}."
        )
    weights = np.array([[loaded.values[ticker] / nav for ticker in sample.tickers]])
    variances = variance_path(sample.returns, market=_market(sample), model=loaded.model, ranges=sample.ranges)
    methods: dict[str, Any] = {}
    series: dict[str, Any] = {}
    for method in Method:
        forecasts = rolling.forecasts(
            sample.returns,
            weights,
            method,
            start=start,
            window=loaded.window,
            variances=variances,
        )
        methods[method.value] = rolling.to_json_dict(rolling.score(forecasts)[0])
        if method is loaded.method:
            figures = dict(zip(CONFIDENCES, forecasts.var[0].T, strict=True))
            series = {
                "pnl": _rounded(forecasts.pnl[0]),
                "var_95_1d": _rounded(figures[0.95]),
                "var_99_1d": _rounded(figures[0.99]),
            }
    tested: list[date] = sample.sessions[1 + start :].astype(object).tolist()
    return orjson.dumps(
        {
            "method": loaded.method,
            "start": tested[0],
            "end": tested[-1],
            "methods": methods,
            "series": {"dates": tested, **series},
            "warnings": [{"code": code, "message": message} for code, message in _warnings(loaded, sample)],
        }
    )


def _market(sample: Sample) -> Vector:
    """Return (T,) returns of the market in the volatility model, as `align` takes them."""
    average: Vector = sample.returns.mean(axis=1)
    if sample.benchmark is None:
        return average
    return np.where(sample.benchmark.known, sample.benchmark.returns, average)


def _warnings(loaded: Loaded, sample: Sample) -> list[tuple[str, str]]:
    found = []
    excluded = [*loaded.left_out, *(ticker for ticker in loaded.values if ticker not in sample.index)]
    if excluded:
        found.append(("excluded", f"Left out, for want of prices: {_names(excluded)}."))
    proxied = [one.ticker for one in sample.instruments if one.status is Status.PROXIED]
    if proxied:
        found.append(
            ("proxied", f"Before their own history begins, these follow the market by their beta: {_names(proxied)}.")
        )
    return found


def _names(tickers: Sequence[str], most: int = 10) -> str:
    more = f" and {len(tickers) - most} more" if len(tickers) > most else ""
    return ", ".join(sorted(tickers)[:most]) + more


def _rounded(values: Vector) -> list[float]:
    rounded: list[float] = values.round(_DIGITS).tolist()
    return rounded
