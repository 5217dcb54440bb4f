"""Fetches of newer bars alone: what is known, and keeping what continues it, many instruments in one statement.

What a fetch of newer bars brings is taken only if it repeats the newest stored bars (`Known.is_continued_by`).
Otherwise the whole history is asked for and `bars.replace` tells what became of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from tailwatch.market import bars, gate, quality
from tailwatch.market.sources import SAME_PRICE, Bar, Known, Outcome, PriceHistory

#: Sessions that are asked for again.
OVERLAP: Final = 10
#: Once in so many days the whole history is asked for, each instrument on its own day: what was restated further back
#: shows then.
WHOLE_EVERY_DAYS: Final = 30

_KNOWN = text(
    """
    SELECT i.id, i.source, i.currency, newest.days, newest.closes, newest.adjusted
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(day ORDER BY day) AS days, array_agg(close ORDER BY day) AS closes,
             array_agg(adjusted_close ORDER BY day) AS adjusted
      FROM (SELECT * FROM prices WHERE instrument_id = i.id AND source = i.source ORDER BY day DESC LIMIT :overlap) b
    ) newest
    WHERE i.id = ANY(:ids) AND i.currency IS NOT NULL AND cardinality(newest.days) = :overlap
      AND (CAST(:today AS date) - DATE '1970-01-01' + i.id) % :whole_every <> 0
    """
)
_BEFORE = text(
    """
    SELECT day, close, adjusted_close FROM prices WHERE instrument_id = :id AND day < :since
    ORDER BY day DESC LIMIT :most
    """
)

# The row locks come first, in the order of ids; from then on nobody else writes these prices. An instrument about
# which there is more to say than "newer bars" (held-back bars, a failure before, a basis of adjustment that changed
# meanwhile) is left to `store.save`.
_APPEND_ALL = text(
    """
    WITH incoming AS (
      SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:days AS date[]), CAST(:closes AS numeric[]),
                           CAST(:adjusted AS numeric[]), CAST(:opens AS numeric[]), CAST(:highs AS numeric[]),
                           CAST(:lows AS numeric[]), CAST(:volumes AS bigint[]))
        AS bar(id, day, close, adjusted_close, open, high, low, volume)
    ), asked AS (
      SELECT * FROM unnest(CAST(:asked AS bigint[]), CAST(:sources AS text[]), CAST(:sinces AS date[]),
                           CAST(:basis AS numeric[])) AS answer(id, source, since, adjusted_close)
    ), mine AS (
      SELECT i.id, i.source FROM instruments i JOIN asked a USING (id)
      WHERE i.source = a.source AND i.status = 'ok'
        AND i.remarks = '[]'::jsonb
        AND NOT EXISTS (SELECT FROM held_prices h WHERE h.instrument_id = i.id AND h.day >= a.since)
        AND EXISTS (SELECT FROM prices p WHERE p.instrument_id = i.id AND p.day = a.since AND p.source = a.source
                    AND abs(p.adjusted_close - a.adjusted_close) <= :same * a.adjusted_close)
      ORDER BY i.id FOR NO KEY UPDATE OF i
    ), appended AS (
      INSERT INTO prices (instrument_id, day, close, adjusted_close, open, high, low, volume, source, fetched_at)
      SELECT b.id, b.day, round(b.close, 8), round(b.adjusted_close, 8), round(b.open, 8), round(b.high, 8),
             round(b.low, 8), b.volume, m.source, :now
      FROM incoming b JOIN mine m USING (id) ORDER BY b.id, b.day
      ON CONFLICT DO NOTHING RETURNING instrument_id
    ), noted AS (
      UPDATE instruments i
      SET status_reason = NULL, next_fetch_at = NULL, fetch_attempts = 0, fetch_queued_at = NULL,
          last_fetched_at = :now
      FROM mine WHERE i.id = mine.id
    )
    SELECT id, id IN (SELECT instrument_id FROM appended) AS changed FROM mine
    """
)


def load_known(connection: Connection, instrument_ids: Collection[int], today: date) -> dict[int, Known]:
    """Return what a fetch may continue, by id; one statement.

    Instruments with fewer bars than the overlap, and those whose day for a whole history it is, are left out.
    """
    values = {
        "ids": list(instrument_ids),
        "overlap": OVERLAP,
        "today": today,
        "whole_every": WHOLE_EVERY_DAYS,
    }
    return {
        row.id: Known(
            row.source, row.currency, [Bar(*bar) for bar in zip(row.days, row.closes, row.adjusted, strict=True)]
        )
        for row in connection.execute(_KNOWN, values)
    }


def with_context(connection: Connection, instrument_id: int, history: PriceHistory) -> list[Bar]:
    """Return the bars of a partial history after those that are stored before it, for the quality gate to judge."""
    values = {"id": instrument_id, "since": history.since, "most": gate.LOOK_BACK + 1}
    before = [Bar(*row) for row in connection.execute(_BEFORE, values)]
    return [*reversed(before), *history.bars]


def append_all(connection: Connection, outcomes: Mapping[int, Outcome], now: datetime) -> dict[int, bool]:
    """Keep the newer bars of all instruments of which nothing else is to be said, in one statement.

    Returns:
        Whether prices changed, by id; the others are left as they were.

    Raises:
        sqlalchemy.exc.DBAPIError: the database refused one of them; none was kept.
    """
    plain = {each: outcome.history for each, outcome in outcomes.items() if _is_plain(outcome) and outcome.history}
    if not plain:
        return {}
    new = [(each, bar) for each, history in plain.items() for bar in history.bars]
    values = bars.columns([bar for _, bar in new]) | {
        "now": now,
        "same": SAME_PRICE,
        "ids": [each for each, _ in new],
        "asked": list(plain),
        "sources": [history.source for history in plain.values()],
        "sinces": [history.since for history in plain.values()],
        "basis": [history.bars[0].adjusted_close for history in plain.values()],
    }
    return {row.id: row.changed for row in connection.execute(_APPEND_ALL, values)}


def _is_plain(outcome: Outcome) -> bool:
    """Say whether it brings newer bars, from the source of choice, about which there is nothing to say."""
    history = outcome.history
    return (
        history is not None
        and history.partial
        and outcome.reason is None
        and not gate.moves_far(history.bars)
        and quality.is_plain(history)
    )
