"""Instruments as holdings are made of them: each with its newest price and its splits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import Connection, RowMapping, text

from tailwatch.book.splits import SplitEvent
from tailwatch.market import remarks
from tailwatch.measurement.holding import Holding

_INSTRUMENTS: Final = text(
    """
    SELECT i.id, i.ticker, i.currency, i.status, i.status_reason, i.source, i.market_revision, i.labels,
           i.remarks, CASE WHEN i.due_day > last.day THEN i.due_day END AS due_day,
           last.close AS price, last.day AS price_day, s.days AS split_days, s.ratios
    FROM instruments i
    LEFT JOIN LATERAL (
      SELECT close, day FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last ON true
    LEFT JOIN LATERAL (
      SELECT array_agg(day ORDER BY day) AS days, array_agg(ratio ORDER BY day) AS ratios
      FROM splits WHERE instrument_id = i.id) s ON true
    WHERE i.id = ANY(:ids) OR i.ticker = ANY(:tickers)
    """
)


class Instrument(NamedTuple):
    """What there is to hold: a holding of none of it, without an exchange rate, and its splits."""

    none: Holding
    splits: Sequence[SplitEvent]


def load(connection: Connection, ids: Collection[int], tickers: Collection[str] = ()) -> dict[int, Instrument]:
    """Return those with these ids, and those with these tickers, by id."""
    rows = connection.execute(_INSTRUMENTS, {"ids": list(ids), "tickers": list(tickers)}).mappings()
    return {row["id"]: Instrument(_none_of(row), _splits(row)) for row in rows}


def _none_of(row: RowMapping) -> Holding:
    return Holding(
        instrument_id=row["id"],
        ticker=row["ticker"],
        currency=row["currency"],
        status=row["status"],
        status_reason=row["status_reason"],
        source=row["source"],
        market_revision=row["market_revision"],
        quantity=Decimal(0),
        price=row["price"],
        price_day=row["price_day"],
        labels=row["labels"],
        remarks=tuple(remarks.warned(row["remarks"])),
        due_day=row["due_day"],
    )


def _splits(row: RowMapping) -> list[SplitEvent]:
    return [SplitEvent(*split) for split in zip(row["split_days"] or (), row["ratios"] or (), strict=True)]
