"""A local server that speaks Yahoo's answers: cookie, crumb and chart, with failures to be switched on.

yfinance itself talks to it. Prices are the bundled sample's, a dividend and a split put in by hand, so that close and
adjusted close differ and every figure can be checked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np

from tailwatch.market import sample

#: What the hosts of cookie and crumb may do instead of their work.
AccessFault = Literal["refuse", "break", "hang", "drop"]
Fault = Literal[
    "refuse",  # 429
    "break",  # 500 with an HTML page
    "hang",  # no answer until the server stops
    "half",  # a body that ends in the middle
    "cut",  # a connection that ends in the middle of the body
    "other shape",  # JSON, but not as it should be
    "part",  # well-formed, without its newest three quarters
    "empty",  # a result without sessions
    "nan",  # two finished days with a null each: the last but one close, the adjusted close before it
    "no newest price",  # the newest finished day is listed, and null
    "delisted",  # the 404 of an unknown ticker
    "other symbol",
    "no currency",
    "overflow",  # a volume past 64 bits on the last day, a negative one the day before
    "no such split",  # four new shares for nothing
    "odd hours",  # trading hours of another shape
    "odd name",  # a number, and a text that no database takes
]

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE = time(9, 30), time(16, 0)
#: After the close of the sample's last session, and in the middle of it.
EVENING = datetime(2022, 12, 28, 22, 0, tzinfo=UTC)
NOON = datetime(2022, 12, 28, 17, 0, tzinfo=UTC)
CRUMB = "crumb.of.the.test"


@dataclass
class Listing:
    """An instrument the server knows.

    Attributes:
        days: Its sessions.
        closes: Adjusted for splits.
        adjusted: Adjusted for splits and dividends.
        splits: (day, new shares, old shares).
        kind: Yahoo's word for what it is.
        exchange: Yahoo's code of the exchange.
    """

    symbol: str
    name: str
    days: list[date]
    closes: list[float]
    adjusted: list[float]
    currency: str = "USD"
    time_zone: ZoneInfo = NEW_YORK
    splits: list[tuple[date, int, int]] = field(default_factory=list)
    kind: object = "EQUITY"
    exchange: object = "NYQ"


def sample_listing(ticker: str, dividend_day: date = date(2022, 6, 1)) -> Listing:
    """A listing with the sample's prices as adjusted closes, 1 % of which was paid as a dividend on one day."""
    history = sample.SampleSource().history(ticker, date(1980, 1, 1), EVENING)
    days = [bar.day for bar in history.bars]
    adjusted = [float(bar.adjusted_close) for bar in history.bars]
    closes = [price / 0.99 if day < dividend_day else price for day, price in zip(days, adjusted, strict=True)]
    return Listing(ticker, sample.NAMES[ticker], days, closes, adjusted)


class YahooServer:
    """What the handler answers from; tests change it while it runs.

    Attributes:
        listings: By symbol.
        faults: By symbol; `everything` is for every chart.
        now: Decides which session is open.
        tells_hours: Whether a chart says when the session ends.
        renamed: Symbols under which another one is answered for.
        access_faults: By path: `/` gives the cookie, `/v1/test/getcrumb` the crumb, `/consent` the other cookie.
        requests: (path, query) of each request that came, in order.
        most_at_once: Charts that were asked for at the same time.
    """

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}
        self.faults: dict[str, Fault] = {}
        self.everything: Fault | None = None
        self.retry_after: str | None = None
        self.now = EVENING
        self.tells_hours = True
        self.renamed: dict[str, str] = {}
        self.access_faults: dict[str, AccessFault] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._counting = threading.Lock()
        self.stopping = threading.Event()
        self.url = ""

    def knows(self, *tickers: str) -> None:
        for ticker in tickers:
            self.listings[ticker] = sample_listing(ticker)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a chart that is being asked for."""
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._counting:
                self._at_once -= 1

    def charts_asked(self) -> list[str]:
        return [path.rsplit("/", 1)[1] for path, _ in self.requests if path.startswith("/v8/finance/chart/")]

    def chart(self, symbol: str, query: dict[str, str]) -> dict[str, Any]:
        """The body of a chart answer."""
        symbol = self.renamed.get(symbol, symbol)
        listing = self.listings[symbol]
        fault = self.everything or self.faults.get(symbol)
        shown = list(zip(listing.days, listing.closes, listing.adjusted, strict=True))
        if "period1" in query:
            since, until = (datetime.fromtimestamp(int(query[key]), UTC).date() for key in ("period1", "period2"))
            shown = [row for row in shown if since <= row[0] <= until]
        if fault == "part":
            shown = shown[: len(shown) // 4]
        if fault == "empty":
            shown = []
        closes, adjusted = with_nulls(fault, [row[1] for row in shown], [row[2] for row in shown])
        meta: dict[str, Any] = {
            "currency": None if fault == "no currency" else listing.currency,
            "symbol": "OTHER" if fault == "other symbol" else symbol,
            "longName": listing.name,
            "shortName": symbol,
            "instrumentType": listing.kind,
            "exchangeName": listing.exchange,
            "exchangeTimezoneName": str(listing.time_zone),
            "gmtoffset": -18000,
            "regularMarketTime": at(listing.days[-1], CLOSE, listing.time_zone),
            "priceHint": 2,
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
        }
        if self.tells_hours:
            meta["currentTradingPeriod"] = self._trading_period(listing.time_zone)
        events = {
            "splits": {
                str(at(day, OPEN, listing.time_zone)): {
                    "date": at(day, OPEN, listing.time_zone),
                    "numerator": new,
                    "denominator": old,
                    "splitRatio": f"{new}:{old}",
                }
                for day, new, old in (*listing.splits, *([(shown[-1][0], 4, 0)] if fault == "no such split" else []))
            }
        }
        quote: dict[str, list[Any]] = {
            "open": closes,
            "high": closes,
            "low": closes,
            "close": closes,
            "volume": [None if close is None else 1000 for close in closes],
        }
        if fault == "overflow":
            quote["volume"][-2:] = [-5, 10**30]
        if fault == "odd hours":
            meta["currentTradingPeriod"] = "9:30 to 16:00"
        if fault == "odd name":
            meta |= {"longName": 5, "shortName": "Coca\0Cola"}
        result: dict[str, Any] = {"meta": meta, "indicators": {"quote": [{}]}}
        if shown:
            result |= {
                "timestamp": [at(day, OPEN, listing.time_zone) for day, _, _ in shown],
                "events": events,
                "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
            }
        return {"chart": {"result": [result], "error": None}}

    def _trading_period(self, zone: ZoneInfo) -> dict[str, Any]:
        today = self.now.astimezone(zone).date()
        period = {
            "timezone": "EST",
            "start": at(today, OPEN, zone),
            "end": at(today, CLOSE, zone),
            "gmtoffset": -18000,
        }
        return {name: dict(period) for name in ("pre", "regular", "post")}


def with_nulls(
    fault: Fault | None, closes: list[float], adjusted: list[float]
) -> tuple[list[float | None], list[float | None]]:
    """Closes and adjusted closes as Yahoo writes them, with nulls where the fault wants them."""
    written: list[float | None] = [as_yahoo_writes(close) for close in closes]
    written_adjusted: list[float | None] = [as_yahoo_writes(price) for price in adjusted]
    if fault == "nan":
        written[-2] = written_adjusted[-3] = None
    if fault == "no newest price":
        written[-1] = written_adjusted[-1] = None
    return written, written_adjusted


def at(day: date, moment: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, moment, zone).timestamp())


def as_yahoo_writes(price: float) -> float:
    """A single-precision float written as a double: 129.93 comes as 129.92999267578125."""
    return float(np.float32(price))


def not_found(symbol: str) -> dict[str, Any]:
    description = "No data found, symbol may be delisted"
    return {"chart": {"result": None, "error": {"code": "Not Found", "description": description}}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    yahoo: YahooServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        self.yahoo.requests.append((path, query))
        fault = self.yahoo.access_faults.get(path or "/")
        if fault is not None:
            self._refuse_access(fault)
        elif path.startswith("/v8/finance/chart/"):
            with self.yahoo.one_more():
                self._chart(path.rsplit("/", 1)[1], query)
        elif path == "/v1/test/getcrumb":
            self._send(HTTPStatus.OK, CRUMB.encode(), "text/plain")
        elif path in {"", "/"}:
            # What the cookie's host does: a 404 that sets it.
            self._send(HTTPStatus.NOT_FOUND, b"", "text/html", {"Set-Cookie": "A3=cookie; Path=/"})
        else:
            self._send(HTTPStatus.NOT_FOUND, b"<html></html>", "text/html")

    def _refuse_access(self, fault: AccessFault) -> None:
        if fault == "refuse":
            self._send(HTTPStatus.TOO_MANY_REQUESTS, b"Too Many Requests\r\n", "text/html")
        elif fault == "break":
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"<html>oops</html>", "text/html")
        else:
            if fault == "hang":
                self.yahoo.stopping.wait()
            self.close_connection = True

    def _chart(self, symbol: str, query: dict[str, str]) -> None:
        fault = self.yahoo.everything or self.yahoo.faults.get(symbol)
        if fault == "hang":
            self.yahoo.stopping.wait()
            self.close_connection = True
        elif fault == "refuse":
            headers = {"Retry-After": self.yahoo.retry_after} if self.yahoo.retry_after else {}
            self._send(HTTPStatus.TOO_MANY_REQUESTS, b"Too Many Requests\r\n", "text/html", headers)
        elif fault == "break":
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"<html>oops</html>", "text/html")
        elif fault == "delisted" or self.yahoo.renamed.get(symbol, symbol) not in self.yahoo.listings:
            self._send(HTTPStatus.NOT_FOUND, json.dumps(not_found(symbol)).encode(), "application/json")
        else:
            answer = self.yahoo.chart(symbol, query)
            if fault == "other shape":
                del answer["chart"]["result"][0]["indicators"]
            body = json.dumps(answer).encode()
            headers = {"Content-Length": str(len(body))} if fault == "cut" else {}
            shown = body[: len(body) // 2] if fault in {"half", "cut"} else body
            self._send(HTTPStatus.OK, shown, "application/json", headers)
            self.close_connection = fault == "cut"

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output to what tests say."""


@contextmanager
def serve_yahoo() -> Iterator[YahooServer]:
    """Yield a running server that knows nothing yet."""
    yahoo = YahooServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"yahoo": yahoo}))
    yahoo.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield yahoo
    finally:
        yahoo.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()
