"""The stored entries of a portfolio, as the pure book wants them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Connection, text

from tailwatch.book.entries import Entry, EntryType
from tailwatch.book.splits import SplitEvent

_ENTRIES = text(
    """
    SELECT t.id, t.type, t.executed_at, t.currency, i.ticker, t.instrument_id, t.quantity, t.price, t.amount, t.fee,
           t.tax, t.fx_rate, t.account, t.note, t.external_id
    FROM trades t LEFT JOIN instruments i ON i.id = t.instrument_id
    WHERE t.portfolio_id = :id ORDER BY t.executed_at, t.id
    """
)


def load_entries(connection: Connection, portfolio_id: int) -> tuple[list[Entry], set[int]]:
    """Return all entries of a portfolio in their order, and the ids of the instruments that they name."""
    entries, instrument_ids = [], set()
    for row in connection.execute(_ENTRIES, {"id": portfolio_id}):
        if row.instrument_id is not None:
            instrument_ids.add(row.instrument_id)
        entries.append(
            Entry(
                type=EntryType(row.type),
                executed_at=row.executed_at,
                currency=row.currency,
                ticker=row.ticker,
                quantity=row.quantity,
                price=row.price,
                amount=row.amount,
                fee=row.fee,
                tax=row.tax,
                fx_rate=row.fx_rate,
                account=row.account,
                note=row.note,
                external_id=row.external_id,
                id=row.id,
            )
        )
    return entries, instrument_ids


_OWN_SPLITS = text(
    """
    SELECT i.ticker, s.day, s.ratio FROM splits s JOIN instruments i ON i.id = s.instrument_id
    WHERE i.id = ANY(:ids) AND s.source = 'user' ORDER BY i.ticker, s.day
    """
)


def load_own_splits(connection: Connection, instrument_ids: Collection[int]) -> dict[str, list[SplitEvent]]:
    """Return the splits that a person entered or a file brought, by ticker: no price source gives them back."""
    found: dict[str, list[SplitEvent]] = defaultdict(list)
    for ticker, day, ratio in connection.execute(_OWN_SPLITS, {"ids": list(instrument_ids)}):
        found[ticker].append(SplitEvent(day, ratio))
    return dict(found)
