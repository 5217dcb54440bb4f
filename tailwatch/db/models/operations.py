"""How the installation is doing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from tailwatch.db.models.base import Base, created


class IdempotencyKey(Base):
    """The answer that a write with an `Idempotency-Key` got, given again to a repeat of it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (CheckConstraint("length(key) BETWEEN 1 AND 200", name="key"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of method, path and body: a key used again for something else is refused.
    request_hash: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    response: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class WorkerHeartbeat(Base):
    """When a task round trip through each queue last came back: what readiness asks."""

    __tablename__ = "worker_heartbeats"

    queue: Mapped[str] = mapped_column(primary_key=True)
    answered_at: Mapped[datetime]


class NightlyRun(Base):
    """A nightly refresh that was started: one a business day, however many schedulers ask for it."""

    __tablename__ = "nightly_runs"

    business_day: Mapped[date] = mapped_column(Date, primary_key=True)
    started_at: Mapped[datetime] = created()
    #: Instruments whose prices were asked for.
    instruments: Mapped[int]


class BackupRun(Base):
    """A scheduled backup: one a day, however many schedulers ask for it."""

    __tablename__ = "backup_runs"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    started_at: Mapped[datetime] = created()
    #: None: under way, or failed; `error` tells.
    finished_at: Mapped[datetime | None]
    file: Mapped[str | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None]


class Release(Base):
    """A version of Tailwatch that ran on this database, noted when it first migrated it."""

    __tablename__ = "releases"

    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: The schema revision that this version left behind.
    schema_revision: Mapped[str] = mapped_column(String(32))
    first_at: Mapped[datetime] = created()
