"""The source `csv` against a real server: what it asks, what it takes, and what becomes of every failure."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceBrokenError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)
from tailwatch.market.chain import configured_chain
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sources import IncrementalSource
from tailwatch.market.web_csv import Pace, WebCsvSource
from tailwatch.settings import get_settings
from tests.support.csv_server import Answer, CsvServer, serve_csv
from worker.tasks import prices

#: After New York's close on a Tuesday.
EVENING = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)
NOON = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
START = date(2020, 1, 1)
HEADER = "Date,Open,High,Low,Close,Volume"
KO = f"{HEADER}\n2026-03-27,61,62,60,61.5,100\n2026-03-30,61.5,63,61,62,120\n2026-03-31,62,63,61.5,62.25,90\n"


@pytest.fixture
def csv() -> Iterator[CsvServer]:
    with serve_csv() as server:
        yield server


def source(csv: CsvServer, **options: Any) -> WebCsvSource:
    options = {"key": "s3cr3t/key", "currency": "USD", "per_minute": 6000, "timeout_seconds": 5.0} | options
    return WebCsvSource(csv.template, **options)


def test_bars_are_taken_as_they_are_written(csv: CsvServer) -> None:
    csv.says("KO", KO)
    told = source(csv).history("KO", START, EVENING)
    assert csv.requests == [{"s": "KO", "d1": "20200101", "d2": "2026-03-31", "apikey": "s3cr3t/key"}]
    assert (told.source, told.currency, told.since, told.splits) == ("csv", "USD", START, None)
    assert [(bar.day.day, bar.close, bar.adjusted_close, bar.volume, bar.high) for bar in told.bars] == [
        (27, Decimal("61.5"), Decimal("61.5"), 100, Decimal(62)),
        (30, Decimal(62), Decimal(62), 120, Decimal(63)),
        (31, Decimal("62.25"), Decimal("62.25"), 90, Decimal(63)),
    ]


def test_odd_tickers_reach_the_server_whole(csv: CsvServer) -> None:
    for ticker in ("^GSPC", "EURUSD=X", "BRK-B", "VOD.L"):
        csv.says(ticker, KO)
        assert source(csv).history(ticker, START, EVENING).ticker == ticker
    assert csv.tickers_asked() == ["^GSPC", "EURUSD=X", "BRK-B", "VOD.L"]


def test_a_session_that_is_still_open_has_no_close(csv: CsvServer) -> None:
    csv.says("KO", KO)
    csv.says("VOD.L", KO)
    assert source(csv).history("KO", START, NOON).bars[-1].day == date(2026, 3, 30)
    evening_in_london = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
    assert source(csv).history("VOD.L", START, evening_in_london).bars[-1].day == date(2026, 3, 31)


def test_newer_bars_alone_can_be_asked_for(csv: CsvServer) -> None:
    csv.says("KO", KO)
    asked = source(csv)
    assert isinstance(asked, IncrementalSource)
    told = asked.newest("KO", date(2026, 3, 30), EVENING)
    assert csv.requests[0]["d1"] == "20260330"
    assert [bar.day.day for bar in told.bars] == [30, 31]


def test_a_column_says_the_currency_before_the_setting_does(csv: CsvServer) -> None:
    csv.says("VOD.L", "Date,Close,Currency\n2026-03-30,90,GBp\n")
    assert source(csv).history("VOD.L", START, EVENING).currency == "GBp"
    csv.says("KO", KO)
    with pytest.raises(BadAnswerError, match="no currency for KO; CSV_PRICES_CURRENCY can say it"):
        source(csv, currency=None).history("KO", START, EVENING)


PAGE = Answer(b"<!DOCTYPE html><html><body>Welcome</body></html>")
FAILURES: list[tuple[Answer, type[PriceSourceError], str]] = [
    (Answer(status=404), UnknownTickerError, "does not know KO"),
    (Answer(b"No data"), UnknownTickerError, "does not know KO"),
    (Answer(b"N/D\r\n"), UnknownTickerError, "does not know KO"),
    (Answer(b""), UnknownTickerError, "does not know KO"),
    (PAGE, BadAnswerError, "answered with a web page instead of CSV for KO"),
    (Answer(b'{"error": "no"}'), BadAnswerError, "answered with JSON instead of CSV for KO"),
    (Answer(b"Service maintenance"), BadAnswerError, "no column date and no close"),
    (Answer(b"\xff\xfe\x00"), BadAnswerError, "no text in UTF-8"),
    (Answer(b"Date,Close\n2026-03-30,-5"), BadAnswerError, "on KO: line 2, column Close: -5 cannot be a price"),
    (Answer(b"Date,Close\n2019-03-29,5"), BadAnswerError, "no finished session with a price for KO since 2020-01-01"),
    (Answer(KO.encode(), length=9999), BadAnswerError, "broke off its answer for KO"),
    (Answer(b"what?", headers={"Content-Encoding": "gzip"}), BadAnswerError, "broke off its answer"),
    (Answer(status=400), BadAnswerError, r"failed to answer for KO \(status 400\)"),
    (Answer(status=500), SourceBrokenError, r"failed to answer for KO \(status 500\)"),
    (Answer(status=503), SourceBrokenError, r"status 503"),
    (Answer(status=302, headers={"Location": "/daily?s=KO"}), BadAnswerError, "round in circles"),
    (Answer(status=401), SourceRefusedError, "CSV_PRICES_KEY is not taken"),
    (Answer(status=429), SourceRefusedError, "too many requests"),
    (Answer(b"Exceeded the daily hits limit"), SourceRefusedError, "Exceeded the daily hits limit"),
]


@pytest.mark.parametrize(("answer", "kind", "said"), FAILURES)
def test_each_failure_is_one_that_the_chain_knows(
    csv: CsvServer, answer: Answer, kind: type[PriceSourceError], said: str
) -> None:
    csv.answers["KO"] = answer
    with pytest.raises(PriceSourceError, match=said) as failed:
        source(csv).history("KO", START, EVENING)
    assert type(failed.value) is kind
    assert "s3cr3t" not in str(failed.value)


@pytest.mark.parametrize(
    ("status", "told", "seconds"),
    [(429, "120", 120), (503, "60", 60), (429, "Wed, 01 Apr 2026", 900), (429, "9999999", 86400)],
)
def test_a_refusal_has_the_time_that_the_server_asks_for(
    csv: CsvServer, status: int, told: str, seconds: float
) -> None:
    csv.answers["KO"] = Answer(status=status, headers={"Retry-After": told})
    with pytest.raises(SourceRefusedError) as refused:
        source(csv).history("KO", START, EVENING)
    assert refused.value.retry_after_seconds == seconds


@pytest.mark.parametrize("answer", [Answer(hangs=True), Answer(KO.encode(), drips=True)])
def test_an_answer_that_does_not_come_or_end_is_given_up(csv: CsvServer, answer: Answer) -> None:
    csv.answers["KO"] = answer
    with pytest.raises(SourceTimeoutError, match=r"did not give its answer within 0\.2 s"):
        source(csv, timeout_seconds=0.2).history("KO", START, EVENING)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/{{ticker}}?apikey={{key}}"
        with pytest.raises(SourceUnreachableError, match=r"127\.0\.0\.1 could not be reached") as failed:
            WebCsvSource(nobody, key="s3cr3t").history("KO", START, EVENING)
    assert "s3cr3t" not in str(failed.value)


def test_redirects_are_followed_and_the_key_is_in_no_log(csv: CsvServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    csv.says("REAL", KO)
    csv.answers["KO"] = Answer(status=302, headers={"Location": "/daily?s=REAL"})
    assert source(csv).history("KO", START, EVENING).bars[-1].close == Decimal("62.25")
    assert csv.tickers_asked() == ["KO", "REAL"]
    assert "s3cr3t" not in caplog.text


def test_whoever_asks_too_often_waits() -> None:
    clock, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    pace = Pace(2, lambda: clock[0], sleep)
    for _ in range(2):
        pace.wait()
    assert slept == []
    clock[0] += 20
    for _ in range(3):
        pace.wait()
    # A minute after the first two, which were at once; and a minute after the third.
    assert slept == [40, 60]


@pytest.fixture
def asked_first(worker_process: None, monkeypatch: pytest.MonkeyPatch, csv: CsvServer) -> CsvServer:
    monkeypatch.setenv("PRICE_SOURCES", "csv,sample")
    monkeypatch.setenv("CSV_PRICES_URL", csv.template)
    monkeypatch.setenv("CSV_PRICES_KEY", "s3cr3t")
    monkeypatch.setenv("CSV_PRICES_CURRENCY", "USD")
    get_settings.cache_clear()
    return csv


def fetch(engine: Engine, *tickers: str) -> dict[str, tuple[Any, ...]]:
    with transaction(engine) as session:
        ids = [each.id for each in ensure_instruments(session, tickers).values()]
        session.execute(text("UPDATE instruments SET next_fetch_at = now() - interval '1 s'"))
    prices.fetch_prices(ids)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT ticker, status, source, status_reason FROM instruments"))
        return {ticker: tuple(others) for ticker, *others in rows}


def test_the_price_task_takes_it_before_what_comes_after(engine: Engine, asked_first: CsvServer) -> None:
    asked_first.says("XYZ", KO)
    assert fetch(engine, "XYZ", "PEP", "NOSUCH") == {
        "XYZ": ("ok", "csv", None),
        "PEP": ("ok", "sample", None),
        "NOSUCH": ("unknown", None, "No price source knows NOSUCH (asked: csv and sample). Is it spelt right?"),
    }


def test_a_refusal_is_remembered_by_all_processes(
    engine: Engine, asked_first: CsvServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another one may be on its way when the first is refused.
    monkeypatch.setenv("PRICE_CONCURRENCY", "1")
    get_settings.cache_clear()
    asked_first.everything = Answer(status=429, headers={"Retry-After": "3600"})
    found = fetch(engine, "KO", "PEP")
    assert {ticker: row[:2] for ticker, row in found.items()} == {"KO": ("ok", "sample"), "PEP": ("ok", "sample")}
    assert "127.0.0.1 refused to answer (429, too many requests)." in found["KO"][2]
    assert len(asked_first.requests) == 1
    assert fetch(engine, "XOM")["XOM"][:2] == ("ok", "sample")
    assert len(asked_first.requests) == 1, "a new chain, as of another process, leaves it alone as well"


def test_the_chain_is_what_the_settings_say(asked_first: CsvServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICE_SOURCES", "sample, folder,csv")
    monkeypatch.setenv("PRICE_FOLDER", "/nowhere")
    get_settings.cache_clear()
    assert [each.name for each in configured_chain().sources] == ["sample", "folder", "csv"]
