"""What is made of live prices: which count, which are shown with a reason, and which are passed over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tailwatch.market.ticks import Close, Session, Tick, Verdict, judge
from worker.quotes.hours import open_now
from worker.quotes.message import SILENT_SECONDS, feed_state
from worker.quotes.ticks import Quotes

CLOSE = Close(Decimal(100), "USD", date(2026, 11, 20))
MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
NOW = MONDAY.timestamp()


def tick(
    price: str = "101",
    *,
    currency: str | None = "USD",
    at: datetime = MONDAY,
    session: Session = "regular",
    ticker: str = "AAPL",
) -> Tick:
    return Tick(ticker, Decimal(price), currency, at, session)


@pytest.mark.parametrize(
    ("given", "verdict", "said"),
    [
        (tick(), "live", None),
        (tick(currency=None), "live", None),
        (tick("125"), "live", None),
        (tick("75"), "live", None),
        (tick("125.01"), "suspicious", "+25% from the stored close of 2026-11-20"),
        (tick("50"), "suspicious", "-50% from"),
        (tick("10000"), "suspicious", "+9900%"),
        (tick(currency="EUR"), "wrong_currency", "came in EUR; AAPL is priced in USD"),
        (tick(session="pre"), "not_regular", "before the market opens"),
        (tick(session="post"), "not_regular", "after the market has closed"),
        (tick(at=MONDAY - timedelta(days=4)), "older", "older than the stored close"),
        (tick(at=datetime(2026, 11, 20, 21, 0, tzinfo=UTC)), "live", None),
        (tick(at=MONDAY + timedelta(days=5)), "old_close", "is of 2026-11-20: too old"),
    ],
)
def test_a_tick_is_judged_by_the_last_close(given: Tick, verdict: Verdict, said: str | None) -> None:
    found, reason = judge(given, CLOSE)
    assert found == verdict
    assert reason is None if said is None else said in (reason or "")


def test_pence_are_pence_by_any_name_and_no_pounds() -> None:
    pence = Close(Decimal(1500), "GBp", date(2026, 11, 20))
    assert judge(tick("1510", currency="GBX"), pence)[0] == "live"
    assert judge(tick("1510", currency="GBP"), pence)[0] == "wrong_currency"


def test_the_last_good_price_counts_on_when_a_bad_one_follows() -> None:
    quotes = Quotes()
    quotes.hold_against({"AAPL": CLOSE})
    assert quotes.take(tick("101"), NOW + 1) == "live"
    assert quotes.take(tick("5", at=MONDAY + timedelta(seconds=1)), NOW + 2) == "suspicious"
    assert quotes.prices() == {"AAPL": Decimal(101)}
    quote = quotes.get("AAPL")
    assert quote is not None
    assert (quote.newest.price, quote.verdict, quote.received) == (Decimal(5), "suspicious", NOW + 2)


def test_what_comes_late_or_of_nobody_changes_nothing() -> None:
    quotes = Quotes()
    quotes.hold_against({"AAPL": CLOSE})
    quotes.take(tick("101"), NOW + 1)
    assert quotes.take(tick("102", at=MONDAY - timedelta(seconds=1)), NOW + 2) == "late"
    assert quotes.take(tick("7", ticker="NOBODY"), NOW + 3) == "unknown_ticker"
    assert quotes.take(tick("103", currency="EUR"), NOW + 4) == "wrong_currency"
    assert quotes.prices() == {"AAPL": Decimal(101)}
    assert quotes.get("NOBODY") is None
    assert quotes.take(tick("104", at=MONDAY + timedelta(days=1)), NOW + 5) == "future"
    assert quotes.take(tick("105", at=MONDAY + timedelta(seconds=6)), NOW + 6) == "live"


def test_a_new_close_judges_what_is_there_again() -> None:
    quotes = Quotes()
    quotes.hold_against({"AAPL": CLOSE})
    quotes.take(tick("30"), NOW + 1)
    assert quotes.prices() == {}
    # The night's close confirms that it was a split.
    quotes.hold_against({"AAPL": Close(Decimal("30.5"), "USD", date(2026, 11, 23))})
    assert quotes.prices() == {"AAPL": Decimal(30)}
    # The next night's close is newer than the price.
    quotes.hold_against({"AAPL": Close(Decimal("30.5"), "USD", date(2026, 11, 24))})
    assert quotes.prices() == {}
    quotes.hold_against({})
    assert quotes.take(tick("31"), NOW + 2) == "unknown_ticker"


@pytest.mark.parametrize(
    ("connected", "received", "is_open", "state"),
    [
        (None, 0.0, True, "connecting"),
        (10.0, None, True, "live"),
        (999.0, SILENT_SECONDS - 1, True, "live"),
        (999.0, SILENT_SECONDS, True, "stale"),
        (999.0, None, None, "stale"),
        (999.0, 100.0, False, "closed"),
        (5.0, 100.0, True, "live"),
    ],
)
def test_the_page_is_told_how_the_stream_is(
    connected: float | None, received: float | None, is_open: bool | None, state: str
) -> None:
    """Both times are seconds ago."""
    quotes = Quotes()
    quotes.hold_against({"AAPL": CLOSE})
    if received is not None:
        quotes.take(tick(), NOW + 1000 - received)
    quote = quotes.get("AAPL")
    found = feed_state(
        [] if quote is None else [quote],
        connected_since=None if connected is None else NOW + 1000 - connected,
        problem=None,
        is_open=is_open,
        now=NOW + 1000,
    )
    assert found.state == state


def test_calendars_know_nights_weekends_and_holidays() -> None:
    assert open_now(["XNYS", "24/7", "NOWHERE"], MONDAY) == {"XNYS": True, "24/7": True}
    thanksgiving = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)
    for closed in (MONDAY - timedelta(days=1), MONDAY.replace(hour=22), thanksgiving):
        assert open_now(["XNYS"], closed) == {"XNYS": False}
    # 11:45 in Tokyo is lunch, and no end of the day.
    assert open_now(["XTKS"], datetime(2026, 11, 24, 2, 45, tzinfo=UTC)) == {"XTKS": True}
