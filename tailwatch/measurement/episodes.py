"""What the instruments of a portfolio did in the named episodes, kept between computations in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection

from tailwatch.market.history import load_between
from tailwatch.measurement.keeping import Kept
from tailwatch.measurement.series import History
from tailwatch.risk import PriceSeries
from tailwatch.risk.currency import in_currency, of_cash
from tailwatch.risk.episodes import EPISODES, OLDEST_PRICE_DAYS, EpisodeReturns, episode_returns

#: Some 25 kB an instrument.
_SERIES_BYTES: Final = 32 * 2**20
#: Some 240 kB for twenty names, 6 MB for 500.
_RETURNS_BYTES: Final = 64 * 2**20

_DAYS: Final = [(one.start - timedelta(OLDEST_PRICE_DAYS), one.end) for one in EPISODES]


def _weight(returns: tuple[EpisodeReturns, ...]) -> int:
    return sum(one.daily.nbytes + one.total.nbytes + one.known.nbytes for one in returns)


_Version = tuple[int, ...]
_series: Kept[_Version, PriceSeries | None] = Kept(
    _SERIES_BYTES, lambda series: 64 if series is None else series.dates.nbytes + series.closes.nbytes
)
_returns: Kept[tuple[object, ...], tuple[EpisodeReturns, ...]] = Kept(_RETURNS_BYTES, _weight)


def load(connection: Connection, histories: Mapping[int, History]) -> dict[int, PriceSeries | None]:
    """Return the prices of each of these in the episodes, in base currency, by the same ids; None: it has none.

    The connection must see the same instant at which the histories were read.
    """
    stored: dict[int, int] = {}
    for history in histories.values():
        for one in (history, history.local, history.rate):
            if one is not None and one.rate is None:
                stored[one.instrument_id] = one.version[0]
    known = _load(connection, stored)
    return {each: _converted(history, known) for each, history in histories.items()}


def _load(connection: Connection, wanted: Mapping[int, int]) -> dict[int, PriceSeries | None]:
    """Return the stored prices of each instrument in `wanted` (id → market revision), read only where it is new."""
    known = {key[0]: _series[key] for key in wanted.items() if key in _series}
    missing = [each for each in wanted if each not in known]
    if missing:
        found = load_between(connection, missing, _DAYS)
        for each in missing:
            known[each] = _series.keep((each, wanted[each]), found.get(each))
    return known


def _converted(history: History, stored: Mapping[int, PriceSeries | None]) -> PriceSeries | None:
    if history.rate is None:
        return stored[history.instrument_id]
    key = (history.instrument_id, *history.version)
    if key in _series:
        return _series[key]
    rates = stored[history.rate.instrument_id]
    if rates is None:
        return _series.keep(key, None)
    if history.local is None:
        return _series.keep(key, of_cash(history.series.ticker, rates))
    local = stored[history.local.instrument_id]
    return _series.keep(key, None if local is None else in_currency(local, rates))


def returns_of(
    instruments: Sequence[History], benchmark: History | None, series: Mapping[int, PriceSeries | None]
) -> tuple[EpisodeReturns, ...]:
    """Return what these instruments did in the episodes, in their order.

    Args:
        instruments: Their histories.
        benchmark: The same of the benchmark, or None.
        series: Of `load`, for all of them.
    """
    versions = [(one.instrument_id, one.version) for one in instruments]
    key = (*versions, None if benchmark is None else (benchmark.instrument_id, benchmark.version))
    kept = _returns.get(key)
    if kept is not None:
        return kept
    chosen = [series.get(one.instrument_id) or _nothing(one.instrument_id) for one in instruments]
    return _returns.keep(
        key, episode_returns(chosen, None if benchmark is None else series.get(benchmark.instrument_id))
    )


def _nothing(instrument_id: int) -> PriceSeries:
    return PriceSeries(f"#{instrument_id}", np.empty(0, dtype="datetime64[D]"), np.empty(0))
