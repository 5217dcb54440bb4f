"""What is due, and what is late, by the calendar of each market: no weekend and no holiday is a missing price."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from api import installation
from tailwatch import accounts
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tailwatch.market import due, status
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.yahoo import YahooSource
from tailwatch.settings import get_settings
from tests.support.markets import store
from tests.support.work import book, newest, work_off
from tests.support.yahoo_server import Listing, YahooServer, sample_listing
from worker.tasks import prices

pytestmark = pytest.mark.usefixtures("worker_process")

FRIDAY = date(2022, 12, 23)


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def until(ticker: str, last: date, exchange: object = "NYQ") -> Listing:
    """KO's history up to a day, under another name."""
    whole = sample_listing("KO")
    count = sum(day <= last for day in whole.days)
    return replace(
        whole,
        symbol=ticker,
        days=whole.days[:count],
        closes=whole.closes[:count],
        adjusted=whole.adjusted[:count],
        exchange=exchange,
    )


@pytest.fixture
def yahoo_first(monkeypatch: pytest.MonkeyPatch, yahoo: YahooServer) -> Iterator[YahooServer]:
    monkeypatch.setenv("PRICE_SOURCES", "yahoo,sample")
    monkeypatch.setenv("YAHOO_BASE_URL", yahoo.url)
    get_settings.cache_clear()
    yield yahoo
    get_settings.cache_clear()


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        portfolio = Portfolio(user_id=owner.id, name="Calendar")
        session.add(portfolio)
        session.flush()
        return portfolio.id


def fetch(engine: Engine, *tickers: str) -> None:
    with transaction(engine) as session:
        ids = [each.id for each in ensure_instruments(session, tickers).values()]
        session.execute(text("UPDATE instruments SET next_fetch_at = now() - interval '1 s'"))
    prices.fetch_prices(ids)


def noted(engine: Engine) -> dict[str, tuple[str | None, date | None]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT ticker, calendar, due_day FROM instruments"))
        return {row.ticker: (row.calendar, row.due_day) for row in rows}


def made_due(engine: Engine, now: str, first: str = "made up") -> list[str]:
    """What the night makes due, undone again."""
    with engine.connect() as connection:
        due.make_due(connection, first, at(now))
        query = text("SELECT ticker FROM instruments WHERE next_fetch_at = :now ORDER BY ticker")
        found = list(connection.scalars(query, {"now": at(now)}))
        connection.rollback()
    return found


def awaits(engine: Engine, ticker: str, calendar: str | None, day: str, **columns: Any) -> int:
    """An instrument whose newest bar is of the Friday before Christmas, and the session that it awaits."""
    made = store(engine, ticker, "USD", [FRIDAY], [50])  # type: ignore[list-item]
    columns |= {"calendar": calendar, "due_day": date.fromisoformat(day)}
    names = ", ".join(f"{name} = :{name}" for name in columns)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE instruments SET {names} WHERE id = :id"), columns | {"id": made})
    return made


def test_an_answer_says_which_session_comes_next(engine: Engine, yahoo_first: YahooServer) -> None:
    for ticker, exchange in (("KO", "NYQ"), ("VOD.L", "LSE"), ("SAP.DE", 5), ("XYZ", "XXX"), ("BTC-USD", "CCC")):
        yahoo_first.listings[ticker] = until(ticker, FRIDAY, exchange)
    fetch(engine, "KO", "VOD.L", "SAP.DE", "XYZ", "BTC-USD", "PEP", "NOSUCH")
    assert noted(engine) == {
        # Christmas Day was a Sunday: New York and Frankfurt were closed on the Monday, London on the Tuesday as well.
        "KO": ("XNYS", date(2022, 12, 27)),
        "VOD.L": ("XLON", date(2022, 12, 28)),
        "SAP.DE": ("XETR", date(2022, 12, 27)),
        "XYZ": (None, date(2022, 12, 26)),
        "BTC-USD": ("24/7", date(2022, 12, 24)),
        # From the sample, which has ended.
        "PEP": (None, None),
        "NOSUCH": (None, None),
    }


def test_newer_bars_bring_the_session_after_them(engine: Engine, yahoo_first: YahooServer) -> None:
    yahoo_first.listings["KO"] = until("KO", FRIDAY)
    fetch(engine, "KO")
    yahoo_first.knows("KO")
    yahoo_first.listings["KO"].exchange = None
    fetch(engine, "KO")
    assert noted(engine) == {"KO": ("XNYS", date(2022, 12, 29))}, "what it did not say again is still known"


def test_the_night_asks_for_what_its_market_has_traded(engine: Engine, portfolio_id: int) -> None:
    # Its whole history is asked for on the first of these days, by its id.
    awaits(engine, "NOBODYS", "XNYS", "2022-12-27")
    for ticker, calendar, day in (
        ("AMER", "XNYS", "2022-12-27"),
        ("BRIT", "XLON", "2022-12-28"),
        ("WEEK", None, "2022-12-26"),
        ("COIN", "24/7", "2022-12-24"),
    ):
        awaits(engine, ticker, calendar, day)
        book(engine, portfolio_id, ticker, "1")
    assert made_due(engine, "2022-12-23T22:30") == []
    assert made_due(engine, "2022-12-26T22:30") == ["COIN", "WEEK"], "a holiday in New York and London"
    assert made_due(engine, "2022-12-27T20:00") == ["COIN", "WEEK"], "New York is open"
    assert made_due(engine, "2022-12-27T22:30") == ["AMER", "COIN", "WEEK"]
    assert made_due(engine, "2022-12-28T22:30") == ["AMER", "BRIT", "COIN", "WEEK"]


def test_the_night_asks_for_what_is_not_in_order_whatever_the_calendar_says(
    engine: Engine, portfolio_id: int
) -> None:
    ids = {
        "FAILED": awaits(engine, "FAILED", "XNYS", "2022-12-27", status="failed"),
        "FINE": awaits(engine, "FINE", "XNYS", "2022-12-27"),
        "ODD": awaits(engine, "ODD", "XNYS", "2022-12-27", source="another"),
        "MINE": awaits(engine, "MINE", "XNYS", "2022-12-27", source="folder"),
    }
    with transaction(engine) as session:
        ids |= {ticker: each.id for ticker, each in ensure_instruments(session, ["FRESH"]).items()}
        session.execute(text("UPDATE instruments SET next_fetch_at = NULL"))
    for ticker in ids:
        book(engine, portfolio_id, ticker, "1")
    assert made_due(engine, "2022-12-23T22:30") == ["FAILED", "FRESH", "MINE", "ODD"]
    assert "MINE" in made_due(engine, "2022-12-23T22:30", first="folder"), "a file may have changed anywhere"
    # Once in thirty days the whole history is asked for.
    with engine.begin() as connection:
        connection.execute(text("UPDATE instruments SET due_day = '2023-03-01'"))
    monday = date(2022, 12, 26)
    for_fine = -((monday - date(1970, 1, 1)).days + ids["FINE"]) % 30
    asked = ["FINE" in made_due(engine, f"{monday + timedelta(days=days)}T22:30") for days in range(30)]
    assert [days for days, is_asked in enumerate(asked) if is_asked] == [for_fine]


@pytest.mark.parametrize(
    ("calendar", "day", "asset_class", "late_from"),
    [
        # The night of the session itself, and six hours.
        ("XNYS", "2022-12-27", "Equity", "2022-12-28T04:30"),
        ("XTKS", "2022-12-26", "Equity", "2022-12-27T04:30"),
        (None, "2022-12-26", "Equity", "2022-12-27T04:30"),
        # A Friday's bar is looked for on Friday.
        ("XNYS", "2022-12-30", "Equity", "2022-12-31T04:30"),
        # The day of an exchange rate ends with the day: the next night brings it; after a Friday, Monday's.
        ("24/5", "2022-12-27", "Equity", "2022-12-29T04:30"),
        ("24/5", "2022-12-30", "Equity", "2023-01-03T04:30"),
        ("24/7", "2022-12-24", "Equity", "2022-12-27T04:30"),
        # Funds tell their value a day later.
        ("XNYS", "2022-12-27", "Fund", "2022-12-29T04:30"),
        ("XNYS", "2022-12-30", "Fund", "2023-01-03T04:30"),
    ],
)
def test_a_bar_is_late_once_the_night_that_should_bring_it_is_six_hours_past(  # noqa: PLR0917
    engine: Engine, portfolio_id: int, calendar: str | None, day: str, asset_class: str, late_from: str
) -> None:
    awaits(engine, "ONE", calendar, day, labels=json.dumps({"asset_class": asset_class}))
    book(engine, portfolio_id, "ONE", "1")
    with engine.connect() as connection:
        [before] = status.standings(connection, None, now=at(late_from))
        [after] = status.standings(connection, None, now=at(f"{late_from}:01"))
    assert (before.state, after.state) == ("ok", "late")
    assert after.due_day == date.fromisoformat(day)
    assert after.calendar == calendar


def test_what_is_held_failed_or_over_is_not_called_late(engine: Engine, portfolio_id: int) -> None:
    awaits(engine, "FAILED", "XNYS", "2022-12-27", status="failed")
    ended = awaits(engine, "ENDED", "XNYS", "2022-12-27")
    # A person released a bar since: nobody has looked at the calendar again.
    awaits(engine, "THERE", "XNYS", "2022-12-23")
    late = awaits(engine, "LATE", "XNYS", "2022-12-27")
    with engine.begin() as connection:
        connection.execute(text("UPDATE instruments SET due_day = NULL WHERE id = :id"), {"id": ended})
    for ticker in ("FAILED", "ENDED", "THERE", "LATE"):
        book(engine, portfolio_id, ticker, "1")
    with engine.connect() as connection:
        found = {one.ticker: (one.state, one.due_day) for one in status.standings(connection, None)}
        gauges = {family.name: family.samples[0].value for family in installation._work(connection)}
    assert found == {
        "FAILED": ("failed", date(2022, 12, 27)),
        "ENDED": ("ok", None),
        "THERE": ("ok", None),
        "LATE": ("late", date(2022, 12, 27)),
    }
    assert gauges["tailwatch_instruments_due"] == 2
    assert gauges["tailwatch_instruments_late"] == 1
    assert gauges["tailwatch_prices_held"] == 0
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO held_prices (instrument_id, day, close, adjusted_close, source, fetched_at, code, "
                "reason) VALUES (:id, '2022-12-27', 5, 5, 'made up', now(), 'jump', 'It jumped.')"
            ),
            {"id": late},
        )
    with engine.connect() as connection:
        found = {one.ticker: (one.state, one.due_day) for one in status.standings(connection, None)}
        gauges = {family.name: family.samples[0].value for family in installation._work(connection)}
    assert found["LATE"] == ("held", date(2022, 12, 27)), "the bar came, and waits for a decision"
    assert gauges["tailwatch_prices_held"] == 1


def test_yahoos_source_tells_the_calendar(yahoo: YahooServer) -> None:
    yahoo.listings["7203.T"] = until("7203.T", FRIDAY, "JPX")
    told = YahooSource(5, yahoo.url).history("7203.T", date(2022, 1, 1), at("2022-12-24T12:00"))
    assert told.calendar == "XTKS"


def test_a_snapshot_calls_a_price_old_by_its_calendar(engine: Engine, portfolio_id: int) -> None:
    """Shanghai is closed for a week and more while New York goes on."""
    days = [date(2022, 9, 30), date(2022, 10, 7), date(2022, 10, 12), date(2022, 10, 13)]
    for number, day in enumerate(days):
        store(engine, "AMER", "USD", [day], [50 + number])  # type: ignore[list-item]
    for ticker, calendar, due_day in (("CHIN.SS", "XSHG", "2022-10-10"), ("WEEK", None, None)):
        made = store(engine, ticker, "USD", days[:1], [50])  # type: ignore[list-item]
        values = {"id": made, "calendar": calendar, "due": due_day}
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE instruments SET calendar = :calendar, due_day = :due WHERE id = :id"), values
            )
    for ticker in ("AMER", "CHIN.SS", "WEEK"):
        book(engine, portfolio_id, ticker, "1")
    work_off(engine)
    [warning] = [one for one in newest(engine, portfolio_id)["warnings"] if one["code"] == "old_price"]
    assert warning["message"] == (
        "Newer prices than there are should be known on 2022-10-13 of WEEK; the oldest is of 2022-09-30."
    )
    again = newest(engine, portfolio_id, "inputs")["positions"]
    assert {one["ticker"]: one["due_day"] for one in again} == {"AMER": None, "CHIN.SS": "2022-10-10", "WEEK": None}
