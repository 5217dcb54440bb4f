"""From price series to one matrix of returns: alignment, gaps, short histories (the data policy of the docs)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tailwatch.errors import InvalidPriceSeriesError, InvalidRiskSettingsError
from tailwatch.risk.arrays import Days, Flags, Matrix, Vector
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.scenarios import SCENARIO_DAYS, scenarios_of
from tailwatch.risk.types import (
    DEFAULT_WINDOW,
    AlignedBenchmark,
    AlignedInstrument,
    PriceSeries,
    Sample,
    Status,
)
from tailwatch.risk.volatility import VolatilityModel

#: Sessions over which an older price stands in for a missing one.
CARRY_LIMIT: Final = 5
#: Returns of its own that an instrument needs to be in the sample at all.
MINIMUM_OBSERVATIONS: Final = 60
#: Standard deviation of the prior, centred on 1, that a short history's beta is shrunk to (Vasicek 1973). About the
#: spread of betas across large stocks; fixed, so that a position's proxy does not depend on what else is held.
BETA_PRIOR_DEVIATION: Final = 0.5
#: Returns behind the scenarios: what the averages start from, and three of their longest span before the 1,000 days.
HISTORY_DAYS: Final = 2300
#: A daily price ratio beyond this (or below its reciprocal) is an error in the data, and counts as missing.
LARGEST_RATIO: Final = 1e6
#: A stand-in return may not lose more than that: a price stays positive.
LOWEST_PROXY_RETURN: Final = -0.99

_LARGEST_PRICE: Final = 1e50


def align(
    series: Sequence[PriceSeries],
    *,
    window: int = DEFAULT_WINDOW,
    benchmark: PriceSeries | None = None,
    model: VolatilityModel | None = None,
) -> Sample:
    """Align price series on the union of their sessions and turn them into simple returns.

    The window is the newest `window` + 1 sessions. A price is carried forward over at most 5 sessions, and each is
    counted as a gap. An instrument with fewer than 60 returns of its own in the window is excluded; one with some
    missing is proxied: the missing returns are β times the benchmark's (where that is unknown: the equal-weight
    average's) plus a residual of its own, drawn by a hash of ticker and day, so that the same day always draws alike.
    The benchmark's older sessions lengthen a window that the instruments alone do not fill.

    The same is done for the history before the window, as far as the instruments reach back and at most 2,300 days:
    the volatility-scaled scenarios are made of it. What is missing there is filled in alike, and told apart in
    `Sample.scenario_instruments`.

    The result depends on prices, window and model only. It costs some ten milliseconds for 20 instruments.

    Args:
        series: One for each instrument, tickers unique; more instruments than held is fine.
        window: Returns wanted, at least 60.
        benchmark: What betas are measured against; may also be among `series`.
        model: Of the volatility that scales the scenarios; None: the shipped one.

    Raises:
        InvalidPriceSeriesError: a ticker occurs twice.
        InvalidRiskSettingsError: the window is too short for any estimate.
    """
    if window < MINIMUM_OBSERVATIONS:
        raise InvalidRiskSettingsError(f"The window is at least {MINIMUM_OBSERVATIONS} returns, not {window}.")
    if len({one.ticker for one in series}) < len(series):
        raise InvalidPriceSeriesError("Each ticker has one price series; one of them occurs twice.")
    priced = [_priced(one) for one in series]
    market = None if benchmark is None else _priced(benchmark)
    sessions = _sessions([one.dates for one in priced if one.dates.size > MINIMUM_OBSERVATIONS], market, window)
    grid = _grid([*priced, *([] if market is None else [market])], sessions, max(window, HISTORY_DAYS))
    inside = slice(-window, None)
    own = np.count_nonzero(grid.own[:, inside], axis=1)
    kept = np.flatnonzero(own[: len(priced)] >= MINIMUM_OBSERVATIONS).tolist()
    tickers = tuple(priced[row].ticker for row in kept)
    history = np.asfortranarray(grid.returns[kept].T)
    ranges = _ranges([priced[row] for row in kept], grid.sessions, grid.own[kept].T)
    known = grid.known[kept].T
    aligned_market = None
    if market is not None and own[-1] >= MINIMUM_OBSERVATIONS:
        aligned_market = AlignedBenchmark(market.ticker, grid.returns[-1, inside], grid.known[-1, inside])
    average = _market(history, known, grid if aligned_market else None)
    betas = _fill(history, known, tickers, grid.sessions, average)
    source = "the average of all instruments" if aligned_market is None else aligned_market.ticker
    described = [
        tuple(
            _outcome(one, grid, row, days, beta=betas[one.ticker], source=source)
            if one.ticker in betas
            else _excluded(one, int(own[row]))
            for row, one in enumerate(priced)
        )
        for days in (inside, slice(-SCENARIO_DAYS, None))
    ]
    if not kept:
        return Sample((), grid.sessions[:0], history[:0], described[0], window)
    benchmark_reason = None
    if market is not None and aligned_market is None:
        benchmark_reason = f"{market.ticker} has fewer than {MINIMUM_OBSERVATIONS} daily returns in the window."
    return Sample(
        tickers,
        grid.sessions[-(window + 1) :],
        np.asfortranarray(history[inside]),
        described[0],
        window,
        aligned_market,
        benchmark_reason,
        scenarios_of(history, average, model or default_model(), ranges=ranges),
        described[1],
        None if ranges is None else ranges[inside],
    )


class _Priced(NamedTuple):
    """A series without the days on which it has no usable price."""

    ticker: str
    dates: Days
    closes: Vector
    ranges: Vector | None = None


def _priced(series: PriceSeries) -> _Priced:
    usable = (series.closes > 1 / _LARGEST_PRICE) & (series.closes < _LARGEST_PRICE)  # False for NaN, too
    if usable.all():
        return _Priced(series.ticker, series.dates, series.closes, series.ranges)
    ranges = None if series.ranges is None else series.ranges[usable]
    return _Priced(series.ticker, series.dates[usable], series.closes[usable], ranges)


def history_sessions(window: int) -> int:
    """Return how many of the newest sessions a sample depends on at most."""
    return max(window, HISTORY_DAYS) + 1 + CARRY_LIMIT


def _sessions(dates: list[Days], market: _Priced | None, window: int) -> Days:
    """Return the sessions of the history, its first price included, and those before that a price may come from."""
    most = history_sessions(window)
    needed = window + 1 + CARRY_LIMIT
    # The newest k sessions of a union lie within the newest k of each member.
    newest = [one[-most:] for one in dates]
    if not newest:
        return np.empty(0, dtype="datetime64[D]")
    first = newest[0]
    if all(np.array_equal(one, first) for one in newest[1:]):
        sessions = first
    else:
        sessions = np.unique(np.concatenate(newest))[-most:]
    if market is not None and sessions.size < needed:
        older = market.dates[: np.searchsorted(market.dates, sessions[0])]
        sessions = np.concatenate([older[older.size - min(older.size, needed - sessions.size) :], sessions])
    return sessions


class _Grid(NamedTuple):
    """Every series on the history's sessions; one row a series, one column a session."""

    sessions: Days
    """(T+1,)"""
    returns: Matrix
    """(N, T); 0 where not known."""
    known: Flags
    """(N, T)"""
    own: Flags
    """(N, T) whether it is known and its own day has a price of its own."""
    carried: Flags
    """(N, T) whether the day's price was carried forward."""


def _grid(series: Sequence[_Priced], sessions: Days, depth: int) -> _Grid:
    shape = (len(series), sessions.size)
    prices = np.zeros(shape)
    fresh = np.zeros(shape, dtype=np.bool_)
    for row, one in enumerate(series):
        start = int(np.searchsorted(one.dates, sessions[0])) if sessions.size else one.dates.size
        if np.array_equal(one.dates[start:], sessions):
            prices[row], fresh[row] = one.closes[start:], True
            continue
        # The first session at or after the price's day; of two prices between sessions the newer one stays.
        slots = np.searchsorted(sessions, one.dates[start:])
        inside = slots < sessions.size
        prices[row, slots[inside]] = one.closes[start:][inside]
        fresh[row, slots[inside]] = True
    priced = fresh
    if not fresh.all():
        days = np.arange(sessions.size)
        source = np.maximum.accumulate(np.where(fresh, days, -1), axis=1)
        priced = (source >= 0) & (days - source <= CARRY_LIMIT)
        prices = np.take_along_axis(prices, np.maximum(source, 0), axis=1)
    keep = slice(-(depth + 1), None)
    sessions, prices, priced, fresh = sessions[keep], prices[:, keep], priced[:, keep], fresh[:, keep]
    known = priced[:, 1:] & priced[:, :-1]
    ratios = np.divide(prices[:, 1:], prices[:, :-1], out=np.ones_like(prices[:, 1:]), where=known)
    known &= (ratios < LARGEST_RATIO) & (ratios > 1 / LARGEST_RATIO)
    returns = np.where(known, ratios - 1, 0.0)
    return _Grid(sessions, returns, known, known & fresh[:, 1:], priced[:, 1:] & ~fresh[:, 1:])


def _ranges(series: Sequence[_Priced], sessions: Days, own: Flags) -> Matrix | None:
    """Return (T, M) the variances that the series have of their days; NaN of days whose return is not their own.

    A range says something of the return from the session before alone: a day after a gap has none.
    """
    if all(one.ranges is None for one in series):
        return None
    found = np.full(own.shape, np.nan)
    for column, one in enumerate(series):
        if one.ranges is None:
            continue
        slots = np.searchsorted(sessions, one.dates)
        inside = slots < sessions.size
        inside[inside] = sessions[slots[inside]] == one.dates[inside]
        # A session's return stands one row before its price.
        places = slots[inside] - 1
        found[places[places >= 0], column] = one.ranges[inside][places >= 0]
    found[~own] = np.nan
    return found


def _market(columns: Matrix, known: Flags, grid: _Grid | None) -> Vector:
    """Return (T,) market returns: those of the grid's last series, else the average of the (T, M) known ones."""
    market: Vector = columns.sum(axis=1) / np.maximum(np.count_nonzero(known, axis=1), 1)
    return market if grid is None else np.where(grid.known[-1], grid.returns[-1], market)


def _fill(
    columns: Matrix, known: Flags, tickers: Sequence[str], sessions: Days, market: Vector
) -> dict[str, float | None]:
    """Put stand-ins where (T, M) returns are not known, in place; return the beta used, None where all are known."""
    betas: dict[str, float | None] = dict.fromkeys(tickers)
    short = np.flatnonzero(~known.all(axis=0)).tolist()
    days = sessions[1:].astype(np.int64)
    for column in short:
        own, ticker = known[:, column], tickers[column]
        beta, residuals = shrunk_regression(columns[own, column], market[own])
        drawn = residuals[(_uniform(ticker, days[~own]) * residuals.size).astype(np.intp)]
        columns[~own, column] = np.maximum(beta * market[~own] + drawn, LOWEST_PROXY_RETURN)
        betas[ticker] = beta
    return betas


def shrunk_regression(returns: Vector, market: Vector) -> tuple[float, Vector]:
    """Return the beta of (n,) returns against (n,) market returns, shrunk to 1, and its (n,) centred residuals.

    Vasicek (1973): the prior, mean 1, and the estimate are weighted by their precisions. The residuals are centred
    so that a lucky first year is not carried into the years that are filled in.
    """
    x, y = market - market.mean(), returns - returns.mean()
    squares = float(x @ x)
    beta = 1.0
    if squares > 0:
        estimate = float(x @ y) / squares
        errors = y - estimate * x
        variance = float(errors @ errors) / (returns.size - 2) / squares
        trust = BETA_PRIOR_DEVIATION**2 / (BETA_PRIOR_DEVIATION**2 + variance)
        beta = trust * estimate + (1 - trust)
    return beta, y - beta * x


def _uniform(ticker: str, days: NDArray[np.int64]) -> Vector:
    """Return numbers in [0, 1), one a day, that depend on nothing but ticker and day (the splitmix64 finaliser).

    A generator's stream would shift with the window and may change between numpy releases; a hash does neither, so
    a figure moves overnight because of the market and not because of new dice.
    """
    state = days.astype(np.uint64) + np.uint64(zlib.crc32(ticker.encode()) << 32)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _excluded(one: _Priced, observations: int) -> AlignedInstrument:
    reason = "It has no price history."
    if one.dates.size:
        reason = f"It has {observations} daily returns in the window; at least {MINIMUM_OBSERVATIONS} are needed."
    return AlignedInstrument(one.ticker, Status.EXCLUDED, reason, observations, 0, _last_day(one))


def _outcome(
    one: _Priced, grid: _Grid, row: int, days: slice, *, beta: float | None, source: str
) -> AlignedInstrument:
    known = grid.known[row, days]
    missing = known.size - int(np.count_nonzero(known))
    status, reason = Status.MODELLED, None
    if missing:
        status = Status.PROXIED
        reason = (
            f"{missing} of {known.size} daily returns are not known; they follow {source} with a beta of "
            f"{beta:.2f}, plus its own residuals."
        )
    observations, gaps = (int(np.count_nonzero(flags[row, days])) for flags in (grid.own, grid.carried))
    return AlignedInstrument(one.ticker, status, reason, observations, gaps, _last_day(one))


def _last_day(one: _Priced) -> date | None:
    last: date | None = one.dates[-1].astype(object) if one.dates.size else None
    return last
