"""What a fetch leaves in the database: bars, splits, and the state of the instrument that is its own job."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from tailwatch.db.models import Instrument
from tailwatch.market.sources import Outcome, PriceHistory, SourceChain

#: A ticker that was served by a later source because an earlier one failed is tried again after this.
TRY_BETTER_SOURCE: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(hours=6)


def backoff(attempts: int, retry_after: timedelta | None = None) -> timedelta:
    """Return how long to wait after the `attempts`-th failure in a row: 30 s, doubling up to six hours.

    Never less than the source asked for.
    """
    doubled = min(timedelta(seconds=30 * 2.0 ** min(attempts - 1, 12)), LONGEST_WAIT)
    return max(doubled, retry_after or timedelta(0))


def due_instruments(connection: Connection, instrument_ids: Collection[int], now: datetime) -> dict[int, str]:
    """Return id → ticker of those whose fetch is (still) due; one that another worker did meanwhile is not."""
    rows = connection.execute(
        select(Instrument.id, Instrument.ticker)
        .where(Instrument.id.in_(instrument_ids), Instrument.next_fetch_at <= now)
        .order_by(Instrument.id)
    )
    return {row.id: row.ticker for row in rows}


def save(session: Session, instrument_id: int, outcome: Outcome, chain: SourceChain, now: datetime) -> bool:
    """Keep what came of a fetch, and when the next is due.

    Prices that are there are never lost to a failure, nor replaced by those of a later source: the two may be
    adjusted on different days, and half of each would make a jump that never happened.

    Returns:
        Whether anything changed that risk figures rest on; then the caller raises the market revision in the same
        transaction.
    """
    instrument = session.get_one(Instrument, instrument_id, with_for_update=True)
    instrument.last_fetched_at, instrument.fetch_queued_at = now, None
    before = instrument.status
    had_prices = instrument.source is not None
    history = outcome.history
    if history is not None and had_prices and chain.rank(history.source) > chain.rank(instrument.source):
        history = None
    if history is None and had_prices:
        # An answer that nobody knows it any more is no reason to forget what it was worth.
        _failed(instrument, outcome, now)
        instrument.status = "ok" if outcome.status == "ok" else "failed"
        return instrument.status != before
    instrument.status, instrument.status_reason = outcome.status, outcome.reason
    if history is None:
        _failed(instrument, outcome, now)
        return before != outcome.status
    instrument.fetch_attempts = 0
    # No reason: the first source served it, and the nightly run asks again. A reason: a better one failed.
    instrument.next_fetch_at = None
    if outcome.reason is not None:
        instrument.next_fetch_at = now + max(TRY_BETTER_SOURCE, outcome.retry_after or timedelta(0))
    changed = _store(session, instrument, history, now)
    return changed or before != "ok"


def _failed(instrument: Instrument, outcome: Outcome, now: datetime) -> None:
    instrument.fetch_attempts += 1
    instrument.status_reason = outcome.reason
    # A ticker that nobody knows is asked for again by the nightly run only.
    instrument.next_fetch_at = (
        None if outcome.status == "unknown" else now + backoff(instrument.fetch_attempts, outcome.retry_after)
    )


_DELETE_OTHER_SOURCES = text("DELETE FROM prices WHERE instrument_id = :id AND source <> :source")

_UPSERT = text(
    """
    INSERT INTO prices AS p (instrument_id, day, close, adjusted_close, volume, source, fetched_at)
    SELECT :id, bar.day, bar.close, bar.adjusted_close, bar.volume, :source, :now
    FROM unnest(CAST(:days AS date[]), CAST(:closes AS numeric[]), CAST(:adjusted AS numeric[]),
                CAST(:volumes AS bigint[])) AS bar(day, close, adjusted_close, volume)
    ON CONFLICT (instrument_id, day) DO UPDATE
    SET close = excluded.close, adjusted_close = excluded.adjusted_close, volume = excluded.volume,
        source = excluded.source, fetched_at = excluded.fetched_at
    WHERE (p.close, p.adjusted_close, p.volume) IS DISTINCT FROM
          (excluded.close, excluded.adjusted_close, excluded.volume)
    """
)

_UPSERT_SPLITS = text(
    """
    INSERT INTO splits AS s (instrument_id, day, ratio, source)
    SELECT :id, split.day, split.ratio, :source
    FROM unnest(CAST(:days AS date[]), CAST(:ratios AS numeric[])) AS split(day, ratio)
    ON CONFLICT (instrument_id, day) DO UPDATE SET ratio = excluded.ratio, source = excluded.source
    WHERE s.ratio <> excluded.ratio
    """
)


def _store(session: Session, instrument: Instrument, history: PriceHistory, now: datetime) -> bool:
    instrument.source, instrument.currency = history.source, history.currency
    instrument.name = history.name or instrument.name
    session.flush()
    common = {"id": instrument.id, "source": history.source}
    replaced = _rows(session, _DELETE_OTHER_SOURCES, common)
    stored = _rows(
        session,
        _UPSERT,
        common
        | {
            "now": now,
            "days": [bar.day for bar in history.bars],
            "closes": [round(bar.close, 8) for bar in history.bars],
            "adjusted": [round(bar.adjusted_close, 8) for bar in history.bars],
            "volumes": [bar.volume for bar in history.bars],
        },
    )
    split = _rows(
        session,
        _UPSERT_SPLITS,
        common | {"days": [day for day, _ in history.splits], "ratios": [ratio for _, ratio in history.splits]},
    )
    return bool(replaced or stored or split)


def _rows(session: Session, statement: object, values: dict[str, object]) -> int:
    return int(session.connection().execute(statement, values).rowcount)  # type: ignore[call-overload]
