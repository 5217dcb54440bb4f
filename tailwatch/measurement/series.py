"""Price histories and aligned samples kept between computations in this process.

Both are keyed by the instruments' market revisions: new prices make new keys, and old entries fall out by disuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from sqlalchemy import Connection

from tailwatch.market.history import load_series
from tailwatch.measurement.holding import Holding
from tailwatch.measurement.keeping import Kept
from tailwatch.risk import PriceSeries, Sample, align
from tailwatch.risk.currency import in_currency, of_cash
from tailwatch.risk.volatility import VolatilityModel

#: Histories are some 42 kB each: room for 1,500; a worker that serves more names reads the others again.
_HISTORY_BYTES: Final = 64 * 2**20
#: Samples are some 0.5 MB for twenty names, 14 MB for 500: only the portfolios in use matter.
_SAMPLE_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, eq=False)
class History:
    """The price history of one instrument at one market revision, with the SHA-256 of its bytes.

    Attributes:
        instrument_id: Minus that of the rate for cash in a foreign currency.
        version: What it is cached by beside the id: market revisions, and the id of a rate.
        series: In the portfolio's base currency.
        local: As it is stored, where that is another currency; None for cash.
        rate: The exchange rate that it was converted by; None where it was not.
    """

    instrument_id: int
    version: tuple[int, ...]
    series: PriceSeries
    digest: str
    local: History | None = None
    rate: History | None = None


def _weight(sample: Sample) -> int:
    # What is derived from the returns on first use comes to three more matrices of their size.
    return 4 * sample.returns.nbytes + sample.filtered.nbytes


_histories: Kept[tuple[int, ...], History] = Kept(
    _HISTORY_BYTES, lambda history: history.series.dates.nbytes + history.series.closes.nbytes
)
_samples: Kept[tuple[object, ...], Sample] = Kept(_SAMPLE_BYTES, _weight)


def of_holdings(
    connection: Connection, holdings: Iterable[Holding], rate_revisions: Mapping[int, int], model: VolatilityModel
) -> dict[int, History]:
    """Return the history of each of these that has one, in base currency, by `Holding.instrument_id`.

    Args:
        connection: Must see the same instant at which the revisions were read.
        holdings: Positions and benchmark.
        rate_revisions: The market revision of every exchange rate that they name.
        model: Of the volatility; decides whether the ranges of the days are read, too.
    """
    known = [one for one in holdings if one.price is not None]
    wanted = {one.instrument_id: one.market_revision for one in known if one.instrument_id > 0}
    raw = load(connection, wanted | dict(rate_revisions), with_ranges=model.measure == "range")
    found = {}
    for one in known:
        local = raw.get(one.instrument_id)
        if one.rate_id is None:
            history = local
        else:
            rate = raw.get(one.rate_id)
            history = None if rate is None else converted(one, local, rate)
        if history is not None:
            found[one.instrument_id] = history
    return found


def load(connection: Connection, wanted: Mapping[int, int], *, with_ranges: bool = False) -> dict[int, History]:
    """Return the stored history of each instrument in `wanted` (id → market revision), read only where it is new."""
    known = {}
    for each, revision in wanted.items():
        kept = _histories.get((each, revision))
        if kept is not None and (kept.series.ranges is not None or not with_ranges):
            known[each] = kept
    missing = [instrument_id for instrument_id in wanted if instrument_id not in known]
    if missing:
        for instrument_id, series in load_series(connection, missing, with_ranges=with_ranges).items():
            history = History(instrument_id, (wanted[instrument_id],), series, digest_of(series))
            known[instrument_id] = _histories.keep((instrument_id, wanted[instrument_id]), history)
    return known


def converted(holding: Holding, local: History | None, rate: History) -> History | None:
    """Return a history in base currency; None where prices and rates have no day in common.

    Args:
        holding: Whose.
        local: In its own currency; None for cash.
        rate: Base currency for one unit of that.
    """
    is_cash = holding.instrument_id < 0
    if local is None and not is_cash:
        return None
    version = (*(local.version if local else ()), rate.instrument_id, *rate.version)
    key = (holding.instrument_id, *version)
    kept = _histories.get(key)
    if kept is not None:
        return kept
    series = of_cash(holding.ticker, rate.series) if local is None else in_currency(local.series, rate.series)
    if not series.dates.size:
        return None
    return _histories.keep(key, History(holding.instrument_id, version, series, digest_of(series), local, rate))


def digest_of(series: PriceSeries) -> str:
    """Return the SHA-256 of days, prices and, where there are any, ranges."""
    ranges = b"" if series.ranges is None else series.ranges.tobytes()
    return hashlib.sha256(series.dates.tobytes() + series.closes.tobytes() + ranges).hexdigest()


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
        *((h.instrument_id, h.version) for h in everything),
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
    ranges = None if series.ranges is None else series.ranges[:end]
    return PriceSeries(series.ticker, series.dates[:end], series.closes[:end], ranges)
