"""The newest stored price of each instrument, and its splits: what a valuation asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Connection, text

from tailwatch.book.splits import SplitEvent
from tailwatch.book.valuation import Quote

_QUOTES = text(
    """
    SELECT i.ticker, i.name, i.currency, last.close AS price, last.day AS price_date, last.source AS price_source,
           i.status, i.status_reason AS reason
    FROM instruments i
    LEFT JOIN LATERAL (
      SELECT close, day, source FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last ON true
    WHERE i.id = ANY(:ids)
    """
)

_SPLITS = text(
    """
    SELECT i.ticker, s.day, s.ratio
    FROM splits s JOIN instruments i ON i.id = s.instrument_id
    WHERE i.id = ANY(:ids) ORDER BY i.ticker, s.day
    """
)


def load_quotes(connection: Connection, instrument_ids: Collection[int]) -> dict[str, Quote]:
    """Return the newest close of each instrument with its day, source and state, by ticker; one statement."""
    rows = connection.execute(_QUOTES, {"ids": list(instrument_ids)})
    return {ticker: Quote(*quote) for ticker, *quote in rows}


def load_splits(connection: Connection, instrument_ids: Collection[int]) -> dict[str, list[SplitEvent]]:
    """Return the known splits of each instrument that has any, by ticker, in the order of their days."""
    found: dict[str, list[SplitEvent]] = defaultdict(list)
    for ticker, day, ratio in connection.execute(_SPLITS, {"ids": list(instrument_ids)}):
        found[ticker].append(SplitEvent(day, ratio))
    return dict(found)
