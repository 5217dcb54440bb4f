"""What is behind, who computes it, and how a result is kept: "being stale is the queue", on one page.

A portfolio is behind while `revision > done_revision` or `market_revision > done_market_revision`. Whoever changes
something that affects risk raises the wanted revision in the transaction of the change and NOTIFYs. The dispatcher
turns what is behind into wake-up messages; a worker computes and stores snapshot and done revisions in one
transaction. So a lost or repeated message, a killed worker or a burst of trades needs no case of its own: the sweep
wakes whatever is behind, a repeat finds nothing to do, and one computation answers all that it could see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tailwatch import logs
from tailwatch.db.models import RiskSnapshot
from tailwatch.market import breakers
from tailwatch.market.rates import RESTING_ON

NOTIFY_CHANNEL: Final = "tailwatch_refresh"

#: A wake-up call without a result for this long is sent again.
INTERACTIVE_LEASE: Final = timedelta(seconds=10)
NIGHTLY_LEASE: Final = timedelta(seconds=60)
FETCH_LEASE: Final = timedelta(seconds=120)
#: Portfolios of a nightly run that are under way at once; the sweep sends more as they finish.
NIGHTLY_IN_FLIGHT: Final = 5000
INTERACTIVE_BATCH: Final = 200
#: So long a nightly batch waits for prices that are still being fetched: whatever arrives would have all portfolios
#: that rest on it computed again, and the samples that they share made again.
PRICES_FIRST: Final = timedelta(minutes=15)

#: Advisory lock class (the first of two keys) of "this portfolio is being computed".
_COMPUTING: Final = 7_401

Trigger = Literal["trade", "settings", "manual"]


# --- wanting: called by whoever changes something, inside the transaction of the change ---


def raise_revision(session: Session, portfolio_id: int, trigger: Trigger) -> int:
    """Mark the portfolio as changed and wake the dispatcher when the caller's transaction commits.

    Call it last in the transaction: it locks the portfolio's row until the commit.

    Returns:
        The new revision, which the snapshot that sees this change will carry.
    """
    values = {"id": portfolio_id, "trigger": trigger, "request_id": logs.request_id()}
    return int(session.execute(_RAISE_REVISION, values).scalar_one())


# One statement, one round trip: the notification rides on the row it speaks of. Of several requests that one
# computation answers, the last is the one that its logs name.
_RAISE_REVISION = text(
    f"""
    WITH raised AS (
      UPDATE portfolios SET revision = revision + 1, trigger = :trigger, request_id = :request_id,
                            behind_since = coalesce(behind_since, now())
      WHERE id = :id RETURNING revision)
    SELECT revision FROM raised, LATERAL (SELECT pg_notify('{NOTIFY_CHANNEL}', '')) AS woken
    """  # noqa: S608 - a constant of this module
)


def request_recompute(session: Session, portfolio_id: int) -> int:
    """Want the portfolio computed anew; one that is behind already is not asked for twice.

    Returns:
        The revision that the coming snapshot will carry at least.
    """
    wanted = session.execute(
        text(
            """
            SELECT CASE WHEN (revision > done_revision OR market_revision > done_market_revision)
                         AND failure_reason IS NULL THEN revision END
            FROM portfolios WHERE id = :id FOR UPDATE
            """
        ),
        {"id": portfolio_id},
    ).scalar_one()
    return int(wanted) if wanted is not None else raise_revision(session, portfolio_id, "manual")


def raise_market_revision(session: Session, instrument_ids: Collection[int]) -> int:
    """Mark these instruments' prices (or status) as changed, and every portfolio that rests on one of them.

    Returns:
        The new market revision.
    """
    revision = session.execute(text("SELECT nextval('market_revision')")).scalar_one()
    values = {"revision": revision, "ids": list(instrument_ids)}
    session.execute(text("UPDATE instruments SET market_revision = :revision WHERE id = ANY(:ids)"), values)
    session.execute(
        text(
            f"""
            WITH resting_on_rates AS ({RESTING_ON}), touched AS (
              SELECT portfolio_id AS id FROM trades WHERE instrument_id = ANY(:ids)
              UNION SELECT id FROM portfolios WHERE benchmark_id = ANY(:ids)
              UNION SELECT id FROM resting_on_rates
            ), locked AS (
              -- in the order of their ids, so that two price tasks never wait for each other
              SELECT id FROM portfolios WHERE id IN (SELECT id FROM touched) ORDER BY id FOR UPDATE
            )
            UPDATE portfolios p SET market_revision = :revision, behind_since = coalesce(p.behind_since, now())
            FROM locked WHERE p.id = locked.id
            """  # noqa: S608 - a constant
        ),
        values,
    )
    session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": NOTIFY_CHANNEL})
    return int(revision)


def raise_all(session: Session) -> int:
    """Mark every portfolio as behind, as new prices of all instruments would: a nightly batch works them off.

    For what all figures rest on, such as the volatility model.

    Returns:
        How many there are.
    """
    raised = session.execute(
        text(
            """
            WITH revision AS (SELECT nextval('market_revision') AS newest),
            locked AS (SELECT id FROM portfolios ORDER BY id FOR UPDATE),
            raised AS (
              UPDATE portfolios p SET market_revision = newest, behind_since = coalesce(p.behind_since, now())
              FROM locked, revision WHERE p.id = locked.id RETURNING p.id)
            SELECT count(*) FROM raised
            """
        )
    ).scalar_one()
    session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": NOTIFY_CHANNEL})
    return int(raised)


def fetch_prices(session: Session, instrument_id: int) -> datetime:
    """Have the prices of an instrument fetched as soon as the caller's transaction commits; return since when.

    Sources that are left alone are asked once more, by one process with one request: a person may know that they are
    back.
    """
    breakers.allow_probe(session.connection())
    values = {"id": instrument_id, "channel": NOTIFY_CHANNEL}
    due: datetime = session.execute(_FETCH, values).scalar_one()
    return due


_FETCH = text(
    """
    WITH due AS (
      UPDATE instruments SET next_fetch_at = now(), fetch_queued_at = NULL WHERE id = :id RETURNING next_fetch_at)
    SELECT next_fetch_at FROM due, LATERAL (SELECT pg_notify(:channel, '')) AS woken
    """
)


# --- waking: the dispatcher's sweep ---


_SWEEP_INTERACTIVE = text(
    """
    UPDATE portfolios SET queued_revision = revision, queued_market_revision = market_revision, queued_at = :now
    WHERE id IN (
      SELECT id FROM portfolios
      WHERE (revision > done_revision OR market_revision > done_market_revision)
        -- counted only when a portfolio with nothing but new prices is met
        AND (revision > done_revision OR (
          SELECT count(*) <= :few FROM portfolios
          WHERE (revision > done_revision OR market_revision > done_market_revision) AND revision <= done_revision))
        AND (   (queued_revision <= done_revision AND queued_market_revision <= done_market_revision)
             OR queued_at < :now - :lease)
        AND (next_attempt_at IS NULL OR next_attempt_at <= :now OR revision > failed_revision)
      ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED)
    -- new prices are nobody's request
    RETURNING id, CASE WHEN revision > done_revision THEN request_id END AS request_id
    """
)

_SWEEP_NIGHTLY = text(
    """
    UPDATE portfolios SET queued_revision = revision, queued_market_revision = market_revision, queued_at = :now
    WHERE id IN (
      SELECT id FROM portfolios
      WHERE (revision > done_revision OR market_revision > done_market_revision)
        AND revision <= done_revision
        AND (   (queued_revision <= done_revision AND queued_market_revision <= done_market_revision)
             OR queued_at < :now - :lease)
        AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
      ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
)

_COUNT_MARKET_ONLY = text(
    """
    SELECT count(*) AS waiting,
           count(*) FILTER (WHERE queued_at > :now - :lease
             AND (queued_revision > done_revision OR queued_market_revision > done_market_revision)) AS in_flight,
           min(behind_since) < :now - :patience AS impatient,
           -- what failed is due again later, so it keeps nobody waiting
           EXISTS (SELECT FROM instruments WHERE next_fetch_at <= :now) AS fetching
    FROM portfolios
    WHERE (revision > done_revision OR market_revision > done_market_revision) AND revision <= done_revision
    """
)

_SWEEP_FETCHES = text(
    """
    UPDATE instruments SET fetch_queued_at = :now
    WHERE id IN (
      SELECT id FROM instruments
      WHERE next_fetch_at <= :now AND (fetch_queued_at IS NULL OR fetch_queued_at < :now - :lease)
      ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
)


def sweep_interactive(connection: Connection, now: datetime) -> dict[int, str | None]:
    """Mark the portfolios that somebody waits for as queued; the caller publishes, then commits.

    What a person changed is among them, and new prices while they touch few portfolios (a new ticker in one).

    Returns:
        For each portfolio the id of the request that changed it last; None: no request did.
    """
    values = {"now": now, "lease": INTERACTIVE_LEASE, "batch": INTERACTIVE_BATCH, "few": INTERACTIVE_BATCH}
    return {row.id: row.request_id for row in connection.execute(_SWEEP_INTERACTIVE, values)}


def sweep_nightly(connection: Connection, now: datetime) -> list[int]:
    """Mark portfolios that only new prices left behind as queued and return them, a bounded number at a time.

    Nothing while they are few: then they are interactive ones. Nothing for a while, either, as long as more prices
    are on their way.
    """
    values = {"now": now, "lease": NIGHTLY_LEASE, "patience": PRICES_FIRST}
    market = connection.execute(_COUNT_MARKET_ONLY, values).one()
    room = NIGHTLY_IN_FLIGHT - market.in_flight
    if market.waiting <= INTERACTIVE_BATCH or room <= 0 or (market.fetching and not market.impatient):
        return []
    return list(connection.execute(_SWEEP_NIGHTLY, {"now": now, "lease": NIGHTLY_LEASE, "batch": room}).scalars())


def newest_run(connection: Connection) -> str | None:
    """Return the newest nightly run, by its business day: what batches of new prices are put down to in logs."""
    day = connection.scalar(text("SELECT max(business_day) FROM nightly_runs"))
    return None if day is None else day.isoformat()


def sweep_fetches(connection: Connection, now: datetime) -> list[int]:
    """Mark the instruments whose prices are due as queued and return them."""
    return list(connection.execute(_SWEEP_FETCHES, {"now": now, "lease": FETCH_LEASE}).scalars())


# --- computing: the worker's side ---


@contextmanager
def claim(engine: Engine, portfolio_ids: Collection[int]) -> Iterator[set[int]]:
    """Hold portfolios for computing while the block runs; yield those that no other worker holds.

    A claim is an advisory lock of a connection of its own, so a worker that dies gives it back by dying.
    """
    keys = {"kind": _COMPUTING, "ids": list(portfolio_ids)}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = set(connection.scalars(_CLAIM, keys))
        try:
            yield mine
        finally:
            if mine:
                # A connection that died in between took the claims with it.
                with suppress(DBAPIError):
                    connection.execute(_GIVE_BACK, keys | {"ids": list(mine)})


_CLAIM = text("SELECT id FROM unnest(CAST(:ids AS int[])) id WHERE pg_try_advisory_lock(:kind, id & 2147483647)")
_GIVE_BACK = text("SELECT pg_advisory_unlock(:kind, id & 2147483647) FROM unnest(CAST(:ids AS int[])) id")


def behind(connection: Connection, portfolio_ids: Collection[int]) -> list[int]:
    """Return those of these portfolios that exist and whose newest snapshot is behind what is wanted."""
    return list(
        connection.scalars(
            text(
                """
                SELECT id FROM portfolios
                WHERE id = ANY(:ids) AND (revision > done_revision OR market_revision > done_market_revision)
                """
            ),
            {"ids": list(portfolio_ids)},
        )
    )


@dataclass(frozen=True)
class Saved:
    """A stored snapshot: its id, and whether something newer is wanted already."""

    snapshot_id: int
    still_behind: bool


# One statement is one transaction and one round trip. The lock comes first: between its answer and the commit nobody
# stores another result or deletes a portfolio.
_COLUMNS: Final = [column for column in RiskSnapshot.__table__.columns if column.name != "id"]
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_GIVEN: Final = ", ".join(f"CAST(:{one.name} AS {one.type.compile(_DIALECT)}[])" for one in _COLUMNS)
_NAMES: Final = ", ".join(one.name for one in _COLUMNS)
_SAVE = text(
    f"""
    WITH given AS (
      SELECT * FROM unnest({_GIVEN}) AS given ({_NAMES})
    ), wanted AS (
      SELECT p.id FROM portfolios p JOIN given g ON p.id = g.portfolio_id
      WHERE p.done_revision <= g.revision AND p.done_market_revision <= g.market_revision
        AND (p.done_revision < g.revision OR p.done_market_revision < g.market_revision)
      ORDER BY p.id FOR NO KEY UPDATE OF p
    ), stored AS (
      INSERT INTO risk_snapshots ({_NAMES})
      SELECT g.* FROM given g JOIN wanted ON wanted.id = g.portfolio_id
      RETURNING id, portfolio_id, revision, market_revision
    )
    UPDATE portfolios p
    SET done_revision = s.revision, done_market_revision = s.market_revision, snapshot_id = s.id,
        -- what is wanted beyond this came after it was read
        behind_since = CASE WHEN p.revision > s.revision OR p.market_revision > s.market_revision THEN now() END,
        attempts = 0, failure_reason = NULL, failed_at = NULL, next_attempt_at = NULL
    FROM stored s WHERE p.id = s.portfolio_id
    RETURNING p.id, s.id AS snapshot_id,
              p.revision > s.revision OR p.market_revision > s.market_revision AS still_behind
    """  # noqa: S608 - columns of the model
)


def save(engine: Engine, snapshots: Sequence[Mapping[str, Any]]) -> dict[int, Saved]:
    """Store snapshots (columns of `risk_snapshots`), one a portfolio, and mark their revisions as done, all or none.

    Columns that may be null can be left out.

    Returns:
        By portfolio. Without those, of which nothing is stored, that have a snapshot of the same or newer revisions
        already or are gone: an older result never takes the place of a newer one.
    """
    values = {one.name: [snapshot.get(one.name) for snapshot in snapshots] for one in _COLUMNS}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        rows = connection.execute(_SAVE, values).all()
    return {row.id: Saved(row.snapshot_id, row.still_behind) for row in rows}


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after the `attempts`-th failure in a row: 5 s, doubling, at most 10 minutes."""
    doubled = timedelta(seconds=5 * 2.0 ** min(attempts - 1, 10))
    return min(doubled, timedelta(minutes=10))


def record_failure(engine: Engine, portfolio_id: int, revision: int, reason: str, now: datetime) -> None:
    """Keep why the computation of `revision` failed and when it is tried again; the last snapshot stays served."""
    with engine.begin() as connection:
        attempts = connection.scalar(
            text("SELECT attempts + 1 FROM portfolios WHERE id = :id FOR UPDATE"), {"id": portfolio_id}
        )
        if attempts is None:
            return
        connection.execute(
            text(
                """
                UPDATE portfolios
                SET attempts = :attempts, failure_reason = :reason, failed_at = :now, failed_revision = :revision,
                    next_attempt_at = :next, queued_revision = done_revision,
                    queued_market_revision = done_market_revision
                WHERE id = :id
                """
            ),
            {
                "id": portfolio_id,
                "attempts": attempts,
                "reason": reason[:1000],
                "now": now,
                "revision": revision,
                "next": now + backoff(attempts),
            },
        )
