"""Made-up instruments with seeded prices, stored as a fetch leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
from sqlalchemy import Engine, text

from tailwatch import refresh
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments

LAST: date = date(2022, 12, 28)


def weekdays(count: int, last: date = LAST) -> list[date]:
    """Return the `count` weekdays up to `last`."""
    days = np.busday_offset(np.datetime64(last, "D"), np.arange(1 - count, 1), roll="backward")
    return [day.astype(object) for day in days]


def walk(seed: int, count: int, start: float, volatility: float = 0.012, places: int = 4) -> list[Decimal]:
    """Return a seeded random walk of prices, rounded as a source would."""
    moves = np.random.default_rng(seed).standard_t(5, count) * volatility * 0.77
    return [round(Decimal(float(price)), places) for price in start * np.exp(np.cumsum(moves))]


def store(
    engine: Engine,
    ticker: str,
    currency: str,
    days: Sequence[date],
    closes: Sequence[Decimal],
    *,
    widths: Sequence[Decimal | None] | None = None,
) -> int:
    """Store a history, nothing of which is due for a fetch any more; return the instrument's id.

    With `widths` a day opens at its close, and its high and low are that far away from it.
    """
    with transaction(engine) as session:
        instrument = ensure_instruments(session, [ticker])[ticker]
        instrument.currency, instrument.status, instrument.source = currency, "ok", "made up"
        instrument.next_fetch_at = None
        session.flush()
        session.execute(
            text(
                "INSERT INTO prices (instrument_id, day, open, high, low, close, adjusted_close, source, fetched_at) "
                "SELECT :id, day, CASE WHEN width IS NOT NULL THEN close END, close + width, close - width, "
                "close, close, 'made up', :now "
                "FROM unnest(CAST(:days AS date[]), CAST(:closes AS numeric[]), CAST(:widths AS numeric[])) "
                "AS bar (day, close, width) "
                "ON CONFLICT (instrument_id, day) DO UPDATE "
                "SET close = excluded.close, adjusted_close = excluded.adjusted_close"
            ),
            {
                "id": instrument.id,
                "now": datetime.now(UTC),
                "days": list(days),
                "closes": list(closes),
                "widths": list(widths or [None] * len(days)),
            },
        )
        refresh.raise_market_revision(session, [instrument.id])
        return instrument.id
