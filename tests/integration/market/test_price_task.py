"""The worker's price task with yfinance, a server that speaks Yahoo's answers, and a real database."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.market.chain import configured_chain
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sources import Outcome
from tailwatch.market.yahoo import YahooSource
from tailwatch.settings import get_settings
from tests.support.yahoo_server import Fault, YahooServer
from worker.tasks import prices


@pytest.fixture(autouse=True)
def yahoo_first(worker_process: None, monkeypatch: pytest.MonkeyPatch, yahoo: YahooServer) -> None:
    """Have the worker ask Yahoo before the sample."""
    monkeypatch.setenv("PRICE_SOURCES", "yahoo,sample")
    monkeypatch.setenv("YAHOO_BASE_URL", yahoo.url)
    monkeypatch.setenv("YAHOO_TIMEOUT_SECONDS", "5")
    get_settings.cache_clear()


def run(engine: Engine, *tickers: str) -> None:
    """Fetch as the dispatcher asks for it, everything being due."""
    with transaction(engine) as session:
        ids = [each.id for each in ensure_instruments(session, tickers).values()]
        session.execute(text("UPDATE instruments SET next_fetch_at = now() - interval '1 s'"))
    prices.fetch_prices(ids)


def kept(engine: Engine) -> dict[str, tuple[str, str | None, int]]:
    """Status, source and number of bars by ticker."""
    query = """
        SELECT ticker, status, i.source, count(p.day), count(p.day) FILTER (WHERE p.source <> i.source)
        FROM instruments i LEFT JOIN prices p ON p.instrument_id = i.id GROUP BY i.id
    """
    with engine.connect() as connection:
        rows = connection.execute(text(query)).all()
    assert all(mixed == 0 for *_, mixed in rows), "one history, one source"
    return {ticker: (status, source, bars) for ticker, status, source, bars, _ in rows}


def column(engine: Engine, ticker: str, name: str) -> object:
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT {name} FROM instruments WHERE ticker = :ticker"), {"ticker": ticker})


def test_a_price_that_the_database_refuses_costs_the_others_of_a_run_nothing(
    engine: Engine, yahoo: YahooServer
) -> None:
    yahoo.knows("AAPL", "KO", "XOM")
    yahoo.listings["KO"].closes[-1] = 1e20
    run(engine, "AAPL", "KO", "NOSUCH", "XOM")
    found = kept(engine)
    assert {ticker: (status, source) for ticker, (status, source, _) in found.items()} == {
        "AAPL": ("ok", "yahoo"),
        "KO": ("failed", None),
        "NOSUCH": ("unknown", None),
        "XOM": ("ok", "yahoo"),
    }
    assert found["AAPL"][2] == found["XOM"][2] > 400
    assert found["KO"][2] == 0
    assert "could not be stored" in str(column(engine, "KO", "status_reason"))
    assert column(engine, "KO", "next_fetch_at") is not None
    assert column(engine, "AAPL", "market_revision") == column(engine, "NOSUCH", "market_revision") != 0


@pytest.mark.parametrize("fault", ["no such split", "odd hours", "half", "break"])
def test_an_answer_that_cannot_be_used_brings_the_samples_prices(
    engine: Engine, yahoo: YahooServer, fault: Fault
) -> None:
    yahoo.knows("KO", "XOM")
    yahoo.faults["KO"] = fault
    run(engine, "KO", "XOM")
    status, source, bars = kept(engine)["KO"]
    assert (status, source) == ("ok", "sample")
    assert bars > 1000
    reason = str(column(engine, "KO", "status_reason"))
    assert reason.startswith("Yahoo")
    assert reason.endswith("from the source sample, up to 2022-12-28. The next try comes by itself.")
    assert kept(engine)["XOM"][:2] == ("ok", "yahoo"), "it is about one ticker only"
    yahoo.faults.clear()
    run(engine, "KO", "XOM")
    assert kept(engine)["KO"][:2] == ("ok", "yahoo")
    assert column(engine, "KO", "status_reason") is None


def test_a_name_of_any_kind_loses_nothing(engine: Engine, yahoo: YahooServer) -> None:
    yahoo.knows("KO", "XOM")
    yahoo.faults["KO"] = "odd name"
    run(engine, "KO", "XOM")
    assert [kept(engine)[ticker][0] for ticker in ("KO", "XOM")] == ["ok", "ok"]
    assert column(engine, "KO", "name") == "Coca Cola"


def test_a_refusal_is_asked_for_once_and_its_time_is_kept(
    engine: Engine, yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_CONCURRENCY", "1")
    get_settings.cache_clear()
    yahoo.everything, yahoo.retry_after = "refuse", "3600"
    before = datetime.now(UTC)
    run(engine, "KO", "NOSUCH", "XOM")
    # yfinance tries once more with another cookie.
    assert yahoo.charts_asked() == ["KO", "KO"]
    assert {ticker: found[:2] for ticker, found in kept(engine).items()} == {
        "KO": ("ok", "sample"),
        "NOSUCH": ("failed", None),
        "XOM": ("ok", "sample"),
    }
    for ticker in ("KO", "NOSUCH", "XOM"):
        due = column(engine, ticker, "next_fetch_at")
        assert isinstance(due, datetime)
        assert (due - before).total_seconds() >= 3600


def test_a_source_that_breaks_is_that_tickers_failure_alone(
    engine: Engine, yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoo.knows("KO", "XOM")
    whole = YahooSource.history

    def broken(self: YahooSource, ticker: str, start: date, now: datetime) -> object:
        if ticker == "KO":
            raise ZeroDivisionError("a mistake of ours")
        return whole(self, ticker, start, now)

    monkeypatch.setattr(YahooSource, "history", broken)
    run(engine, "KO", "XOM")
    assert [kept(engine)[ticker][0] for ticker in ("KO", "XOM")] == ["failed", "ok"]
    assert "ZeroDivisionError" in str(column(engine, "KO", "status_reason"))


def test_what_nobody_can_be_asked_for_any_more_is_passed_over(engine: Engine, yahoo: YahooServer) -> None:
    """An instrument that was deleted while its prices were on their way does not cost the others theirs."""
    yahoo.knows("KO", "XOM")
    with transaction(engine) as session:
        ids = {ticker: each.id for ticker, each in ensure_instruments(session, ["KO", "XOM"]).items()}
    chain = configured_chain()
    outcomes: dict[int, Outcome] = {
        each: prices.fetch(chain, ticker, date(2020, 1, 1)) for ticker, each in ids.items()
    }
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM instruments WHERE ticker = 'KO'"))
    prices.save(engine, outcomes, chain)
    assert {ticker: found[:2] for ticker, found in kept(engine).items()} == {"XOM": ("ok", "yahoo")}
