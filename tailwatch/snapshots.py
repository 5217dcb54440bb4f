"""The newest snapshot as readers get it: stored bytes with the portfolio's live state spliced in front."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, RowMapping, text
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
    revision: int
    wanted_revision: int
    state: State
    progress: dict[str, str | float] | None
    failure: Failure | None
    body: bytes | None

    @property
    def etag(self) -> str:
        """Identify the answer: the snapshot and everything live that stands beside it."""
        step = f"-{self.progress['stage']}{self.progress['fraction']}" if self.progress else ""
        # No spaces: an entity tag has none.
        failed = f"-{self.failure.next_attempt_at or ''}".replace(" ", "T") if self.failure else ""
        return f"{self.portfolio_id}-{self.snapshot_id or 0}-{self.wanted_revision}-{self.state}{step}{failed}"

    def spliced(self) -> bytes:
        """Return the stored JSON with the live members in front, without parsing it."""
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
        body = self.body or empty_body(self.portfolio_id, self.revision)
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
            "requested_method": None,
            "confidence": None,
            "window": None,
            **nothing,
            "amounts": None,
            "methods": {},
            "positions": [],
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

_READ_NEWEST = text(
    """
    SELECT p.id, p.revision, p.market_revision, p.done_revision, p.done_market_revision, p.queued_revision,
           p.queued_market_revision, p.queued_at, p.failure_reason, p.failed_revision, p.next_attempt_at,
           s.id AS snapshot_id, s.positions, s.pending_positions, s.body
    FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
    WHERE p.id = :portfolio_id AND p.user_id = :user_id
    """
)


def read_newest(
    connection: Connection | Session, portfolio_id: int, user_id: int, now: datetime | None = None
) -> NewestSnapshot | None:
    """Return the newest snapshot of a portfolio of this user in one statement; None if there is no such portfolio."""
    row = (
        connection.execute(_READ_NEWEST, {"portfolio_id": portfolio_id, "user_id": user_id}).mappings().one_or_none()
    )
    if row is None:
        return None
    state = state_of(row, now or datetime.now(UTC))
    failure = (
        Failure(row["failure_reason"], row["next_attempt_at"])
        if state == "failed" and row["failure_reason"]
        else None
    )
    return NewestSnapshot(
        portfolio_id=row["id"],
        snapshot_id=row["snapshot_id"],
        revision=row["done_revision"],
        wanted_revision=row["revision"],
        state=state,
        progress=_progress(row) if state == "computing" else None,
        failure=failure,
        body=bytes(row["body"]) if row["body"] is not None else None,
    )


def state_of(row: RowMapping | dict[str, Any], now: datetime) -> State:
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


def _progress(row: RowMapping) -> dict[str, str | float] | None:
    pending, positions = row["pending_positions"], row["positions"]
    if not pending:
        return {"stage": "risk", "fraction": 0.0}
    return {"stage": "prices", "fraction": round((positions - pending) / positions, 3)}
