"""`prices.fetch`: ask, keep what was said, wake whatever rests on it; `prices.nightly`: make due what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, text

from tailwatch import live, refresh
from tailwatch.db.session import get_engine, transaction
from tailwatch.market import breakers, due, incremental, rates, store
from tailwatch.market.chain import configured_chain
from tailwatch.market.sources import Known, Outcome, SourceChain
from tailwatch.queue import FETCH_PRICES, NIGHTLY_PRICES, celery_app
from tailwatch.settings import get_settings
from worker.fetching import in_threads
from worker.nightly import business_day

#: After this time a task begins nothing more: another takes what is left, before this one's time limit ends it.
ASKING_SECONDS: Final = 75.0

log = structlog.get_logger(__name__)


@celery_app.task(name=FETCH_PRICES, soft_time_limit=100, time_limit=110)  # type: ignore[untyped-decorator]
def fetch_prices(instrument_ids: Sequence[int]) -> None:
    """Fetch the instruments that are still due, and keep every outcome, failures included."""
    engine = get_engine()
    chain = configured_chain()
    now = datetime.now(UTC)
    with engine.begin() as connection:
        wanted = store.due_instruments(connection, instrument_ids, now)
        if not wanted:
            return
        known = incremental.load_known(connection, wanted, now.date())
        names = [source.name for source in chain.sources]
        chain.out_of_service |= breakers.out_of_service(connection, names, now)
        has_failed = any(source.failures for source in breakers.states(connection, names))
    start = now.date() - timedelta(days=get_settings().price_history_days)

    def ask(instrument_id: int) -> Outcome:
        return fetch(chain, wanted[instrument_id], start, known.get(instrument_id))

    threads, rest = get_settings().price_concurrency, set(wanted)
    with closing(in_threads(ask, wanted, threads, seconds=ASKING_SECONDS, first_alone=has_failed)) as answers:
        for outcomes in answers:
            save(engine, outcomes, chain)
            rest -= outcomes.keys()
    if rest:
        with engine.begin() as connection:
            connection.execute(_GIVE_BACK, {"ids": list(rest), "channel": refresh.NOTIFY_CHANNEL})


# Nothing is lost if a task ends before this: then the sweep sends what is due again, two minutes later.
_GIVE_BACK = text(
    """
    WITH given_back AS (UPDATE instruments SET fetch_queued_at = NULL WHERE id = ANY(:ids) RETURNING id)
    SELECT pg_notify(:channel, '') FROM given_back LIMIT 1
    """
)


def fetch(chain: SourceChain, ticker: str, start: date, known: Known | None = None) -> Outcome:
    """Ask for one ticker; whatever goes wrong is its own outcome, and the tickers after it are asked for too."""
    try:
        return chain.fetch(ticker, start, datetime.now(UTC), known)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        log.exception("price source broke", ticker=ticker)
        return Outcome("failed", None, f"The prices of {ticker} could not be fetched ({type(error).__name__}).")


def save(engine: Engine, outcomes: dict[int, Outcome], chain: SourceChain) -> None:
    """Keep these outcomes and raise the market revision of what changed, in one transaction."""
    now = datetime.now(UTC)
    with transaction(engine) as session:
        changed = store.save_all(session, outcomes, chain, now)
        due.note(session.connection(), outcomes)
        breakers.note(session.connection(), chain, now)
        if changed:
            # Only now it is known in which currencies they are.
            rates.ensure_rates_for(session, changed)
            refresh.raise_market_revision(session, changed)
    for instrument_id, outcome in outcomes.items():
        if outcome.status != "ok":
            log.warning("no prices", instrument_id=instrument_id, status=outcome.status, reason=outcome.reason)
    log.info("prices kept", asked=len(outcomes), changed=len(changed))
    tell_who_waits(engine)


def tell_who_waits(engine: Engine) -> None:
    """Tell the pages of portfolios that wait for a first price how many of their positions have one."""
    with engine.connect() as connection:
        waiting = connection.execute(_WAITING).all()
    for row in waiting:
        live.publish(
            {"kind": "progress", "portfolio_id": row.portfolio_id, "stage": "prices", "fraction": row.fraction}
        )


# Starts from the pending instruments, which are few on any night.
_WAITING = text(
    """
    SELECT portfolio_id, round(count(*) FILTER (WHERE status <> 'pending') / count(*)::numeric, 3)::float8 AS fraction
    FROM (
      SELECT DISTINCT t.portfolio_id, i.id, i.status FROM trades t JOIN instruments i ON i.id = t.instrument_id
      WHERE t.portfolio_id IN (
        SELECT w.portfolio_id FROM trades w JOIN instruments p ON p.id = w.instrument_id WHERE p.status = 'pending')
    ) held
    GROUP BY portfolio_id
    """
)


@celery_app.task(name=NIGHTLY_PRICES)  # type: ignore[untyped-decorator]
def nightly_prices() -> None:
    """Make due what is held or compared with and a bar is missing of, once a weekday; the sweep does the rest."""
    now, settings = datetime.now(UTC), get_settings()
    day = business_day(now, settings.nightly_at)
    structlog.contextvars.bind_contextvars(run_id=day.isoformat())
    with get_engine().begin() as connection:
        started = connection.execute(_START_NIGHT, {"day": day}).rowcount
        if not started:
            return
        made_due = due.make_due(connection, settings.price_sources[0], now)
        connection.execute(
            text("UPDATE nightly_runs SET instruments = :due WHERE business_day = :day"),
            {"due": made_due, "day": day},
        )
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": refresh.NOTIFY_CHANNEL})
    log.info("nightly refresh started", instruments=made_due)


# The unique day makes a second scheduler, or a second message, harmless.
_START_NIGHT = text("INSERT INTO nightly_runs (business_day, instruments) VALUES (:day, 0) ON CONFLICT DO NOTHING")
