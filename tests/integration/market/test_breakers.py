"""What one process learns about a price source, all of them know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
)
from tailwatch.market import breakers
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sources import Bar, PriceHistory, SourceChain
from tailwatch.settings import get_settings
from tests.support.yahoo_server import YahooServer
from worker.tasks import prices

NOW = datetime(2024, 3, 1, 22, tzinfo=UTC)
AWAY = SourceUnreachableError("It could not be reached.")


@dataclass
class Source:
    failure: PriceSourceError | None = None
    name: str = "yahoo"
    asked: list[str] = field(default_factory=list)

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        self.asked.append(ticker)
        if self.failure is not None:
            raise self.failure
        return PriceHistory(ticker, self.name, "USD", None, start, [Bar(now.date(), Decimal(10), Decimal(10))])


Run = Callable[..., Source]


@pytest.fixture
def run(engine: Engine) -> Run:
    """Ask for tickers in a process of its own at a time, and keep what it learnt."""

    def ask(
        failure: PriceSourceError | None, after: timedelta = timedelta(0), tickers: tuple[str, ...] = ("KO",)
    ) -> Source:
        now, source = NOW + after, Source(failure)
        with engine.begin() as connection:
            chain = SourceChain([source], breakers.out_of_service(connection, ["yahoo"], now))
        for ticker in tickers:
            chain.fetch(ticker, date(2024, 1, 1), now)
        with engine.begin() as connection:
            breakers.note(connection, chain, now)
        return source

    return ask


def state(engine: Engine) -> breakers.SourceState:
    with engine.connect() as connection:
        [found] = breakers.states(connection, ["yahoo"])
    return found


def test_a_source_that_one_process_gave_up_is_not_asked_by_another(engine: Engine, run: Run) -> None:
    run(AWAY)
    assert run(None, timedelta(seconds=29)).asked == []
    found = state(engine)
    assert (found.failures, found.out_until) == (1, NOW + timedelta(seconds=30))
    assert (found.last_error, found.last_error_at, found.last_answer_at) == ("It could not be reached.", NOW, None)


def test_it_is_asked_ever_more_rarely_and_back_at_its_first_answer(engine: Engine, run: Run) -> None:
    after, waits = timedelta(0), []
    for _ in range(8):
        assert run(AWAY, after).asked == ["KO"]
        out_until = state(engine).out_until
        assert out_until is not None
        waits.append((out_until - NOW - after).total_seconds())
        after = out_until - NOW
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert run(None, after).asked == ["KO"]
    found = state(engine)
    assert (found.failures, found.out_until, found.last_answer_at) == (0, None, NOW + after)
    assert run(AWAY, after).asked == ["KO"]
    assert state(engine).failures == 1


def test_one_process_alone_tries_whether_it_is_back(engine: Engine, run: Run) -> None:
    run(AWAY)
    later = NOW + timedelta(seconds=31)
    with engine.begin() as connection:
        assert breakers.out_of_service(connection, ["yahoo"], later) == {}
    with engine.begin() as connection:
        out = breakers.out_of_service(connection, ["yahoo"], later)
    assert [str(error) for error in out.values()] == [
        "It could not be reached. It is left alone until 2024-03-01 22:01 UTC."
    ]
    # The one that tried died on the way.
    with engine.begin() as connection:
        assert breakers.out_of_service(connection, ["yahoo"], later + breakers.PROBE) == {}


def test_the_time_that_a_source_asks_for_counts(engine: Engine, run: Run) -> None:
    run(SourceRefusedError("No.", 3600))
    found = state(engine)
    assert found.out_until == NOW + timedelta(hours=1)
    with engine.begin() as connection:
        error = breakers.out_of_service(connection, ["yahoo"], NOW + timedelta(minutes=20))["yahoo"]
    assert isinstance(error, SourceRefusedError)
    assert error.retry_after_seconds == 2400


@pytest.mark.parametrize(
    ("failure", "failures"), [(BadAnswerError("What?"), 0), (SourceTimeoutError("Slow."), 1), (AWAY, 1)]
)
def test_only_failures_of_the_source_itself_count_and_once_a_run(
    engine: Engine, run: Run, failure: PriceSourceError, failures: int
) -> None:
    run(failure, tickers=("KO", "PEP", "XOM"))
    assert state(engine).failures == failures


def test_a_run_of_the_worker_leaves_alone_what_another_was_refused_by(
    worker_process: None, engine: Engine, yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_SOURCES", "yahoo")
    monkeypatch.setenv("YAHOO_BASE_URL", yahoo.url)
    get_settings.cache_clear()
    yahoo.knows("KO", "XOM")
    yahoo.everything, yahoo.retry_after = "refuse", "3600"
    with transaction(engine) as session:
        ids = {ticker: each.id for ticker, each in ensure_instruments(session, ["KO", "XOM"]).items()}
    prices.fetch_prices([ids["KO"]])
    asked = len(yahoo.charts_asked())
    yahoo.everything = None
    prices.fetch_prices([ids["XOM"]])
    assert len(yahoo.charts_asked()) == asked
    with engine.begin() as connection:
        status, reason = connection.execute(
            text("SELECT status, status_reason FROM instruments WHERE ticker = 'XOM'")
        ).one()
        out_until = connection.scalar(text("SELECT out_until FROM price_sources"))
        assert status == "failed"
        assert reason == (
            "Yahoo refused to answer (429, too many requests). It is left alone until "
            f"{out_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC. The next try comes by itself."
        )
        connection.execute(text("UPDATE price_sources SET out_until = now()"))
        connection.execute(text("UPDATE instruments SET next_fetch_at = now()"))
    prices.fetch_prices(list(ids.values()))
    with engine.connect() as connection:
        assert set(connection.scalars(text("SELECT status FROM instruments"))) == {"ok"}
    assert state(engine).failures == 0
