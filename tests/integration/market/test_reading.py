"""Instruments, histories and quotes as they are read back."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from tailwatch.book.splits import SplitEvent
from tailwatch.book.valuation import Quote
from tailwatch.db.models import Instrument
from tailwatch.db.session import transaction
from tailwatch.errors import InvalidTickerError
from tailwatch.market import store
from tailwatch.market.history import load_series
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.quotes import load_quotes, load_splits
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import SourceChain

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def ids(engine: Engine) -> dict[str, int]:
    """AAPL and KO with a thousand days of prices, NOSUCH unknown, NEW pending."""
    chain = SourceChain([SampleSource()])
    with transaction(engine) as session:
        found = ensure_instruments(session, ["AAPL", "KO", "NOSUCH", "NEW"])
        for ticker in ("AAPL", "KO", "NOSUCH"):
            outcome = chain.fetch(ticker, NOW.date() - timedelta(days=1000), NOW)
            store.save(session, found[ticker].id, outcome, chain, NOW)
        return {ticker: instrument.id for ticker, instrument in found.items()}


# --- instruments ---


def test_a_ticker_is_made_once_and_due_at_once(engine: Engine) -> None:
    with transaction(engine) as session:
        made = ensure_instruments(session, [" ko ", "KO", "^gspc"])
        assert set(made) == {"KO", "^GSPC"}
    with transaction(engine) as session:
        again = ensure_instruments(session, ["KO", "BRK-B"])
        assert again["KO"].id == made["KO"].id
        assert again["BRK-B"].status == "pending"
        assert again["BRK-B"].next_fetch_at is not None
        assert ensure_instruments(session, []) == {}


@pytest.mark.parametrize("ticker", ["", "  ", "KO PE", "-KO", "KO'; DROP TABLE trades", "K" * 25, "KO\x00", "Ω"])
def test_what_cannot_be_a_ticker_is_refused_and_nothing_is_made(engine: Engine, ticker: str) -> None:
    with transaction(engine) as session:
        with pytest.raises(InvalidTickerError, match="cannot be a ticker"):
            ensure_instruments(session, ["KO", ticker])
        assert session.query(Instrument).count() == 0


def test_two_transactions_may_name_the_same_new_ticker(engine: Engine) -> None:
    found: list[int] = []

    def second() -> None:
        with transaction(engine) as session:
            found.append(ensure_instruments(session, ["XOM", "KO"])["KO"].id)

    with Session(engine) as session, session.begin():
        first = ensure_instruments(session, ["KO", "XOM"])["KO"].id
        thread = threading.Thread(target=second)
        thread.start()
    thread.join(20)
    assert found == [first]


# --- histories ---


def test_a_history_is_read_as_it_was_stored(engine: Engine, ids: dict[str, int]) -> None:
    with engine.connect() as connection:
        loaded = load_series(connection, ids.values())
    assert set(loaded) == {ids["AAPL"], ids["KO"]}, "an instrument without prices has no series"
    for ticker in ("AAPL", "KO"):
        series = loaded[ids[ticker]]
        bars = SampleSource().history(ticker, NOW.date() - timedelta(days=1000), NOW).bars
        assert series.ticker == ticker
        assert series.dates.tolist() == [bar.day for bar in bars]
        assert series.closes.tolist() == [float(bar.adjusted_close) for bar in bars]
        assert series.closes.dtype == np.float64
        assert series.closes.flags.c_contiguous


def test_the_newest_sessions_are_the_ones_that_are_read(engine: Engine, ids: dict[str, int]) -> None:
    with engine.connect() as connection:
        whole, part = load_series(connection, [ids["KO"]]), load_series(connection, [ids["KO"]], most=10)
        assert load_series(connection, []) == {}
    assert part[ids["KO"]].dates.tolist() == whole[ids["KO"]].dates.tolist()[-10:]
    assert part[ids["KO"]].closes.tolist() == whole[ids["KO"]].closes.tolist()[-10:]


def test_days_before_1970_are_days_too(engine: Engine, ids: dict[str, int]) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO prices VALUES (:id, '1962-01-02', 0.05, 0.000123, NULL, 'test', now())"),
            {"id": ids["NEW"]},
        )
    with engine.connect() as connection:
        [series] = load_series(connection, [ids["NEW"]]).values()
    assert (series.dates.tolist(), series.closes.tolist()) == ([date(1962, 1, 2)], [0.000123])


# --- quotes ---


def test_a_quote_is_the_newest_close_or_the_reason_why_there_is_none(engine: Engine, ids: dict[str, int]) -> None:
    with engine.connect() as connection:
        quotes = load_quotes(connection, ids.values())
        assert load_quotes(connection, []) == {}
    assert quotes["KO"] == Quote("Coca-Cola", "USD", Decimal("62.609"), date(2022, 12, 28), "sample", "ok", None)
    assert quotes["NEW"] == Quote(None, None, None, None, None, "pending", None)
    unknown = quotes["NOSUCH"]
    assert (unknown.price, unknown.status) == (None, "unknown")
    assert unknown.reason is not None
    assert "NOSUCH" in unknown.reason


def test_splits_come_by_ticker_in_order(engine: Engine, ids: dict[str, int]) -> None:
    with engine.begin() as connection:
        for day, ratio in (("2020-08-31", 4), ("2014-06-09", 7)):
            connection.execute(
                text("INSERT INTO splits VALUES (:id, :day, :ratio, 'test')"),
                {"id": ids["AAPL"], "day": day, "ratio": ratio},
            )
        found = load_splits(connection, ids.values())
    assert found == {"AAPL": [SplitEvent(date(2014, 6, 9), Decimal(7)), SplitEvent(date(2020, 8, 31), Decimal(4))]}
