"""The desk of live quotes in the test's own process, with shorter waits: what the page hears of a silent stream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts, live
from tailwatch.db.models import Portfolio
from tailwatch.db.session import get_engine, transaction
from tests.support import markets
from tests.support.stream_server import StreamServer, stream_server
from tests.support.waiting import wait_until
from tests.support.work import book, work_off
from worker.quotes import desk, message

pytestmark = pytest.mark.usefixtures("worker_process")

OPEN = datetime(2022, 12, 29, 15, 0, tzinfo=UTC)


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    days = markets.weekdays(600)
    markets.store(engine, "MADE", "USD", days, markets.walk(1, 600, 100.0))
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "ada@example.org")
        portfolio = Portfolio(user_id=owner.id, name="Silent", base_currency="USD")
        session.add(portfolio)
        session.flush()
        made = portfolio.id
    book(engine, made, "MADE", "10")
    work_off(engine)
    return made


@pytest.fixture
def heard(portfolio_id: int) -> Iterator[list[dict[str, Any]]]:
    """Live messages of the portfolio, as a web process hears them."""
    found: list[dict[str, Any]] = []
    listening = threading.Event()
    over = threading.Event()

    def listen() -> None:
        for one in live.messages():
            listening.set()
            if over.is_set():
                return
            if one["kind"] == "quote" and one["portfolio_id"] == portfolio_id:
                found.append(one)

    threading.Thread(target=listen, daemon=True).start()
    assert listening.wait(10)
    yield found
    over.set()
    live.publish({"kind": "resync"})


@contextmanager
def at_work(monkeypatch: pytest.MonkeyPatch, stream: StreamServer) -> Iterator[None]:
    monkeypatch.setattr(message, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(desk, "KEEPALIVE_SECONDS", 0.2)
    loop = asyncio.new_event_loop()
    working: asyncio.Task[None] | None = None

    def run() -> None:
        nonlocal working
        working = loop.create_task(desk.Desk(get_engine(), stream.url, 20, None).run())
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(working)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        assert working is not None
        loop.call_soon_threadsafe(working.cancel)
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("calendar", "said"),
    [("24/7", "although the market is open"), (None, "the stream is stuck or the market closed")],
)
def test_a_silent_stream_is_called_stale_while_the_market_is_open(
    *,
    calendar: str | None,
    said: str,
    engine: Engine,
    portfolio_id: int,
    heard: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE instruments SET calendar = :calendar"), {"calendar": calendar})
    with stream_server() as stream, at_work(monkeypatch, stream):
        live.announce([portfolio_id])
        wait_until(lambda: stream.followed == {"MADE"}, "the position is followed")
        wait_until(lambda: heard and said in heard[-1]["feed"]["message"], "the page hears of the silence")
        assert heard[-1]["feed"]["state"] == "stale"
        close = float(markets.walk(1, 600, 100.0)[-1])
        stream.send("MADE", round(1.01 * close, 3), OPEN)
        wait_until(lambda: any(one["positions"] and one["feed"]["state"] == "live" for one in heard), "it is live")


def test_nothing_is_told_of_a_portfolio_that_was_deleted(
    engine: Engine, portfolio_id: int, heard: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stream_server() as stream, at_work(monkeypatch, stream):
        live.announce([portfolio_id])
        wait_until(lambda: stream.followed == {"MADE"} and heard, "the position is followed")
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM portfolios"))
        wait_until(lambda: stream.connected == 0, "nobody's prices are followed any more")
