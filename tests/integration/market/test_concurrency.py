"""A few requests at once: what hangs delays nobody, and nobody asks more than is allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Final

import pytest
from sqlalchemy import text

from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tests.integration.api.support import forget_settings
from tests.integration.market.investor import TODAY, YESTERDAY, Investor, without_newest
from tests.support.product import running_product
from tests.support.waiting import wait_until
from tests.support.yahoo_server import YahooServer, sample_listing
from worker.tasks import prices

TICKERS: Final = ("AAPL", "AMD", "BAC", "CVX", "GE", "HD", "JPM", "KO", "MSFT", "PEP", "PG", "XOM")


@pytest.fixture
def patient(ada: Investor, monkeypatch: pytest.MonkeyPatch) -> Investor:
    """Yahoo may take as long as a test lasts."""
    monkeypatch.setenv("YAHOO_TIMEOUT_SECONDS", "60")
    monkeypatch.setenv("PRICE_CONCURRENCY", "3")
    forget_settings()
    return ada


def due(ada: Investor, *tickers: str) -> list[int]:
    with transaction(ada.engine) as session:
        return [each.id for each in ensure_instruments(session, tickers).values()]


def with_prices(ada: Investor) -> set[str]:
    with ada.engine.connect() as connection:
        return set(connection.scalars(text("SELECT ticker FROM instruments WHERE status = 'ok'")))


@contextmanager
def fetching(ids: list[int]) -> Iterator[None]:
    """Run the task while the block does, and see it end."""
    task = threading.Thread(target=prices.fetch_prices, args=(ids,))
    task.start()
    yield
    task.join()


def test_a_ticker_that_hangs_delays_no_other(patient: Investor, yahoo: YahooServer) -> None:
    yahoo.knows(*TICKERS)
    yahoo.faults["AAPL"] = "hang"
    with fetching(due(patient, *TICKERS)):
        wait_until(lambda: with_prices(patient) == {*TICKERS} - {"AAPL"}, "all others are kept while one hangs")
        yahoo.stopping.set()
    assert 1 < yahoo.most_at_once <= 3
    others = [ticker for ticker in yahoo.charts_asked() if ticker != "AAPL"]
    assert sorted(others) == sorted({*TICKERS} - {"AAPL"}), "each was asked for once"


def test_no_more_is_asked_at_once_than_is_allowed(patient: Investor, yahoo: YahooServer) -> None:
    yahoo.knows(*TICKERS)
    yahoo.everything = "hang"
    with fetching(due(patient, *TICKERS)):
        wait_until(lambda: len(yahoo.charts_asked()) == 3, "as many are asked for as may be")
        yahoo.stopping.set()
    assert yahoo.most_at_once == 3
    # What hung is cut off, which is a source that cannot be reached: the others are not asked for.
    assert len(yahoo.charts_asked()) <= 6
    with patient.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM instruments WHERE next_fetch_at IS NULL")) == 0


def test_whether_a_source_is_back_is_asked_by_one_request(patient: Investor, yahoo: YahooServer) -> None:
    yahoo.knows(*TICKERS)
    yahoo.everything = "refuse"
    patient.buys("KO")
    ids = due(patient, *TICKERS)
    with patient.engine.begin() as connection:
        connection.execute(text("UPDATE price_sources SET out_until = now()"))
        connection.execute(text("UPDATE instruments SET next_fetch_at = now()"))
    yahoo.requests.clear()
    prices.fetch_prices(ids)
    assert set(yahoo.charts_asked()) == {"KO"}, "the first of the run"
    yahoo.everything = None
    with patient.engine.begin() as connection:
        connection.execute(text("UPDATE price_sources SET out_until = now()"))
        connection.execute(text("UPDATE instruments SET next_fetch_at = now()"))
    prices.fetch_prices(ids)
    assert with_prices(patient) == {*TICKERS}


def test_what_there_is_no_time_for_is_given_back_at_once(
    patient: Investor, yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoo.knows(*TICKERS)
    monkeypatch.setattr(prices, "ASKING_SECONDS", 0.0)
    ids = due(patient, *TICKERS)
    with patient.engine.begin() as connection:
        connection.execute(text("UPDATE instruments SET fetch_queued_at = now()"))
    prices.fetch_prices(ids)
    kept = with_prices(patient)
    assert 0 < len(kept) < len(TICKERS)
    with patient.engine.connect() as connection:
        query = "SELECT ticker FROM instruments WHERE fetch_queued_at IS NULL AND status = 'pending'"
        waiting = connection.scalars(text(query)).all()
        assert {*waiting} == {*TICKERS} - kept
    while with_prices(patient) != {*TICKERS}:
        prices.fetch_prices(ids)


def test_cookie_and_crumb_that_hang_cost_the_threads_their_time_once(patient: Investor, yahoo: YahooServer) -> None:
    yahoo.knows(*TICKERS)
    yahoo.access_faults = dict.fromkeys(("/", "/v1/test/getcrumb", "/consent"), "hang")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("YAHOO_TIMEOUT_SECONDS", "4")
        forget_settings()
        prices.fetch_prices(due(patient, *TICKERS))
    assert with_prices(patient) == {*TICKERS}
    assert len([path for path, _ in yahoo.requests if "chart" not in path]) == 1


def test_a_worker_killed_in_the_middle_of_a_night_loses_nothing(yahoo: YahooServer) -> None:
    for ticker in TICKERS:
        yahoo.listings[ticker] = without_newest(sample_listing(ticker))
    with running_product(
        PRICE_SOURCES="yahoo", YAHOO_BASE_URL=yahoo.url, YAHOO_TIMEOUT_SECONDS="60", PRICE_HISTORY_DAYS="3600"
    ) as product:
        portfolio_id = product.create_portfolio("Main")
        for ticker in TICKERS:
            product.trade(portfolio_id, ticker)

        def of_day(day: date) -> set[str]:
            return {one["ticker"] for one in product.risk(portfolio_id)["positions"] if one["price_date"] == str(day)}

        wait_until(lambda: of_day(YESTERDAY) == {*TICKERS}, "all are in the snapshot", 60)
        yahoo.knows(*TICKERS)
        yahoo.faults["AAPL"] = "hang"
        with product.engine.begin() as connection:
            connection.execute(text("UPDATE instruments SET next_fetch_at = now(), fetch_queued_at = NULL"))
        wait_until(lambda: of_day(TODAY) == {*TICKERS} - {"AAPL"}, "the others are in the snapshot", 60)
        product.kill("background")
        yahoo.faults.clear()
        with product.engine.begin() as connection:
            # What was under way is sent again two minutes later; the test does not wait for them.
            connection.execute(text("UPDATE instruments SET fetch_queued_at = fetch_queued_at - interval '3 min'"))
        product.start("background")
        wait_until(lambda: of_day(TODAY) == {*TICKERS}, "what was under way has come, too", 60)
