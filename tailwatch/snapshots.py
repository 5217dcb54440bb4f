"""The newest snapshot as readers get it: stored bytes with the portfolio's live state spliced in front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, Literal

import orjson
from cachetools import LRUCache
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from tailwatch.refresh import NIGHTLY_LEASE

State = Literal["fresh", "stale", "computing", "failed", "empty"]


@dataclass(frozen=True)
class Failure:
    """Why the last attempt failed, in words, and when the next one comes."""

    reason: str
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class NewestSnapshot:
    """The newest stored snapshot of a portfolio with its live state beside it."""

    portfolio_id: int
    snapshot_id: int | None
    computed_at: datetime | None
    revision: int
    wanted_revision: int
    state: State
    progress: dict[str, str | float] | None
    failure: Failure | None

    @property
    def etag(self) -> str:
        """Identify the answer: the snapshot and everything live that stands beside it."""
        step = f"-{self.progress['stage']}{self.progress['fraction']}" if self.progress else ""
        # No spaces: an entity tag has none.
        failed = f"-{self.failure.next_attempt_at or ''}".replace(" ", "T") if self.failure else ""
        return f"{self.portfolio_id}-{self.snapshot_id or 0}-{self.wanted_revision}-{self.state}{step}{failed}"

    def spliced(self, body: bytes) -> bytes:
        """Return `body`, the stored JSON, with the live members in front, without parsing it."""
        live = {
            "state": self.state,
            "wanted_revision": self.wanted_revision,
            "progress": self.progress,
            "failure": None
            if self.failure is None
            else {"reason": self.failure.reason, "next_attempt_at": self.failure.next_attempt_at},
            "snapshot_id": self.snapshot_id,
        }
        head = orjson.dumps(live, option=orjson.OPT_UTC_Z)
        return head[:-1] + b"," + body[1:]


def empty_body(portfolio_id: int, revision: int) -> bytes:
    """Return the body of a portfolio without a snapshot: the same members, null or empty."""
    nothing = dict.fromkeys(_HEADLINE)
    return orjson.dumps(
        {
            "portfolio_id": portfolio_id,
            "revision": revision,
            "market_revision": None,
            "as_of": None,
            "computed_at": None,
            "trigger": None,
            "base_currency": None,
            "nav": None,
            "gross": None,
            "cash": None,
            "method": None,
            "confidence": None,
            "window": None,
            **nothing,
            "amounts": None,
            "methods": {},
            "intervals": None,
            "disagreement": None,
            "positions": [],
            "by_currency": [],
            "by_label": {},
            "correlation": None,
            "distribution": None,
            "drawdown": None,
            "beta": None,
            "benchmark": None,
            "concentration": None,
            "coverage": None,
            "warnings": [],
            "inputs_hash": None,
        }
    )


_HEADLINE = (
    "annualized_volatility",
    "var_95_1d",
    "es_95_1d",
    "var_975_1d",
    "es_975_1d",
    "var_99_1d",
    "es_99_1d",
)

#: The refresh columns of a portfolio of a user and of its newest snapshot; no row if there is no such portfolio of
#: theirs. The one place that says whose snapshots somebody may read, with places for `portfolio_id` and `user_id`.
STATE: Final = """
    SELECT p.id, p.revision, p.market_revision, p.done_revision, p.done_market_revision, p.queued_revision,
           p.queued_market_revision, p.queued_at, p.failure_reason, p.failed_revision, p.next_attempt_at,
           s.id AS snapshot_id, s.computed_at, s.positions, s.pending_positions
    FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
    WHERE p.id = {portfolio_id} AND p.user_id = {user_id}
"""
_READ_STATE = text(STATE.format(portfolio_id=":portfolio_id", user_id=":user_id"))
_READ_BODY = text("SELECT convert_from(body, 'UTF8') FROM risk_snapshots WHERE id = :id")


def read_newest(
    connection: Connection | Session, portfolio_id: int, user_id: int, now: datetime | None = None
) -> NewestSnapshot | None:
    """Return the newest snapshot of a portfolio of this user; None if there is no such portfolio."""
    row = connection.execute(_READ_STATE, {"portfolio_id": portfolio_id, "user_id": user_id}).mappings().one_or_none()
    return None if row is None else of_state(dict(row), now or datetime.now(UTC))


def of_state(row: Mapping[str, Any], now: datetime) -> NewestSnapshot:
    """Return what a row of `STATE` says."""
    state = state_of(row, now)
    failure = (
        Failure(row["failure_reason"], row["next_attempt_at"])
        if state == "failed" and row["failure_reason"]
        else None
    )
    return NewestSnapshot(
        portfolio_id=row["id"],
        snapshot_id=row["snapshot_id"],
        computed_at=row["computed_at"],
        revision=row["done_revision"],
        wanted_revision=row["revision"],
        state=state,
        progress=_progress(row) if state == "computing" else None,
        failure=failure,
    )


def read_answer(connect: Callable[[], Connection | Session], newest: NewestSnapshot) -> bytes | None:
    """Return the JSON to answer with; None if the snapshot has gone since, so that the state must be read again.

    `connect` is called only if the database has to be asked, which it is once a snapshot.
    """
    if newest.snapshot_id is None:
        return newest.spliced(empty_body(newest.portfolio_id, newest.revision))
    body = _body(connect, newest)
    return None if body is None else newest.spliced(body)


# A snapshot is never updated, so what was read of it stays right; who may see it is asked before, every time. After a
# restored backup an id may be given again, so an id is not enough to know one by.
_bodies: Final[LRUCache[tuple[object, ...], bytes]] = LRUCache(maxsize=16_000_000, getsizeof=len)
_bodies_lock: Final = Lock()


def _body(connect: Callable[[], Connection | Session], newest: NewestSnapshot) -> bytes | None:
    known_by = (newest.portfolio_id, newest.snapshot_id, newest.revision, newest.computed_at)
    with _bodies_lock:
        body = _bodies.get(known_by)
    if body is not None:
        return body
    # As text: what libpq makes of a binary column is twice as long.
    stored: str | None = connect().execute(_READ_BODY, {"id": newest.snapshot_id}).scalar()
    if stored is None:
        return None
    body = stored.encode()
    # A body larger than the whole cache is refused by it.
    with _bodies_lock, suppress(ValueError):
        _bodies[known_by] = body
    return body


def state_of(row: Mapping[str, Any], now: datetime) -> State:
    """Name the state of a portfolio's risk from its refresh columns.

    fresh: the snapshot has seen everything. computing: a wake-up call is under way, or prices of a position are
    still being fetched. failed: the last attempt at what is wanted failed. stale: behind, and nobody is at it yet.
    empty: nothing to compute.
    """
    behind = row["revision"] > row["done_revision"] or row["market_revision"] > row["done_market_revision"]
    if not behind:
        if row["snapshot_id"] is None:
            return "empty"
        return "computing" if row["pending_positions"] else "fresh"
    if row["failure_reason"] is not None and row["failed_revision"] >= row["revision"]:
        return "failed"
    queued = (
        row["queued_revision"] > row["done_revision"] or row["queued_market_revision"] > row["done_market_revision"]
    )
    if queued and row["queued_at"] is not None and now - row["queued_at"] < NIGHTLY_LEASE:
        return "computing"
    return "stale"


def _progress(row: Mapping[str, Any]) -> dict[str, str | float] | None:
    pending, positions = row["pending_positions"], row["positions"]
    if not pending:
        return {"stage": "risk", "fraction": 0.0}
    return {"stage": "prices", "fraction": round((positions - pending) / positions, 3)}
