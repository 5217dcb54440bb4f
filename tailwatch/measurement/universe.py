"""All stored instruments side by side: what coefficients of the volatility model can be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, text

from tailwatch.market.history import load_series
from tailwatch.risk import PriceSeries
from tailwatch.risk.arrays import Days, Flags, Indices, Matrix
from tailwatch.risk.fit import FEWEST_RETURNS
from tailwatch.risk.returns import CARRY_LIMIT, LARGEST_RATIO

#: More bars than any source gives of one instrument.
_ALL: Final = 100_000
#: A day counts as a session if at least that share of the instruments that have begun and not ended has a price.
#: What is traded at weekends, too, then moves from Friday to Monday like everything else.
_QUORUM: Final = 1 / 3

_LONG_ENOUGH: Final = text(
    # Indices move less than what they are made of, and are nobody's position.
    """
    SELECT i.id FROM instruments i
    WHERE i.ticker NOT LIKE '^%' AND (SELECT count(*) FROM prices p WHERE p.instrument_id = i.id) > :fewest
    ORDER BY i.ticker
    """
)


@dataclass(frozen=True, eq=False)
class Universe:
    """Instruments on common sessions.

    Attributes:
        names: (N,) tickers.
        days: (T,) day that each return ends on, ISO.
        returns: (T, N) simple returns; NaN where an instrument has none.
        ranges: (T, N) variances of the days from open, high and low; NaN where not known. None: of no day.
    """

    names: tuple[str, ...]
    days: tuple[str, ...]
    returns: Matrix
    ranges: Matrix | None = None

    @property
    def share_with_ranges(self) -> float:
        """Share of the returns beside which the day's range is known."""
        known = np.isfinite(self.returns)
        if self.ranges is None or not known.any():
            return 0.0
        return float(np.count_nonzero(known & np.isfinite(self.ranges)) / np.count_nonzero(known))


def load(connection: Connection) -> Universe:
    """Return every stored instrument with a history that is long enough, indices aside."""
    wanted = connection.execute(_LONG_ENOUGH, {"fewest": FEWEST_RETURNS}).scalars().all()
    found = load_series(connection, wanted, _ALL, with_ranges=True)
    return side_by_side([found[each] for each in wanted if each in found])


def side_by_side(series: Sequence[PriceSeries]) -> Universe:
    """Return the series on common sessions; a price is carried over at most five of them."""
    everything = [one.dates for one in series if one.dates.size]
    if not everything:
        return Universe((), (), np.empty((0, 0)))
    days = np.unique(np.concatenate(everything))
    present = np.zeros((len(series), days.size), dtype=np.bool_)
    alive = np.zeros_like(present)
    closes = np.full(present.shape, np.nan)
    for row, one in enumerate(series):
        places = np.searchsorted(days, one.dates)
        present[row, places] = True
        closes[row, places] = one.closes
        alive[row, places.min(initial=days.size) : places.max(initial=-1) + 1] = True
    sessions = present.sum(axis=0) >= _QUORUM * alive.sum(axis=0)
    closes = _carried(np.where(closes > 0, closes, np.nan), sessions)
    ratios = (closes[:, 1:] / closes[:, :-1]).T
    returns = np.where((ratios < LARGEST_RATIO) & (ratios > 1 / LARGEST_RATIO), ratios - 1, np.nan)
    return Universe(
        tuple(one.ticker for one in series),
        tuple(days[sessions][1:].astype(str).tolist()),
        returns,
        _ranges(series, days, sessions),
    )


def _ranges(series: Sequence[PriceSeries], days: Days, sessions: Flags) -> Matrix | None:
    """Return (T, N) the ranges of the days on which the sessions' returns end."""
    if all(one.ranges is None for one in series):
        return None
    found = np.full((days.size, len(series)), np.nan)
    for column, one in enumerate(series):
        if one.ranges is not None:
            found[np.searchsorted(days, one.dates), column] = one.ranges
    kept: Matrix = found[sessions][1:]
    return kept


def _carried(closes: Matrix, sessions: Flags) -> Matrix:
    """Return the closes on the sessions alone, each the newest one of at most five sessions before."""
    place = np.cumsum(sessions)
    newest = np.maximum.accumulate(np.where(np.isfinite(closes), np.arange(closes.shape[1]), -1), axis=1)
    # How many sessions ago that was; a price between two sessions belongs to the later one.
    age: Indices = place - np.where(newest >= 0, place[newest] + ~sessions[newest], 0)
    usable = (newest >= 0) & (age <= CARRY_LIMIT)
    filled: Matrix = np.where(usable, np.take_along_axis(closes, np.maximum(newest, 0), axis=1), np.nan)
    return filled[:, sessions]
