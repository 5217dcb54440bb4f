"""Price histories and aligned samples kept between computations in this process.

Both are keyed by the instruments' market revisions: new prices make new keys, and old entries fall out by disuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache
from sqlalchemy import Connection

from tailwatch.market.history import load_series
from tailwatch.risk import PriceSeries, Sample, align

#: Histories are some 25 kB each; a worker that serves more names than this reads the others again.
_KEEP_HISTORIES: Final = 2000
#: Samples are some 250 kB for twenty names; only the portfolios in use matter.
_KEEP_SAMPLES: Final = 64


@dataclass(frozen=True, eq=False)
class History:
    """The price history of one instrument at one market revision, with the SHA-256 of its bytes."""

    instrument_id: int
    market_revision: int
    series: PriceSeries
    digest: str


_histories: LRUCache[tuple[int, int], History] = LRUCache(_KEEP_HISTORIES)
_samples: LRUCache[tuple[object, ...], Sample] = LRUCache(_KEEP_SAMPLES)


def load(connection: Connection, wanted: Mapping[int, int]) -> dict[int, History]:
    """Return the price history of each instrument in `wanted` (id → market revision), read only where it is new.

    The connection must see the same instant at which the revisions were read.
    """
    known = {key[0]: _histories[key] for key in wanted.items() if key in _histories}
    missing = [instrument_id for instrument_id in wanted if instrument_id not in known]
    if missing:
        for instrument_id, series in load_series(connection, missing).items():
            digest = hashlib.sha256(series.dates.tobytes() + series.closes.tobytes()).hexdigest()
            history = History(instrument_id, wanted[instrument_id], series, digest)
            _histories[instrument_id, history.market_revision] = known[instrument_id] = history
    return known


def aligned(histories: Sequence[History], benchmark: History | None, window: int) -> Sample:
    """Return the histories aligned over `window` sessions, from the cache if these very ones were aligned before."""
    everything = (*histories, benchmark) if benchmark else histories
    key = (window, benchmark is None, *((h.instrument_id, h.market_revision) for h in everything))
    if key not in _samples:
        _samples[key] = align(
            [h.series for h in histories], window=window, benchmark=benchmark.series if benchmark else None
        )
    return _samples[key]
