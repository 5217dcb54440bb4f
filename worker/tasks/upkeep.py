"""Upkeep: the probe that readiness rests on, throwing away what has expired, making up for what was missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import delete, text

from tailwatch.backtests import live
from tailwatch.db.models import IdempotencyKey, Session, SignInLink
from tailwatch.db.session import get_engine
from tailwatch.queue import HOUSEKEEPING, PROBE, celery_app

KEEP_IDEMPOTENCY_KEYS: Final = timedelta(days=7)

log = structlog.get_logger(__name__)


@celery_app.task(name=PROBE)  # type: ignore[untyped-decorator]
def probe(queue: str) -> None:
    """Note that a message went all the way through `queue`."""
    with get_engine().begin() as connection:
        connection.execute(
            text(
                """
                INSERT INTO worker_heartbeats (queue, answered_at) VALUES (:queue, now())
                ON CONFLICT (queue) DO UPDATE SET answered_at = excluded.answered_at
                """
            ),
            {"queue": queue},
        )


@celery_app.task(name=HOUSEKEEPING)  # type: ignore[untyped-decorator]
def housekeeping() -> None:
    """Delete what has expired, and settle forecasts that were missed."""
    now = datetime.now(UTC)
    with get_engine().begin() as connection:
        deleted = {
            "sessions": connection.execute(delete(Session).where(Session.expires_at < now)).rowcount,
            "sign_in_links": connection.execute(delete(SignInLink).where(SignInLink.expires_at < now)).rowcount,
            "idempotency_keys": connection.execute(
                delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEEP_IDEMPOTENCY_KEYS)
            ).rowcount,
        }
        # What is done every minute for what is new, for what a scheduler that was away has missed.
        settled = live.settle(connection, now, now - live.LOOK_BACK)
    log.info("housekeeping done", settled=settled, **deleted)
