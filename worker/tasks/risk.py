"""`risk.refresh`: load portfolios, measure them, keep the snapshots, tell the pages."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

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


#: Portfolios that are read, measured and stored in one go.
BATCH: Final = 250


@celery_app.task(name=REFRESH_RISK)  # type: ignore[untyped-decorator]
def refresh_risk(portfolio_ids: Sequence[int]) -> None:
    """Bring these portfolios' snapshots up to what is wanted; one that fails does not keep the others waiting."""
    engine = get_engine()
    for start in range(0, len(portfolio_ids), BATCH):
        bring_up_to_date(engine, portfolio_ids[start : start + BATCH])


def bring_up_to_date(engine: Engine, portfolio_ids: Collection[int]) -> None:
    """Compute until nothing newer is wanted.

    The question is asked again after the claims were given back: a change whose message came while we held one found
    it taken, so nobody else would look before the sweep.
    """
    behind: Collection[int] = portfolio_ids
    while behind:
        with refresh.claim(engine, behind) as mine:
            stored = compute(engine, mine) if mine else ()
        if not stored:
            return
        with engine.connect() as connection:
            behind = refresh.behind(connection, stored)


def compute(engine: Engine, portfolio_ids: Collection[int]) -> Collection[int]:
    """Compute portfolios in one go and, if that fails, one by one; return those whose snapshots were stored."""
    if len(portfolio_ids) > 1:
        try:
            with garbage_left():
                return store(engine, read(engine, portfolio_ids, share=True))
        except DBAPIError:
            # The database is away or restarting. The sweep sends the portfolios again.
            log.warning("database unreachable while computing", exc_info=True)
            return ()
        except SoftTimeLimitExceeded:
            log.warning("a batch took longer than two minutes and was stopped", count=len(portfolio_ids))
            return ()
        except Exception:
            # Whose fault it is shows when each is alone; the others are not to suffer from it.
            log.warning("a batch failed; its portfolios are computed one by one", exc_info=True)
    return [each for each in portfolio_ids if compute_alone(engine, each)]


@contextmanager
def garbage_left() -> Iterator[None]:
    """Leave cyclic garbage alone: a batch makes hundreds of thousands of objects and no cycles.

    The collector would look through all of them again and again, which takes as long as all the rest.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def compute_alone(engine: Engine, portfolio_id: int) -> bool:
    """Compute one portfolio, and note its failure if it fails; return whether a snapshot was stored."""
    revision = 0
    with structlog.contextvars.bound_contextvars(portfolio_id=portfolio_id):
        try:
            found = read(engine, [portfolio_id])
            if found.portfolios:
                revision = found.portfolios[0].revision
            return bool(store(engine, found))
        except DBAPIError:
            # There is nowhere to note it. The sweep sends the portfolio again.
            log.warning("database unreachable while computing", exc_info=True)
        except (Exception, SoftTimeLimitExceeded) as error:
            log.exception("risk could not be computed", revision=revision)
            metrics.SNAPSHOTS.inc("failed")
            refresh.record_failure(engine, portfolio_id, revision, reason_of(error), datetime.now(UTC))
    return False


@dataclass(frozen=True)
class Read:
    """Portfolios as they were read, and when: wall-clock time, and the clock that durations are measured by."""

    portfolios: Sequence[loading.Loaded]
    started: float
    clock: float
    loaded_at: float


def read(engine: Engine, portfolio_ids: Collection[int], *, share: bool = False) -> Read:
    """Load those of these portfolios that are behind."""
    started, clock = time.time(), time.perf_counter()
    loaded = loading.load_all(engine, portfolio_ids, share=share)
    return Read(loaded, started, clock, time.perf_counter())


def store(engine: Engine, found: Read) -> list[int]:
    """Measure portfolios, keep their snapshots and tell the pages; return those whose snapshots were stored."""
    if not found.portfolios:
        return []
    rows = snapshot.make_all(found.portfolios, datetime.now(UTC))
    computed_at = time.perf_counter()
    each_took = 1e3 * (computed_at - found.clock) / len(rows)
    saved = refresh.save(engine, [row | {"duration_ms": each_took} for row in rows])
    saved_at = time.perf_counter()
    stages = {
        "load": found.loaded_at - found.clock,
        "compute": computed_at - found.loaded_at,
        "save": saved_at - computed_at,
    }
    for _ in range(len(rows) - len(saved)):
        metrics.SNAPSHOTS.inc("superseded")
    stored = [(one, row) for one, row in zip(found.portfolios, rows, strict=True) if one.portfolio_id in saved]
    for _ in stored:
        metrics.SNAPSHOTS.inc("stored")
        for stage, seconds in stages.items():
            metrics.SNAPSHOT_STAGES.observe(seconds / len(rows), stage)
    timing = {"started": found.started, **{f"{stage}_ms": 1e3 * seconds for stage, seconds in stages.items()}}
    live.publish(*[_message(one, row, saved[one.portfolio_id], timing) for one, row in stored])
    # After the pages were told: a line takes its time, too.
    _say(stored, saved, 1e3 * (saved_at - found.clock))
    return list(saved)


def _message(
    loaded: loading.Loaded, row: Mapping[str, Any], saved: refresh.Saved, timing: Mapping[str, float]
) -> live.Message:
    return {
        "kind": "risk",
        "portfolio_id": loaded.portfolio_id,
        "snapshot_id": saved.snapshot_id,
        "revision": loaded.revision,
        "state": "computing" if saved.still_behind or row["pending_positions"] else "fresh",
        "annualized_volatility": row["annualized_volatility"],
        "var_95_1d": row["var_95_1d"],
        "es_95_1d": row["es_95_1d"],
        "nav": plain(row["nav"]),
        "computed_at": row["computed_at"].isoformat(),
        "request_id": logs.request_id(),
        "timing": {**timing, "published": time.time()},
    }


def _say(
    stored: Sequence[tuple[loading.Loaded, Mapping[str, Any]]], saved: Mapping[int, refresh.Saved], ms: float
) -> None:
    if len(stored) > 1:
        log.info("snapshots stored", count=len(stored), ms=round(ms, 1), ms_each=round(ms / len(stored), 2))
    for one, _ in stored:
        said = {"snapshot_id": saved[one.portfolio_id].snapshot_id, "revision": one.revision, "trigger": one.trigger}
        if len(stored) > 1:
            log.debug("snapshot stored", portfolio_id=one.portfolio_id, **said)
        else:
            log.info("snapshot stored", ms=round(ms, 1), **said)


def reason_of(error: BaseException) -> str:
    """Say in a sentence why a computation failed."""
    if isinstance(error, SoftTimeLimitExceeded):
        return "The computation took longer than two minutes and was stopped."
    return f"The computation failed: {type(error).__name__}: {error}"
