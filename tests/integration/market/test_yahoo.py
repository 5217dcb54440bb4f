"""yfinance itself, talking to a server that speaks Yahoo's answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)
from tailwatch.market import sample
from tailwatch.market.sources import PriceHistory
from tailwatch.market.yahoo import YahooSource, connect
from tests.support.yahoo_server import CRUMB, EVENING, NOON, AccessFault, Fault, YahooServer

D = Decimal
START = date(2017, 1, 1)


def ask(yahoo: YahooServer, ticker: str = "KO", start: date = START, seconds: float = 10.0) -> PriceHistory:
    return YahooSource(seconds, yahoo.url).history(ticker, start, yahoo.now)


def failure(yahoo: YahooServer, fault: Fault, seconds: float = 10.0) -> PriceSourceError:
    yahoo.faults["KO"] = fault
    with pytest.raises(PriceSourceError) as caught:
        ask(yahoo, seconds=seconds)
    return caught.value


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_good_day(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    history = ask(yahoo)
    expected = sample.SampleSource().history("KO", date(1980, 1, 1), EVENING).bars
    wanted = [bar for bar in expected if bar.day >= START]
    assert [bar.day for bar in history.bars] == [bar.day for bar in wanted]
    # 62.609 came as 62.60900115966797 and is 62.609 again.
    assert [bar.adjusted_close for bar in history.bars] == [bar.close for bar in wanted]
    assert (history.ticker, history.source, history.currency) == ("KO", "yahoo", "USD")
    assert (history.name, history.since, history.splits) == ("Coca-Cola", START, [])
    before, after = history.bars[0], history.bars[-1]
    assert before.close == pytest.approx(before.adjusted_close / Decimal("0.99"), rel=Decimal("1e-6"))
    assert after.close == after.adjusted_close
    assert after.volume == 1000


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("EQUITY", {"asset_class": "Equity"}),
        ("INDEX", {"asset_class": "Index"}),
        ("ETF", {"asset_class": "ETF"}),
        ("NEW KIND", {}),
        (None, {}),
        (["EQUITY"], {}),
    ],
)
def test_the_asset_class_is_what_yahoo_says_as_far_as_it_is_known(
    yahoo: YahooServer, kind: object, labels: dict[str, str]
) -> None:
    yahoo.knows("KO")
    yahoo.listings["KO"].kind = kind
    assert ask(yahoo).labels == labels


def test_one_request_a_ticker_with_the_crumb(yahoo: YahooServer) -> None:
    yahoo.knows("KO", "^GSPC")
    source = YahooSource(10, yahoo.url)
    for ticker in ("KO", "^GSPC"):
        source.history(ticker, START, yahoo.now)
    assert yahoo.charts_asked() == ["KO", "^GSPC"]
    charts = [query for path, query in yahoo.requests if "chart" in path]
    assert {query.get("crumb") for query in charts} == {CRUMB}
    assert {query["interval"] for query in charts} == {"1d"}


def test_the_session_that_is_still_open_has_no_close_yet(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    assert ask(yahoo).bars[-1].day == EVENING.date()
    yahoo.now = NOON
    assert ask(yahoo).bars[-1].day == EVENING.date() - timedelta(days=1)


def test_where_the_hours_are_not_told_todays_session_is_taken_for_open(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    yahoo.tells_hours = False
    assert ask(yahoo).bars[-1].day == EVENING.date() - timedelta(days=1)
    yahoo.now = EVENING + timedelta(days=1)
    assert ask(yahoo).bars[-1].day == EVENING.date()


def test_splits_reach_back_further_than_the_prices_asked_for(yahoo: YahooServer) -> None:
    yahoo.knows("AAPL")
    yahoo.listings["AAPL"].splits = [(date(2000, 6, 21), 2, 1), (date(2020, 8, 31), 4, 1)]
    history = ask(yahoo, "AAPL", start=date(2021, 1, 1))
    assert history.bars[0].day == date(2021, 1, 4)
    assert history.splits == [(date(2000, 6, 21), D(2)), (date(2020, 8, 31), D(4))]


def test_a_split_of_today_is_known_before_today_has_a_price(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    today = date(2022, 12, 29)
    yahoo.listings["KO"].splits = [(today, 3, 2)]
    yahoo.now = NOON + timedelta(days=1)
    history = ask(yahoo)
    assert history.splits == [(today, Decimal("1.5"))]
    assert history.bars[-1].day == date(2022, 12, 28)


def test_a_finished_day_without_a_price_is_left_out(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    whole = ask(yahoo).bars
    yahoo.faults["KO"] = "nan"
    assert list(ask(yahoo).bars) == [*whole[:-3], whole[-1]]


def test_a_ticker_yahoo_does_not_know(yahoo: YahooServer) -> None:
    with pytest.raises(UnknownTickerError, match="does not know NOSUCH"):
        ask(yahoo, "NOSUCH")
    assert yahoo.charts_asked() == ["NOSUCH"], "asked once, and for nothing else"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("break", "status 500"),
        ("half", "could not be read"),
        ("cut", "could not be used"),
        ("other shape", "could not be used"),
        ("empty", "no prices for KO"),
        ("other symbol", "answered for OTHER when asked for KO"),
        ("no currency", "no currency for KO"),
        ("no such split", "gave KO a split of inf on 2022-12-28"),
        ("odd hours", "could not be used"),
    ],
)
def test_an_answer_that_cannot_be_used_is_not_used(yahoo: YahooServer, fault: Fault, sentence: str) -> None:
    yahoo.knows("KO")
    caught = failure(yahoo, fault)
    assert isinstance(caught, BadAnswerError)
    assert sentence in str(caught)
    del yahoo.faults["KO"]
    assert ask(yahoo).bars, "the next answer is read as ever"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 900), ("120", 120), ("Wed, 21 Oct 2026 07:28:00 GMT", 900), ("9" * 40, 86_400), ("9" * 400, 86_400)],
)
def test_a_refusal_says_when_to_come_back(yahoo: YahooServer, header: str | None, seconds: float) -> None:
    yahoo.knows("KO")
    yahoo.retry_after = header
    caught = failure(yahoo, "refuse")
    assert isinstance(caught, SourceRefusedError)
    assert caught.retry_after_seconds == seconds
    assert "429" in str(caught)


def test_what_one_refusal_said_is_not_said_of_the_next(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    yahoo.retry_after = "7200"
    failure(yahoo, "refuse")
    yahoo.retry_after = None
    caught = failure(yahoo, "refuse")
    assert isinstance(caught, SourceRefusedError)
    assert caught.retry_after_seconds == 900


def test_another_currency_keeps_its_name_and_its_numbers(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    in_dollars = ask(yahoo)
    yahoo.listings["KO"].currency = "GBp"
    in_pence = ask(yahoo)
    assert in_pence.currency == "GBp", "pence are not pounds"
    assert in_pence.bars == in_dollars.bars


def test_days_are_those_of_the_exchange(yahoo: YahooServer) -> None:
    """In Sydney and Auckland a session opens on the day before, as UTC has it."""
    yahoo.knows("KO")
    in_new_york = ask(yahoo)
    yahoo.listings["KO"].time_zone = ZoneInfo("Pacific/Auckland")
    yahoo.listings["KO"].splits = [(date(2022, 12, 28), 4, 1)]
    in_auckland = ask(yahoo)
    assert in_auckland.bars == in_new_york.bars
    assert in_auckland.splits == [(date(2022, 12, 28), D(4))]


def test_a_volume_that_cannot_be_is_left_out_and_the_prices_stay(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    whole = ask(yahoo).bars
    yahoo.faults["KO"] = "overflow"
    bars = ask(yahoo).bars
    assert [bar.volume for bar in bars[-3:]] == [1000, None, None]
    assert [replace(bar, volume=1000) for bar in bars] == list(whole)


def test_a_name_is_the_first_text_there_is(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    yahoo.listings["KO"].name = ""
    assert ask(yahoo).name == "KO"
    yahoo.faults["KO"] = "odd name"
    assert ask(yahoo).name == "Coca\0Cola", "and the store takes care of what PostgreSQL does not"


ACCESS_FAULTS: Final[tuple[AccessFault, ...]] = ("refuse", "break", "hang", "drop")


@pytest.mark.parametrize("fault", ACCESS_FAULTS)
@pytest.mark.parametrize("path", ["/", "/v1/test/getcrumb", "/consent"])
def test_cookie_and_crumb_may_fail_and_the_prices_come(yahoo: YahooServer, path: str, fault: AccessFault) -> None:
    yahoo.knows("KO")
    if path == "/consent":
        yahoo.access_faults["/v1/test/getcrumb"] = "break"
    yahoo.access_faults[path] = fault
    assert ask(yahoo, seconds=2).bars[-1].day == EVENING.date()
    assert path in {asked or "/" for asked, _ in yahoo.requests}, "it was asked"
    assert yahoo.charts_asked() == ["KO"]


def test_everything_that_hangs_costs_the_time_limit_together(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    yahoo.access_faults = dict.fromkeys(("/", "/v1/test/getcrumb", "/consent"), "hang")
    started = time.monotonic()
    assert type(failure(yahoo, "hang", seconds=0.8)) is SourceTimeoutError
    assert time.monotonic() - started < 1.5


def test_a_server_that_hangs_costs_the_time_limit_and_no_more(yahoo: YahooServer) -> None:
    yahoo.knows("KO")
    ask(yahoo)
    started = time.monotonic()
    caught = failure(yahoo, "hang", seconds=0.5)
    assert type(caught) is SourceTimeoutError
    assert 0.4 < time.monotonic() - started < 2


def test_no_server_is_noticed_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(SourceUnreachableError, match="could not be reached"):
        YahooSource(10, f"http://127.0.0.1:{closed_port()}").history("KO", START, EVENING)
    assert time.monotonic() - started < 1


def test_a_name_that_nobody_knows_is_noticed_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(SourceUnreachableError):
        connect("https://no-such-host.invalid")
    assert time.monotonic() - started < 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux leaves connections to a full queue without an answer")
def test_a_network_that_swallows_everything_costs_the_time_to_connect_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(full.getsockname())
        started = time.monotonic()
        with pytest.raises(SourceUnreachableError):
            connect(f"http://127.0.0.1:{full.getsockname()[1]}", seconds=0.3)
        assert 0.2 < time.monotonic() - started < 2


def test_a_proxy_may_reach_what_this_machine_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    connect(f"http://127.0.0.1:{closed_port()}")


def test_the_folders_of_processes_that_are_no_more_are_removed(tmp_path: Path) -> None:
    """Celery's children leave by os._exit, which is no time to clean up."""
    program = (
        "import os; from tailwatch.market.yahoo import client; print(client._cache.name, flush=True); os._exit(0)"
    )
    strange = ["tailwatch-yfinance-old", "tailwatch-yfinance-1-of-somebody-running", "tailwatch-other"]
    for name in strange:
        (tmp_path / name).mkdir()
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert made[0] != made[1]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*strange, Path(made[1]).name])


def test_a_machine_without_a_network_has_sample_prices_soon_and_never_loads_yfinance() -> None:
    program = """
import sys
from datetime import UTC, datetime, date
from tailwatch.market.chain import configured_chain
from tailwatch.market.sample import NAMES
chain = configured_chain()
outcomes = [chain.fetch(ticker, date(2020, 1, 1), datetime.now(UTC)) for ticker in NAMES]
print({(outcome.status, outcome.history.source) for outcome in outcomes}, outcomes[-1].reason)
print({"yfinance", "pandas", "curl_cffi"} & sys.modules.keys())
"""
    environment = {"YAHOO_BASE_URL": f"http://127.0.0.1:{closed_port()}", "PATH": "/usr/bin:/bin"}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert time.monotonic() - started < 10
    served, loaded = done.stdout.splitlines()
    assert served.startswith("{('ok', 'sample')} Yahoo could not be reached")
    assert loaded == "set()"
