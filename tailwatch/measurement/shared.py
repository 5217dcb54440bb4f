"""Samples that many portfolios are measured on, made once a market revision and host.

What a portfolio alone would be aligned to is, for instruments with nothing missing on one calendar and a benchmark
that is known on every day, a choice of columns of what all such instruments together are aligned to. So a night
aligns a few big samples instead of one a portfolio. They lie in files (`store`) that the processes of a host map.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tailwatch.risk import Sample, Status, align
from tailwatch.risk.episodes import EpisodeReturns, episode_returns
from tailwatch.risk.returns import history_sessions
from tailwatch.risk.volatility import VolatilityModel

if TYPE_CHECKING:
    from tailwatch.measurement.series import History
    from tailwatch.risk import PriceSeries

#: Instruments on one calendar below which a sample of them is not worth its making.
FEWEST: Final = 20
#: Samples are kept for that many wishes: tonight's and the night before's, for some benchmarks and windows.
_MOST_WISHES: Final = 12

Version = tuple[int, ...]


class Wish(NamedTuple):
    """What samples are wanted for: portfolios that have all of this in common."""

    benchmark: tuple[int, Version]
    """Instrument and version of its history."""
    window: int
    model: str
    """Digest of the volatility model."""
    until: date | None
    """The last day of the history; None: all of it."""


@dataclass(frozen=True, eq=False)
class Shared:
    """A sample of whole histories.

    Attributes:
        sample: All of its instruments are modelled, and none has a gap.
        versions: Of their histories, by instrument, in the order of the columns.
        episodes: What they did in the episodes of stress; None for the past.
    """

    sample: Sample
    versions: Mapping[int, Version]
    episodes: tuple[EpisodeReturns, ...] | None

    def has(self, histories: Iterable[History]) -> bool:
        """Say whether all of these are among its instruments, at these versions."""
        return all(self.versions.get(one.instrument_id) == one.version for one in histories)


_known: dict[Wish, tuple[Shared, ...]] = {}


def wish_of(benchmark: History, window: int, model: VolatilityModel, until: date | None) -> Wish:
    """Return what a portfolio with this benchmark and window wants."""
    return Wish((benchmark.instrument_id, benchmark.version), window, model.digest, until)


def keep(wish: Wish, found: Sequence[Shared]) -> None:
    """Have `find` find these from now on."""
    _known.pop(wish, None)
    while len(_known) >= _MOST_WISHES:
        del _known[next(iter(_known))]
    _known[wish] = tuple(found)


def is_kept(wish: Wish, versions: Mapping[int, Version]) -> bool:
    """Say whether what is kept for a wish is of these versions, as far as it goes."""
    kept = _known.get(wish)
    return kept is not None and all(
        versions.get(each) == version for one in kept for each, version in one.versions.items()
    )


def find(histories: Sequence[History], wish: Wish) -> Sample | None:
    """Return a sample that is kept and that all of these histories are columns of."""
    for one in _known.get(wish, ()):
        if one.has(histories):
            return one.sample
    return None


def episodes_of(sample: Sample) -> tuple[EpisodeReturns, ...] | None:
    """Return what the instruments of a kept sample did in the episodes; None: it is not a kept one."""
    return next((one.episodes for kept in _known.values() for one in kept if one.sample is sample), None)


def forget() -> None:
    """Keep nothing."""
    _known.clear()


def make(
    histories: Iterable[History],
    benchmark: PriceSeries,
    model: VolatilityModel,
    wish: Wish,
    *,
    cut: Callable[[PriceSeries, date | None], PriceSeries],
    episodes: Mapping[int, PriceSeries | None] | None,
) -> list[Shared]:
    """Return the samples of these histories, one a calendar that enough of them share.

    Args:
        histories: In one currency.
        benchmark: Its prices, in the same currency.
        model: Of the volatility.
        wish: What they are made for.
        cut: Of a series up to a day.
        episodes: Prices in the episodes by instrument, the benchmark's among them; None where they are not wanted.
    """
    days = history_sessions(wish.window)
    calendars: dict[bytes, list[tuple[History, PriceSeries]]] = {}
    for one in histories:
        series = cut(one.series, wish.until)
        calendars.setdefault(hashlib.sha256(series.dates[-days:].tobytes()).digest(), []).append((one, series))
    market = cut(benchmark, wish.until)
    found = []
    for members in calendars.values():
        # Where the benchmark is not known the average of a sample's own instruments takes its place.
        if len(members) < FEWEST or not np.isin(members[0][1].dates[-days:], market.dates).all():
            continue
        shared = _aligned(members, market, model, wish)
        if shared is None:
            continue
        if episodes is not None:
            nothing = np.empty(0, dtype="datetime64[D]"), np.empty(0)
            chosen = [
                episodes.get(each) or type(market)(ticker, *nothing)
                for each, ticker in zip(shared.versions, shared.sample.tickers, strict=True)
            ]
            returns = episode_returns(chosen, episodes.get(wish.benchmark[0]))
            shared = Shared(shared.sample, shared.versions, returns)
        found.append(shared)
    return found


def _aligned(
    members: list[tuple[History, PriceSeries]], market: PriceSeries, model: VolatilityModel, wish: Wish
) -> Shared | None:
    """Return the sample of those that are whole; None where there are too few of them, or the benchmark is not."""
    # Of two instruments with one ticker neither could be told from the other.
    times = Counter(series.ticker for _, series in members)
    members = [one for one in members if times[one[1].ticker] == 1]
    # As the positions of a portfolio lie in a sample of its own: then all figures are the same to the last bit.
    members.sort(key=lambda one: one[1].ticker)
    while len(members) >= FEWEST:
        sample = align([series for _, series in members], window=wish.window, benchmark=market, model=model)
        if sample.benchmark is None or not sample.benchmark.known.all():
            return None
        whole = [_is_whole(sample, series.ticker) for _, series in members]
        if all(whole):
            return Shared(sample, {one.instrument_id: one.version for one, _ in members}, None)
        members = [one for one, fine in zip(members, whole, strict=True) if fine]
    return None


def _is_whole(sample: Sample, ticker: str) -> bool:
    return all(
        one.status is Status.MODELLED and one.gaps == 0
        for one in (sample.outcome[ticker], sample.scenario_outcome[ticker])
    )
