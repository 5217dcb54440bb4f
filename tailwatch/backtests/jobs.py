"""Which backtests are to be made: the row of a portfolio in `backtests` is its job while `due_at` is set.

A backtest is wanted anew when a portfolio's positions, settings or newest price day are not those of the last one.
`look` finds out from the stored snapshots, a while after the last change, so nothing of this stands in the way of a
trade. The dispatcher wakes one at a time, and none while a batch of new prices is being computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tailwatch.refresh import NOTIFY_CHANNEL, backoff

#: A portfolio is left alone for this long after its last change, so that a burst of trades is one backtest …
QUIET: Final = timedelta(seconds=30)
#: … unless its last backtest is this old.
PATIENCE: Final = timedelta(minutes=10)
#: A wake-up call without a result for this long is sent again.
LEASE: Final = timedelta(minutes=5)

#: Advisory lock of "a backtest is being made".
_MAKING: Final = 7_402

#: The next one may be sent.
_WAKE: Final = f"SELECT pg_notify('{NOTIFY_CHANNEL}', '')"

State = Literal["none", "computing", "ready", "failed"]

# What a backtest depends on. The key goes by what was asked for and not by its result, so that it is cheap.
_WANTED: Final = """
    SELECT p.id, s.id AS snapshot_id, md5(concat_ws(' ', s.as_of, i.document->>'model', i.document->>'parameters',
             i.document#>>'{benchmark,ticker}', (
               SELECT string_agg(concat(held->>'ticker', '=', held->>'quantity'), ' ' ORDER BY held->>'ticker')
               FROM jsonb_array_elements(i.document->'positions') held))) AS key
    FROM portfolios p
    JOIN risk_snapshots s ON s.id = p.snapshot_id
    LEFT JOIN backtests b ON b.portfolio_id = p.id
    CROSS JOIN LATERAL (SELECT convert_from(s.inputs, 'UTF8')::jsonb AS document) i
    WHERE s.inputs IS NOT NULL AND s.as_of IS NOT NULL AND s.pending_positions = 0
"""
_LOOK = text(
    f"""
    INSERT INTO backtests AS b (portfolio_id, seen_snapshot_id, wanted_key, due_at)
    SELECT id, snapshot_id, key, :now FROM ({_WANTED}
      AND s.id IS DISTINCT FROM b.seen_snapshot_id
      AND (s.computed_at < :now - :quiet OR b.computed_at < :now - :patience)) wanted
    -- in the order of their ids, as whoever else locks many portfolios
    ORDER BY id
    ON CONFLICT (portfolio_id) DO UPDATE
    SET seen_snapshot_id = excluded.seen_snapshot_id, wanted_key = excluded.wanted_key,
        due_at = CASE WHEN excluded.wanted_key IS DISTINCT FROM b.wanted_key THEN :now ELSE b.due_at END,
        attempts = CASE WHEN excluded.wanted_key IS DISTINCT FROM b.wanted_key THEN 0 ELSE b.attempts END,
        failure_reason = CASE WHEN excluded.wanted_key IS NOT DISTINCT FROM b.wanted_key THEN b.failure_reason END
    """  # noqa: S608 - constants of this module
)
_REQUEST = text(
    f"""
    INSERT INTO backtests AS b (portfolio_id, seen_snapshot_id, wanted_key, due_at)
    SELECT id, snapshot_id, key, :now FROM ({_WANTED} AND p.id = :id) wanted
    ON CONFLICT (portfolio_id) DO UPDATE
    SET seen_snapshot_id = excluded.seen_snapshot_id, wanted_key = excluded.wanted_key, due_at = :now,
        attempts = 0, failure_reason = NULL
    -- pressing it twice is one backtest
    WHERE b.due_at IS NULL OR b.failure_reason IS NOT NULL OR b.wanted_key IS DISTINCT FROM excluded.wanted_key
    """  # noqa: S608 - constants of this module
)
_SWEEP = text(
    """
    UPDATE backtests SET queued_at = :now
    WHERE portfolio_id = (
      SELECT portfolio_id FROM backtests
      WHERE due_at <= :now
        AND NOT EXISTS (SELECT FROM backtests WHERE due_at IS NOT NULL AND queued_at > :now - :lease)
        AND NOT EXISTS (
          SELECT FROM portfolios
          WHERE market_revision > done_market_revision AND revision <= done_revision AND failure_reason IS NULL)
      ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING portfolio_id
    """
)


def look(connection: Connection, now: datetime) -> int:
    """Want a backtest wherever what it would depend on has changed; return how many portfolios were looked at."""
    values = {"now": now, "quiet": QUIET, "patience": PATIENCE}
    return connection.execute(_LOOK, values).rowcount


def request(session: Session, portfolio_id: int, now: datetime) -> None:
    """Want the backtest of a portfolio anew; nothing if it has no snapshot that could be tested."""
    session.execute(_REQUEST, {"id": portfolio_id, "now": now})
    session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": NOTIFY_CHANNEL})


def sweep(connection: Connection, now: datetime) -> list[int]:
    """Mark the next backtest as queued and return its portfolio; nothing while one is under way."""
    return list(connection.execute(_SWEEP, {"now": now, "lease": LEASE}).scalars())


@contextmanager
def claim(engine: Engine) -> Iterator[bool]:
    """Hold the making of backtests while the block runs; yield False at once if another worker is at it."""
    keys = {"kind": _MAKING}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:kind, 0)"), keys))
        try:
            yield mine
        finally:
            if mine:
                # A connection that died in between took the claim with it.
                with suppress(DBAPIError):
                    connection.execute(text("SELECT pg_advisory_unlock(:kind, 0)"), keys)


@dataclass(frozen=True)
class Job:
    """A backtest to make: of the positions that a snapshot's inputs document names."""

    portfolio_id: int
    key: str
    due_at: datetime
    attempts: int
    snapshot_id: int
    as_of: date
    inputs: str


def find(connection: Connection, portfolio_id: int, now: datetime) -> Job | None:
    """Return what is to be made for a portfolio; None if nothing is (any more)."""
    found = connection.execute(
        text(
            """
            SELECT b.portfolio_id, b.wanted_key AS key, b.due_at, b.attempts, s.id AS snapshot_id, s.as_of,
                   convert_from(s.inputs, 'UTF8') AS inputs
            FROM backtests b JOIN risk_snapshots s ON s.id = b.seen_snapshot_id
            WHERE b.portfolio_id = :id AND b.due_at <= :now
            """
        ),
        {"id": portfolio_id, "now": now},
    )
    row = found.mappings().one_or_none()
    return None if row is None else Job(**row)


def save(connection: Connection, job: Job, result: bytes, now: datetime) -> None:
    """Keep the result of a job. One that was wanted anew meanwhile stays due."""
    connection.execute(
        text(
            f"""
            UPDATE backtests
            SET done_key = :key, snapshot_id = :snapshot_id, as_of = :as_of, computed_at = :now, result = :result,
                due_at = CASE WHEN due_at > :due_at THEN due_at END, queued_at = NULL, attempts = 0,
                failure_reason = NULL
            WHERE portfolio_id = :id;
            {_WAKE}
            """  # noqa: S608 - a constant of this module
        ),
        {
            "id": job.portfolio_id,
            "key": job.key,
            "snapshot_id": job.snapshot_id,
            "as_of": job.as_of,
            "due_at": job.due_at,
            "result": result,
            "now": now,
        },
    )


def record_failure(connection: Connection, job: Job, reason: str, now: datetime, *, for_good: bool) -> None:
    """Keep why a job failed, and when it is tried again: after 5 s, then 10, 20 … at most 10 minutes.

    Args:
        connection: In a transaction.
        job: What failed.
        reason: A sentence.
        now: When.
        for_good: Trying again would give the same; only a change of the portfolio helps.
    """
    connection.execute(
        text(
            f"""
            UPDATE backtests
            SET attempts = :attempts, failure_reason = :reason, queued_at = NULL,
                due_at = CASE WHEN due_at > :due_at THEN due_at ELSE :next END
            WHERE portfolio_id = :id;
            {_WAKE}
            """  # noqa: S608 - a constant of this module
        ),
        {
            "id": job.portfolio_id,
            "attempts": job.attempts + 1,
            "reason": reason[:1000],
            "due_at": job.due_at,
            "next": None if for_good else now + backoff(job.attempts + 1),
        },
    )


@dataclass(frozen=True)
class Stored:
    """A portfolio's backtest as it is stored, and where its job stands."""

    state: State
    reason: str | None
    snapshot_id: int | None
    as_of: date | None
    computed_at: datetime | None
    result: str | None


def read(session: Session, portfolio_id: int, user_id: int) -> Stored | None:
    """Return the backtest of a portfolio of this user; None if there is no such portfolio."""
    row = session.execute(
        text(
            """
            SELECT b.due_at, b.failure_reason, b.snapshot_id, b.as_of, b.computed_at,
                   convert_from(b.result, 'UTF8') AS result
            FROM portfolios p LEFT JOIN backtests b ON b.portfolio_id = p.id
            WHERE p.id = :id AND p.user_id = :user_id
            """
        ),
        {"id": portfolio_id, "user_id": user_id},
    ).one_or_none()
    if row is None:
        return None
    state: State = "none"
    if row.failure_reason is not None:
        state = "failed"
    elif row.due_at is not None:
        state = "computing"
    elif row.result is not None:
        state = "ready"
    return Stored(state, row.failure_reason, row.snapshot_id, row.as_of, row.computed_at, row.result)
