"""Prices as CSV from a server whose address a template tells: stooq's form, and whatever else answers so.

The address is that of `CSV_PRICES_URL`, in which {ticker}, {start}, {end} and {key} are filled in. Nothing that may
hold the key goes into a message.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    ResponseError,
)

from tailwatch import __version__
from tailwatch.errors import (
    BadAnswerError,
    SourceBrokenError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)
from tailwatch.market import calendars, table
from tailwatch.market.sources import PriceHistory

NAME: Final = "csv"
TIMEOUT_SECONDS: Final = 15.0
#: Where the server does not say when to come back.
REFUSED_SECONDS: Final = 900.0
#: Whatever time it says, the next night asks again.
LONGEST_REFUSAL_SECONDS: Final = 86_400.0
#: A key that is not taken is not mended by asking again soon.
NOT_ALLOWED_SECONDS: Final = 3600.0
_LARGEST_BYTES: Final = 32 * 2**20
_AT_ONCE: Final = 65_536
_MINUTE: Final = 60.0
_REDIRECTS: Final = 3
#: What servers write instead of a table when they do not know a ticker, or when one asked too often (stooq).
_UNKNOWN: Final = frozenset({"", "n/d", "no data", "no data found", "not found"})
_TOO_OFTEN: Final = ("exceeded", "too many requests", "rate limit")


# Its notes on requests and redirects have the whole address, and with it the key.
logging.getLogger("urllib3").setLevel(logging.WARNING)


class Pace:
    """At most so many requests in any minute; whoever comes too early waits. One for all threads of a process."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._times: deque[float] = deque(maxlen=per_minute)
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may go out."""
        with self._lock:
            now = self._clock()
            at = now if len(self._times) < (self._times.maxlen or 1) else max(now, self._times[0] + _MINUTE)
            self._times.append(at)
        if at > now:
            self._sleep(at - now)


class WebCsvSource:
    """Daily bars from a server that answers with CSV.

    Args:
        url: With the fields {ticker}, {start}, {end} and {key}; the days take formats, as {start:%Y%m%d}.
        key: For {key}.
        currency: Of all its prices, where its table has no such column.
        per_minute: Requests.
        timeout_seconds: For the whole of an answer.
    """

    name = NAME

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        currency: str | None = None,
        per_minute: int = 60,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url, self._key, self._currency = url, key, currency
        self._host = urlsplit(url).hostname or "the server"
        self._pace = _pace(url, per_minute)
        self._timeout = timeout_seconds

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the finished sessions of `ticker` from `start` on; see `PriceSource.history` for the failures."""
        address = self._url.format(
            ticker=quote(ticker, safe=""), start=start, end=now.date(), key=quote(self._key or "", safe="")
        )
        self._pace.wait()
        text = self._table(ticker, self._get(address, ticker))
        found = table.read_csv(text, f"{self._host} on {ticker}")
        # What a server says of a session that is still open is no close.
        last = calendars.newest_session(calendars.calendar_of(ticker), now)
        bars = [bar for bar in found.bars if start <= bar.day <= last]
        currency = found.currency or self._currency
        if currency is None:
            raise BadAnswerError(f"{self._host} gave no currency for {ticker}; CSV_PRICES_CURRENCY can say it.")
        if not bars:
            raise BadAnswerError(f"{self._host} gave no finished session with a price for {ticker} since {start}.")
        return PriceHistory(
            ticker=ticker,
            source=NAME,
            currency=currency,
            name=None,
            since=start,
            bars=bars,
            splits=found.splits,
        )

    #: What is newer is asked for in the same way, from a later day on.
    newest = history

    def _get(self, address: str, ticker: str) -> bytes:
        deadline = time.monotonic() + self._timeout
        try:
            response = _pool(address).request(
                "GET",
                address,
                headers={"Accept": "text/csv, text/plain, */*", "User-Agent": f"Tailwatch/{__version__}"},
                timeout=urllib3.Timeout(self._timeout),
                retries=urllib3.Retry(None, connect=0, read=0, status=0, other=0, redirect=_REDIRECTS),
                preload_content=False,
            )
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) else error
            # To be refused is a kind of ConnectTimeoutError, too.
            slow = isinstance(reason, (ReadTimeoutError, ConnectTimeoutError))
            if slow and not isinstance(reason, NewConnectionError):
                raise self._too_slow() from error
            if isinstance(reason, ResponseError):
                raise BadAnswerError(f"{self._host} sends requests for {ticker} round in circles.") from error
            what = type(reason).__name__
            raise SourceUnreachableError(f"{self._host} could not be reached ({what}).") from error
        try:
            self._read_status(response, ticker)
            return self._body(response, ticker, deadline)
        except ReadTimeoutError as error:
            raise self._too_slow() from error
        except HTTPError as error:
            raise BadAnswerError(f"{self._host} broke off its answer for {ticker}.") from error
        finally:
            # What was not read of it is not worth reading.
            response.close()

    def _body(self, response: urllib3.BaseHTTPResponse, ticker: str, deadline: float) -> bytes:
        body = bytearray()
        while piece := response.read1(_AT_ONCE):
            body += piece
            if len(body) > _LARGEST_BYTES:
                raise BadAnswerError(f"{self._host} gave more than {_LARGEST_BYTES >> 20} MB for {ticker}.")
            if time.monotonic() > deadline:
                raise self._too_slow()
        return bytes(body)

    def _too_slow(self) -> SourceTimeoutError:
        return SourceTimeoutError(f"{self._host} did not give its answer within {self._timeout:g} s.")

    def _read_status(self, response: urllib3.BaseHTTPResponse, ticker: str) -> None:
        status = response.status
        if status == 404:
            raise UnknownTickerError(f"{self._host} does not know {ticker}.")
        if status in {401, 403}:
            hint = "CSV_PRICES_KEY is not taken" if self._key else "it may want a CSV_PRICES_KEY"
            raise SourceRefusedError(f"{self._host} refused to answer ({status}): {hint}.", NOT_ALLOWED_SECONDS)
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            told = response.headers.get("Retry-After", "")
            seconds = min(float(told), LONGEST_REFUSAL_SECONDS) if told.isdecimal() else REFUSED_SECONDS
            raise SourceRefusedError(f"{self._host} refused to answer ({status}, too many requests).", seconds)
        if status >= 500:
            raise SourceBrokenError(f"{self._host} failed to answer for {ticker} (status {status}).")
        if status != 200:
            raise BadAnswerError(f"{self._host} failed to answer for {ticker} (status {status}).")

    def _table(self, ticker: str, body: bytes) -> str:
        """Return the text of an answer that is a table."""
        try:
            text = body.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise BadAnswerError(f"{self._host} gave no text in UTF-8 for {ticker}.") from None
        if text.startswith(("<", "{", "[")):
            kind = "a web page" if text[0] == "<" else "JSON"
            raise BadAnswerError(f"{self._host} answered with {kind} instead of CSV for {ticker}.")
        if "\n" not in text:
            said = text.lower().rstrip(".!")
            if any(words in said for words in _TOO_OFTEN):
                raise SourceRefusedError(f"{self._host} refused to answer: “{text[:100]}”", REFUSED_SECONDS)
            if said in _UNKNOWN:
                raise UnknownTickerError(f"{self._host} does not know {ticker}.")
        return text


@lru_cache(maxsize=8)
def _pace(_url: str, per_minute: int) -> Pace:
    """Return this process's pace for a server."""
    return Pace(per_minute)


def _pool(address: str) -> urllib3.PoolManager:
    """Return this process's connections, through the proxy that the environment asks for."""
    parts = urlsplit(address)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return _pool_through(proxy)


@lru_cache(maxsize=4)
def _pool_through(proxy: str | None) -> urllib3.PoolManager:
    return urllib3.PoolManager() if proxy is None else urllib3.ProxyManager(proxy)
