"""`backtests.run`: make a portfolio's backtest; `backtests.look_back`: find out what is to be made and settled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine

from tailwatch.backtests import jobs, live, making
from tailwatch.db.session import get_engine
from tailwatch.errors import TooLittleHistoryError
from tailwatch.queue import LOOK_BACK, RUN_BACKTEST, celery_app

#: Snapshots that are looked at each minute. Prices arrive one after another, and each brings a new snapshot.
RECENT: Final = timedelta(minutes=30)

log = structlog.get_logger(__name__)


@celery_app.task(name=RUN_BACKTEST)  # type: ignore[untyped-decorator]
def run_backtest(portfolio_ids: Sequence[int]) -> None:
    """Make the backtests of these portfolios that are due; nothing while another worker is making one."""
    engine = get_engine()
    with jobs.claim(engine) as mine:
        for portfolio_id in portfolio_ids if mine else ():
            with structlog.contextvars.bound_contextvars(portfolio_id=portfolio_id):
                make(engine, portfolio_id)


def make(engine: Engine, portfolio_id: int) -> None:
    """Make the backtest of a portfolio if it is due, and keep it, or why there is none."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        job = jobs.find(connection, portfolio_id, datetime.now(UTC))
        if job is None:
            return
        loaded = making.load(connection, job)
    clock = time.perf_counter()
    try:
        result = making.make(loaded)
    except (Exception, SoftTimeLimitExceeded) as error:
        expected = isinstance(error, TooLittleHistoryError)
        if not expected:
            log.exception("backtest failed")
        with engine.begin() as connection:
            jobs.record_failure(connection, job, reason_of(error), datetime.now(UTC), for_good=expected)
        return
    with engine.begin() as connection:
        jobs.save(connection, job, result, datetime.now(UTC))
    log.info("backtest made", ms=round(1e3 * (time.perf_counter() - clock)))


def reason_of(error: BaseException) -> str:
    """Say in a sentence why there is no backtest."""
    if isinstance(error, TooLittleHistoryError):
        return str(error)
    if isinstance(error, SoftTimeLimitExceeded):
        return "The backtest took longer than two minutes and was stopped."
    return f"The backtest failed: {type(error).__name__}: {error}"


@celery_app.task(name=LOOK_BACK)  # type: ignore[untyped-decorator]
def look_back() -> None:
    """Settle the forecasts whose session has come, and want backtests of what has changed."""
    now = datetime.now(UTC)
    settled, found = 0, live.AT_ONCE
    while found >= live.AT_ONCE:
        with get_engine().begin() as connection:
            found = live.settle(connection, now, now - RECENT)
        settled += found
    with get_engine().begin() as connection:
        looked_at = jobs.look(connection, now)
    if settled or looked_at:
        log.info("looked back", settled=settled, portfolios=looked_at)
