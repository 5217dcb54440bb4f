"""Named stretches of the past, and what instruments did in them.

Each runs from the closing high to the closing low of the S&P 500 around it, by the index's own closes (S&P Dow Jones
Indices); tests/unit/risk/test_stress.py holds the dates against the index in the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Days, Flags, Matrix, Vector
from tailwatch.risk.types import PriceSeries

#: Calendar days that the first and the last price may lie before the day they are wanted for.
OLDEST_PRICE_DAYS: Final = 7

_SOURCE: Final = "S&P 500, closing high to closing low (S&P Dow Jones Indices)"


@dataclass(frozen=True)
class Episode:
    """A stretch of the past.

    Attributes:
        key: Its stable name.
        name: For the reader.
        start: The close before it began.
        end: Its last close.
        source: Where the days are from.
    """

    key: str
    name: str
    start: date
    end: date
    source: str = _SOURCE


EPISODES: Final = (
    Episode("1998-ltcm", "Russia and LTCM, 1998", date(1998, 7, 17), date(1998, 8, 31)),
    Episode("2000-dotcom", "Dot-com crash, 2000–02", date(2000, 3, 24), date(2002, 10, 9)),
    Episode("2008-crisis", "Financial crisis, 2007–09", date(2007, 10, 9), date(2009, 3, 9)),
    Episode("2011-euro", "Euro debt and US downgrade, 2011", date(2011, 4, 29), date(2011, 10, 3)),
    Episode("2018-q4", "Fourth quarter of 2018", date(2018, 9, 20), date(2018, 12, 24)),
    Episode("2020-covid", "Covid crash, 2020", date(2020, 2, 19), date(2020, 3, 23)),
    Episode("2022-rates", "Rising rates, 2022", date(2022, 1, 3), date(2022, 10, 12)),
)


@dataclass(frozen=True, eq=False)
class EpisodeReturns:
    """What instruments did in one episode.

    Attributes:
        episode: Which.
        sessions: (D,) its days, the first after `start`.
        known: (M,) whether an instrument has prices of its own from its start to its end.
        total: (M,) return from start to end; 0 where not known.
        daily: (D, M) simple returns; 0 where not known, and on days without a price.
        benchmark_total: The benchmark's return; None where not known.
        benchmark_daily: (D,); None where not known.
    """

    episode: Episode
    sessions: Days
    known: Flags
    total: Vector
    daily: Matrix
    benchmark_total: float | None
    benchmark_daily: Vector | None


def episode_returns(
    series: Sequence[PriceSeries], benchmark: PriceSeries | None, episodes: Sequence[Episode] = EPISODES
) -> tuple[EpisodeReturns, ...]:
    """Return what instruments did in each episode, from prices that hold its days and a week before.

    Args:
        series: One for each instrument; other days in it do not matter.
        benchmark: Whose returns stand in, times beta, for instruments without prices of then.
        episodes: Which.
    """
    return tuple(_returns(episode, series, benchmark) for episode in episodes)


def _returns(episode: Episode, series: Sequence[PriceSeries], benchmark: PriceSeries | None) -> EpisodeReturns:
    everything = [*series, *([] if benchmark is None else [benchmark])]
    cut = [_cut(one, episode) for one in everything]
    days = [dates for dates, _ in filter(None, cut)]
    sessions = np.unique(np.concatenate(days)) if days else np.empty(0, dtype="datetime64[D]")
    start = np.datetime64(episode.start, "D")
    sessions = sessions[sessions > start]
    grid = np.ones((len(everything), sessions.size + 1))
    for row, found in enumerate(cut):
        if found is not None:
            dates, closes = found
            # The last price at or before each day; the first of them is that of the start.
            grid[row] = closes[np.searchsorted(dates, np.append(start, sessions), side="right") - 1]
    known = np.array([one is not None for one in cut], dtype=np.bool_)
    daily = (grid[:, 1:] / grid[:, :-1] - 1).T
    total = grid[:, -1] / grid[:, 0] - 1
    count = len(series)
    has_benchmark = benchmark is not None and bool(known[-1])
    return EpisodeReturns(
        episode,
        sessions,
        known[:count],
        total[:count],
        np.asfortranarray(daily[:, :count]),
        float(total[-1]) if has_benchmark else None,
        daily[:, -1] if has_benchmark else None,
    )


def _cut(series: PriceSeries, episode: Episode) -> tuple[Days, Vector] | None:
    """Return the usable prices from the start to the end; None where one of the two ends has none."""
    usable = (series.closes > 0) & np.isfinite(series.closes)
    dates, closes = series.dates[usable], series.closes[usable]
    start, end = np.datetime64(episode.start, "D"), np.datetime64(episode.end, "D")
    first, last = (int(np.searchsorted(dates, day, side="right")) - 1 for day in (start, end))
    if first < 0 or last <= first:
        return None
    if start - dates[first] > OLDEST_PRICE_DAYS or end - dates[last] > OLDEST_PRICE_DAYS:
        return None
    return dates[first : last + 1], closes[first : last + 1]
