"""Seeing to it that the samples that portfolios could share are there."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from tailwatch.measurement import book, episodes, inputs, instruments, series, shared, store
from tailwatch.measurement.shared import Version, Wish
from tailwatch.risk import Sample
from tailwatch.risk.volatility import VolatilityModel

#: Portfolios below which each has its own sample sooner.
FEWEST: Final = 10

# All that anybody holds: what a night's portfolios are made of.
_HELD: Final = text("SELECT id FROM instruments i WHERE EXISTS (SELECT FROM trades WHERE instrument_id = i.id)")


class Wanted(NamedTuple):
    """What a portfolio would be measured on, and its change since an earlier day be explained by."""

    base_currency: str
    benchmark: series.History
    window: int
    model: VolatilityModel
    earlier: date | None

    def wishes(self) -> list[Wish]:
        """Return the samples that are wanted: today's, and that up to the earlier day."""
        days = [None] if self.earlier is None else [None, self.earlier]
        return [shared.wish_of(self.benchmark, self.window, self.model, until) for until in days]

    def find(self, histories: Sequence[series.History]) -> Sample | None:
        """Return today's, if there is one that has all of these."""
        return shared.find(histories, self.wishes()[0]) if histories else None


def prepare(connection: Connection, wanted: Collection[Wanted]) -> None:
    """Make the samples that enough portfolios want, unless they are there.

    Args:
        connection: Sees the instant at which the portfolios were read.
        wanted: By the portfolios.
    """
    times = Counter((one.base_currency, wish) for one in wanted for wish in one.wishes())
    first = {(one.base_currency, wish): one for one in reversed(list(wanted)) for wish in one.wishes()}
    universes: dict[str, _Universe] = {}
    for (base_currency, wish), count in times.items():
        if count < FEWEST:
            continue
        if base_currency not in universes:
            universes[base_currency] = _Universe(connection, base_currency)
        universe, one = universes[base_currency], first[base_currency, wish]
        if not shared.is_kept(wish, universe.versions):
            name = hashlib.sha256(repr((inputs.code(), wish, sorted(universe.versions.items()))).encode()).hexdigest()
            shared.keep(wish, store.fetch(name, partial(universe.make, one, wish)))


class _Universe:
    """Everything that is held, in one base currency."""

    def __init__(self, connection: Connection, base_currency: str) -> None:
        self._connection = connection
        held = instruments.load(connection, connection.scalars(_HELD).all())
        none = [one.none for one in held.values() if one.none.price is not None]
        rates = book.rates_of(connection, [(none, {})], base_currency)
        self._revisions = book.revisions_of(rates)
        self._holdings = book.in_base_currency(none, {}, base_currency, rates)
        #: Of the histories that there are, by instrument.
        self.versions: Mapping[int, Version] = dict(self._versions())

    def _versions(self) -> Iterable[tuple[int, Version]]:
        for one in self._holdings:
            if one.rate_id is None:
                yield one.instrument_id, (one.market_revision,)
            elif one.rate_id in self._revisions:
                yield one.instrument_id, (one.market_revision, one.rate_id, self._revisions[one.rate_id])

    def make(self, wanted: Wanted, wish: Wish) -> list[shared.Shared]:
        """Return the samples of a wish."""
        histories = series.of_holdings(self._connection, self._holdings, self._revisions, wanted.model)
        prices = None
        if wish.until is None:
            benchmark = {wanted.benchmark.instrument_id: wanted.benchmark}
            prices = episodes.load(self._connection, histories | benchmark)
        return shared.make(
            histories.values(), wanted.benchmark.series, wanted.model, wish, cut=series.cut, episodes=prices
        )
