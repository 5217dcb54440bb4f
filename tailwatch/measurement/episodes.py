"""What the instruments of a portfolio did in the named episodes, kept between computations in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection

from tailwatch.market.history import load_between
from tailwatch.measurement.keeping import Kept
from tailwatch.risk import PriceSeries
from tailwatch.risk.episodes import EPISODES, OLDEST_PRICE_DAYS, EpisodeReturns, episode_returns

#: Some 25 kB an instrument.
_SERIES_BYTES: Final = 32 * 2**20
#: Some 240 kB for twenty names, 6 MB for 500.
_RETURNS_BYTES: Final = 64 * 2**20

_DAYS: Final = [(one.start - timedelta(OLDEST_PRICE_DAYS), one.end) for one in EPISODES]


def _weight(returns: tuple[EpisodeReturns, ...]) -> int:
    return sum(one.daily.nbytes + one.total.nbytes + one.known.nbytes for one in returns)


_series: Kept[tuple[int, int], PriceSeries | None] = Kept(
    _SERIES_BYTES, lambda series: 64 if series is None else series.dates.nbytes + series.closes.nbytes
)
_returns: Kept[tuple[object, ...], tuple[EpisodeReturns, ...]] = Kept(_RETURNS_BYTES, _weight)


def load(connection: Connection, wanted: Mapping[int, int]) -> dict[int, PriceSeries | None]:
    """Return the prices of each instrument in `wanted` (id → market revision) in the episodes; None: it has none.

    The connection must see the same instant at which the revisions were read.
    """
    known = {key[0]: _series[key] for key in wanted.items() if key in _series}
    missing = [each for each in wanted if each not in known]
    if missing:
        found = load_between(connection, missing, _DAYS)
        for each in missing:
            known[each] = _series.keep((each, wanted[each]), found.get(each))
    return known


def returns_of(
    instruments: Sequence[tuple[int, int]],
    benchmark: tuple[int, int] | None,
    series: Mapping[int, PriceSeries | None],
) -> tuple[EpisodeReturns, ...]:
    """Return what these instruments did in the episodes, in their order.

    Args:
        instruments: Id and market revision of each.
        benchmark: The same of the benchmark, or None.
        series: Of `load`, for all of them.
    """
    key = (*instruments, benchmark)
    kept = _returns.get(key)
    if kept is not None:
        return kept
    chosen = [series[each] or _nothing(each) for each, _ in instruments]
    return _returns.keep(key, episode_returns(chosen, None if benchmark is None else series[benchmark[0]]))


def _nothing(instrument_id: int) -> PriceSeries:
    return PriceSeries(f"#{instrument_id}", np.empty(0, dtype="datetime64[D]"), np.empty(0))
