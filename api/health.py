"""What readiness asks: each check in words, none of them slow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import redis
from alembic.runtime.migration import MigrationContext
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from api.schemas.operations import Check
from tailwatch.db import migrate
from tailwatch.db.models import WorkerHeartbeat
from tailwatch.db.session import get_engine
from tailwatch.queue import QUEUES
from tailwatch.settings import get_settings

#: The scheduler sends a probe through each queue every 20 s; this many may be lost.
HEARTBEAT_MAX_AGE: Final = timedelta(seconds=90)


def checks() -> dict[str, Check]:
    """Return every check by name."""
    return _database() | {"broker": _broker()}


def _database() -> dict[str, Check]:
    workers = [f"worker:{queue}" for queue in QUEUES]
    try:
        with get_engine().connect() as connection:
            return {
                "database": Check(ok=True, detail="The database answers."),
                "migrations": _migrations(connection),
                **dict(_workers(connection, datetime.now(UTC))),
            }
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        unknown = Check(ok=False, detail="Cannot be told while the database does not answer.")
        return {
            "database": Check(ok=False, detail=f"The database does not answer: {reason}."),
            **dict.fromkeys(["migrations", *workers], unknown),
        }


def _migrations(connection: Connection) -> Check:
    at, wanted = MigrationContext.configure(connection).get_current_revision(), _head()
    if at == wanted:
        return Check(ok=True, detail=f"The schema is at {at}.")
    return Check(
        ok=False,
        detail=f"The schema is at {at or 'nothing'}, this version needs {wanted}. Run: tailwatch migrate.",
    )


@lru_cache(maxsize=1)
def _head() -> str:
    return migrate.head()


def _workers(connection: Connection, now: datetime) -> Iterable[tuple[str, Check]]:
    rows = connection.execute(select(WorkerHeartbeat.queue, WorkerHeartbeat.answered_at))
    answered = {row.queue: row.answered_at for row in rows}
    for queue in QUEUES:
        last = answered.get(queue)
        if last is not None and now - last <= HEARTBEAT_MAX_AGE:
            check = Check(ok=True, detail=f"A worker answered {(now - last).total_seconds():.0f} s ago.")
        else:
            since = "has answered yet" if last is None else f"has answered since {last:%Y-%m-%d %H:%M:%S} UTC"
            check = Check(ok=False, detail=f"No worker of this queue {since}. Are workers and scheduler running?")
        yield f"worker:{queue}", check


@lru_cache(maxsize=1)
def broker() -> redis.Redis:
    """Return this process's Valkey client for questions: half a second, one try."""
    return redis.Redis.from_url(
        get_settings().redis_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0)
    )


def _broker() -> Check:
    try:
        broker().ping()
    except redis.RedisError as error:
        return Check(ok=False, detail=f"The broker does not answer: {error}. Trades are booked; risk follows later.")
    return Check(ok=True, detail="The broker answers.")
