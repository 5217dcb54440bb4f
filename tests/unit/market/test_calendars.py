"""Sessions by real calendars: weekends, holidays, half days, time zones, and what is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tailwatch.market import calendars
from tailwatch.market.calendars import calendar_of, newest_session, next_session, sessions_between


@pytest.mark.parametrize(
    ("ticker", "exchange", "calendar"),
    [
        ("AAPL", "NMS", "XNYS"),
        ("SPY", "PCX", "XNYS"),
        ("^GSPC", "SNP", "XNYS"),
        ("^GDAXI", "GER", "XETR"),
        ("VOD.L", None, "XLON"),
        ("VOD.L", "LSE", "XLON"),
        ("SAP.DE", None, "XETR"),
        ("AIR.PA", "PAR", "XPAR"),
        ("7203.T", None, "XTKS"),
        ("7203.T", "JPX", "XTKS"),
        ("600519.SS", "SHH", "XSHG"),
        ("EURUSD=X", None, "24/5"),
        ("EURUSD=X", "CCY", "24/5"),
        ("BTC-USD", None, "24/7"),
        # A class of shares is no cryptocurrency, and nothing says where a ticker without an ending is listed.
        ("BRK-B", None, None),
        ("AAPL", None, None),
        ("AAPL", "XXX", None),
        ("X.NOSUCH", "XXX", None),
        # What the source says counts before what the ticker looks like.
        ("VOD.L", "NMS", "XNYS"),
    ],
)
def test_the_exchange_or_else_the_ticker_names_the_calendar(
    ticker: str, exchange: str | None, calendar: str | None
) -> None:
    assert calendar_of(ticker, exchange) == calendar


@pytest.mark.parametrize(
    ("calendar", "now", "newest"),
    [
        # A Friday's close is known half an hour later, and is the newest until Monday's is.
        ("XNYS", "2026-11-20T21:29", "2026-11-19"),
        ("XNYS", "2026-11-20T21:30", "2026-11-20"),
        ("XNYS", "2026-11-22T12:00", "2026-11-20"),
        ("XNYS", "2026-11-23T21:00", "2026-11-20"),
        # Thanksgiving, and the half day after it.
        ("XNYS", "2026-11-26T23:00", "2026-11-25"),
        ("XNYS", "2026-11-27T18:30", "2026-11-27"),
        # Summer time.
        ("XNYS", "2026-07-01T20:30", "2026-07-01"),
        # Tokyo closes long before London opens; on 3 November it is closed.
        ("XTKS", "2026-11-04T07:30", "2026-11-04"),
        ("XTKS", "2026-11-03T23:00", "2026-11-02"),
        # Easter in London: Good Friday and the Monday.
        ("XLON", "2026-04-06T22:30", "2026-04-02"),
        # The first days of a year.
        ("XNYS", "2027-01-01T12:00", "2026-12-31"),
        ("24/5", "2026-11-23T22:30", "2026-11-20"),
        ("24/5", "2026-11-24T00:30", "2026-11-23"),
        ("24/7", "2026-11-22T00:30", "2026-11-21"),
        ("24/7", "2027-01-01T00:10", "2026-12-30"),
        (None, "2026-11-26T22:30", "2026-11-26"),
        (None, "2026-11-22T22:30", "2026-11-20"),
        ("no such calendar", "2026-11-26T22:30", "2026-11-26"),
    ],
)
def test_the_newest_session_is_one_whose_close_should_be_known(calendar: str | None, now: str, newest: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert newest_session(calendar, at) == date.fromisoformat(newest)


@pytest.mark.parametrize(
    ("calendar", "after", "following"),
    [
        ("XNYS", "2026-11-25", "2026-11-27"),
        ("XNYS", "2026-11-27", "2026-11-30"),
        ("XNYS", "2026-11-28", "2026-11-30"),
        ("XNYS", "2026-12-31", "2027-01-04"),
        ("24/7", "2026-11-27", "2026-11-28"),
        ("24/5", "2026-11-27", "2026-11-30"),
        (None, "2026-11-27", "2026-11-30"),
        # Golden Week.
        ("XSHG", "2026-09-30", "2026-10-08"),
        # Its holidays of 2027 are not in the library yet.
        ("XSHG", "2026-12-31", "2027-01-01"),
    ],
)
def test_the_next_session_is_after_weekends_and_holidays(calendar: str | None, after: str, following: str) -> None:
    assert next_session(calendar, date.fromisoformat(after)) == date.fromisoformat(following)


def test_sessions_between_two_days_count_both() -> None:
    across = sessions_between("XNYS", date(2026, 12, 24), date(2027, 1, 4))
    assert [day.isoformat() for day in across] == [
        "2026-12-24",
        "2026-12-28",
        "2026-12-29",
        "2026-12-30",
        "2026-12-31",
        "2027-01-04",
    ]
    assert sessions_between("XNYS", date(2026, 11, 26), date(2026, 11, 26)) == []


@pytest.mark.parametrize("name", sorted(calendars._EXCHANGES))
def test_every_calendar_of_the_table_can_be_made_and_is_over_when_the_night_begins(name: str) -> None:
    """`status.LATE` rests on the hours, and a library that cannot make one would silently be weekdays."""
    sessions = calendars._sessions(name, 2026)
    assert sessions != calendars._sessions(None, 2026)
    hours = [
        close - datetime.combine(day, datetime.min.time(), UTC)
        for day, close in zip(sessions.days, sessions.closes, strict=True)
    ]
    assert max(hours) <= timedelta(hours=24 if name.startswith("24/") else 21)
