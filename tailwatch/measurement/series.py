"""Price histories and aligned samples kept between computations in this process.

Both are keyed by the instruments' market revisions: new prices make new keys, and old entries fall out by disuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from sqlalchemy import Connection

from tailwatch.market.history import load_series
from tailwatch.measurement.keeping import Kept
from tailwatch.risk import PriceSeries, Sample, align
from tailwatch.risk.volatility import VolatilityModel

#: Histories are some 42 kB each: room for 1,500; a worker that serves more names reads the others again.
_HISTORY_BYTES: Final = 64 * 2**20
#: Samples are some 0.5 MB for twenty names, 14 MB for 500: only the portfolios in use matter.
_SAMPLE_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, eq=False)
class History:
    """The price history of one instrument at one market revision, with the SHA-256 of its bytes."""

    instrument_id: int
    market_revision: int
    series: PriceSeries
    digest: str


def _weight(sample: Sample) -> int:
    # What is derived from the returns on first use comes to three more matrices of their size.
    return 4 * sample.returns.nbytes + sample.filtered.nbytes


_histories: Kept[tuple[int, int], History] = Kept(
    _HISTORY_BYTES, lambda history: history.series.dates.nbytes + history.series.closes.nbytes
)
_samples: Kept[tuple[object, ...], Sample] = Kept(_SAMPLE_BYTES, _weight)


def load(connection: Connection, wanted: Mapping[int, int]) -> dict[int, History]:
    """Return the price history of each instrument in `wanted` (id → market revision), read only where it is new.

    The connection must see the same instant at which the revisions were read.
    """
    known = {key[0]: _histories[key] for key in wanted.items() if key in _histories}
    missing = [instrument_id for instrument_id in wanted if instrument_id not in known]
    if missing:
        for instrument_id, series in load_series(connection, missing).items():
            history = History(instrument_id, wanted[instrument_id], series, digest_of(series))
            known[instrument_id] = _histories.keep((instrument_id, history.market_revision), history)
    return known


def digest_of(series: PriceSeries) -> str:
    """Return the SHA-256 of days and prices."""
    return hashlib.sha256(series.dates.tobytes() + series.closes.tobytes()).hexdigest()


def aligned(
    histories: Sequence[History],
    benchmark: History | None,
    window: int,
    model: VolatilityModel,
    until: date | None = None,
) -> Sample:
    """Return the histories aligned over `window` sessions, from the cache if these very ones were aligned before.

    Args:
        histories: One for each instrument.
        benchmark: May also be among them.
        window: Returns wanted.
        model: Of the volatility that scales the scenarios.
        until: Leave out what is younger than this day.
    """
    everything = (*histories, benchmark) if benchmark else histories
    if until is not None and all(h.series.dates[-1] <= np.datetime64(until, "D") for h in everything):
        until = None
    key = (
        window,
        model.digest,
        until,
        benchmark is None,
        *((h.instrument_id, h.market_revision) for h in everything),
    )
    kept = _samples.get(key)
    if kept is not None:
        return kept
    return _samples.keep(
        key,
        align(
            [cut(h.series, until) for h in histories],
            window=window,
            benchmark=cut(benchmark.series, until) if benchmark else None,
            model=model,
        ),
    )


def cut(series: PriceSeries, until: date | None) -> PriceSeries:
    """Return the series up to a day, that day included."""
    if until is None:
        return series
    end = int(np.searchsorted(series.dates, np.datetime64(until, "D"), side="right"))
    return PriceSeries(series.ticker, series.dates[:end], series.closes[:end])
