"""`tailwatch prices …` as a person types it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tailwatch.errors import SourceRefusedError
from tailwatch.market import breakers, remarks
from tailwatch.market.calendars import newest_session, sessions_between
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sources import SourceChain
from tests.support.markets import store
from tests.support.work import book


@pytest.fixture
def instrument_id(engine: Engine) -> int:
    with transaction(engine) as session:
        made = ensure_instruments(session, ["KO"])["KO"]
        made.next_fetch_at, made.status, made.source = None, "ok", "sample"
        return made.id


def command(engine: Engine, redis_url: str, *arguments: str) -> str:
    environment = os.environ | {
        "DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "REDIS_URL": redis_url,
        "PRICE_SOURCES": "yahoo,sample",
        "COLUMNS": "200",
    }
    words = (sys.executable, "-m", "tailwatch.cli", "prices", *arguments)
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("accepted", [False, True])
def test_a_fetch_is_asked_for_and_may_bring_less(
    engine: Engine, redis_url: str, instrument_id: int, *, accepted: bool
) -> None:
    said = command(engine, redis_url, "refresh", "ko", *(["--accept-shorter"] if accepted else []))
    assert said.strip() == "The prices of KO are due."
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT next_fetch_at, remarks FROM instruments WHERE id = :id"), {"id": instrument_id}
        ).one()
    assert row.next_fetch_at <= datetime.now(UTC)
    assert [remark["code"] for remark in row.remarks] == ([remarks.SHORT] if accepted else [])


def test_sources_are_listed_in_their_order(engine: Engine, redis_url: str) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        refused = SourceRefusedError("It refused to answer.", 3600)
        breakers.note(connection, SourceChain([], _given_up={"yahoo": refused}), now)
    said = command(engine, redis_url, "sources")
    assert said.index("yahoo") < said.index("sample")
    assert "It refused to answer." in said
    [state] = [line for line in said.splitlines() if "yahoo" in line]
    with engine.connect() as connection:
        [stored] = breakers.states(connection, ["yahoo"])
    assert stored.out_until is not None
    assert f"{stored.out_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" in state


def test_a_changed_symbol_is_followed(engine: Engine, redis_url: str, instrument_id: int) -> None:
    assert command(engine, redis_url, "rename", "ko", "coke").strip() == "KO is COKE now; its prices are due."
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT ticker, next_fetch_at, market_revision FROM instruments WHERE id = :id"),
            {"id": instrument_id},
        ).one()
    assert row.ticker == "COKE"
    assert row.next_fetch_at <= datetime.now(UTC)
    assert row.market_revision > 0


def test_the_status_says_what_is_awaited_and_how_many_sessions_are_missing(
    engine: Engine, redis_url: str, instrument_id: int
) -> None:
    # KO itself is nobody's; of these two the second has another calendar.
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        portfolio = Portfolio(user_id=owner.id, name="Prices")
        session.add(portfolio)
        session.flush()
        portfolio_id = portfolio.id
    for ticker, calendar in (("KO", "XNYS"), ("WEEK", None)):
        made = store(engine, ticker, "USD", [date(2026, 3, 31)], [Decimal(62)])
        values = {"id": made, "calendar": calendar}
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE instruments SET calendar = :calendar, due_day = '2026-04-01' WHERE id = :id"), values
            )
        book(engine, portfolio_id, ticker, "1")
    said = {
        line.split()[1]: line for line in command(engine, redis_url, "status").splitlines() if "2026-03-31" in line
    }
    now = datetime.now(UTC)
    for ticker, calendar in (("KO", "XNYS"), ("WEEK", None)):
        missing = len(sessions_between(calendar, date(2026, 4, 1), newest_session(calendar, now)))
        assert "│ late " in said[ticker]
        assert f"│ 2026-04-01 ({calendar or 'weekdays'}), {missing} missing" in said[ticker]
