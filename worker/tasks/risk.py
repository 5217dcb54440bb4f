"""`risk.refresh`: load a portfolio, measure it, keep the snapshot, tell the pages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from tailwatch import live, logs, metrics, refresh
from tailwatch.db.session import get_engine
from tailwatch.measurement import loading, snapshot
from tailwatch.measurement.inputs import plain
from tailwatch.queue import REFRESH_RISK, celery_app

log = structlog.get_logger(__name__)


@celery_app.task(name=REFRESH_RISK)  # type: ignore[untyped-decorator]
def refresh_risk(portfolio_ids: Sequence[int]) -> None:
    """Bring these portfolios' snapshots up to what is wanted; one that fails does not keep the others waiting."""
    engine = get_engine()
    for portfolio_id in portfolio_ids:
        with structlog.contextvars.bound_contextvars(portfolio_id=portfolio_id):
            bring_up_to_date(engine, portfolio_id)


def bring_up_to_date(engine: Engine, portfolio_id: int) -> None:
    """Compute until nothing newer is wanted.

    The question is asked again after the claim was given back: a change whose message came while we held it found
    the claim taken, so nobody else would look before the sweep.
    """
    behind = True
    while behind:
        with refresh.claim(engine, portfolio_id) as mine:
            if not mine or not compute_once(engine, portfolio_id):
                return
        with engine.connect() as connection:
            behind = refresh.is_behind(connection, portfolio_id)


def compute_once(engine: Engine, portfolio_id: int) -> bool:
    """Load, compute, save and tell once; return whether a snapshot was stored."""
    started, clock = time.time(), time.perf_counter()
    loaded = None
    try:
        loaded = loading.load(engine, portfolio_id)
        if loaded is None:
            return False
        loaded_at = time.perf_counter()
        row = snapshot.make(loaded, datetime.now(UTC))
        computed_at = time.perf_counter()
        row["duration_ms"] = 1e3 * (computed_at - clock)
        saved = refresh.save(engine, row)
        saved_at = time.perf_counter()
    except DBAPIError:
        # The database is away or restarting: there is nowhere to note it. The sweep sends the portfolio again.
        log.warning("database unreachable while computing", exc_info=True)
        return False
    except (Exception, SoftTimeLimitExceeded) as error:
        revision = loaded.revision if loaded else 0
        log.exception("risk could not be computed", revision=revision)
        metrics.SNAPSHOTS.inc("failed")
        refresh.record_failure(engine, portfolio_id, revision, reason_of(error), datetime.now(UTC))
        return False
    if saved is None:
        metrics.SNAPSHOTS.inc("superseded")
        return False
    metrics.SNAPSHOTS.inc("stored")
    for stage, seconds in (
        ("load", loaded_at - clock),
        ("compute", computed_at - loaded_at),
        ("save", saved_at - computed_at),
    ):
        metrics.SNAPSHOT_STAGES.observe(seconds, stage)
    live.publish(
        {
            "kind": "risk",
            "portfolio_id": portfolio_id,
            "snapshot_id": saved.snapshot_id,
            "revision": loaded.revision,
            "state": "computing" if saved.still_behind or row["pending_positions"] else "fresh",
            "annualized_volatility": row["annualized_volatility"],
            "var_95_1d": row["var_95_1d"],
            "es_95_1d": row["es_95_1d"],
            "nav": plain(row["nav"]),
            "computed_at": row["computed_at"].isoformat(),
            "request_id": logs.request_id(),
            "timing": {
                "started": started,
                "load_ms": 1e3 * (loaded_at - clock),
                "compute_ms": 1e3 * (computed_at - loaded_at),
                "save_ms": 1e3 * (saved_at - computed_at),
                "published": time.time(),
            },
        }
    )
    # After the page was told: a line takes its time, too.
    log.info(
        "snapshot stored",
        snapshot_id=saved.snapshot_id,
        revision=loaded.revision,
        trigger=loaded.trigger,
        ms=round(1e3 * (saved_at - clock), 1),
    )
    return True


def reason_of(error: BaseException) -> str:
    """Say in a sentence why a computation failed."""
    if isinstance(error, SoftTimeLimitExceeded):
        return "The computation took longer than two minutes and was stopped."
    return f"The computation failed: {type(error).__name__}: {error}"
