"""Asking Yahoo with yfinance: our time-outs, one request a ticker, and typed failures.

How yfinance 1.7 works, as far as this file rests on it: every request goes through one HTTP session that may be
given (a curl_cffi `Session`, which looks like a browser to Yahoo); before the first one it gets a cookie and a crumb,
waiting 30 s for each whatever time-out it was told; a status of 400 or more makes it try again once with another kind
of cookie; and prices are at /v8/finance/chart/TICKER.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import psutil
import yfinance as yf
from curl_cffi import requests
from curl_cffi.requests.exceptions import ConnectionError as CurlConnectionError
from curl_cffi.requests.exceptions import ProxyError, RequestException, Timeout
from yfinance.config import YfConfig
from yfinance.exceptions import YFException, YFPricesMissingError, YFRateLimitError

from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceBrokenError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)

#: Yahoo mostly says 429 without a time; a quarter of an hour is soon enough then.
REFUSED_SECONDS: Final = 900.0
#: Whatever time it says, the next night asks again.
LONGEST_REFUSAL_SECONDS: Final = 86_400.0
META: Final = (
    "symbol",
    "currency",
    "longName",
    "shortName",
    "instrumentType",
    "exchangeName",
    "currentTradingPeriod",
    "regularMarketTime",
)
CHART_PATH: Final = "/v8/finance/chart/"
#: How long the hosts of cookie and crumb are left alone after one of them let us wait for nothing.
ACCESS_OUT_SECONDS: Final = 60.0
HTTP_NOT_FOUND: Final = 404
HTTP_TOO_MANY_REQUESTS: Final = 429
HTTP_SERVER_ERROR: Final = 500

# yfinance calls pandas in ways that pandas 4 will drop; a reader of our logs can do nothing about it.
warnings.filterwarnings("ignore", module="yfinance")
# Raise instead of logging and returning an empty table.
YfConfig.debug.hide_exceptions = False
_CACHE_PREFIX: Final = "tailwatch-yfinance-"


def _cache_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for this process alone, and remove those of processes that are no more.

    Celery ends its children without the clean-up that Python does at exit, and each leaves 100 kB behind.
    """
    running = set(psutil.pids())
    for left in Path(tempfile.gettempdir()).glob(f"{_CACHE_PREFIX}*"):
        pid = left.name.removeprefix(_CACHE_PREFIX).partition("-")[0]
        if pid.isdecimal() and int(pid) not in running:
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{_CACHE_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)


# yfinance keeps the cookie in an SQLite file, by default one for all processes, which then lock each other out.
_cache = _cache_folder()
yf.set_tz_cache_location(_cache.name)


_making: Final = threading.Lock()


@dataclass(frozen=True)
class RawAnswer:
    """What yfinance made of Yahoo's answer.

    Attributes:
        frame: One row a session, its index days in the exchange's time zone; columns Close, Adj Close, Volume,
            Dividends and Stock Splits (new shares for one old share, 0 on other days). A split or dividend of a day
            without a session has a row of its own, without prices, and so has a session without a price.
        meta: Yahoo's own description of the instrument.
    """

    frame: pd.DataFrame
    meta: dict[str, Any]


def ask(ticker: str, timeout_seconds: float, base_url: str | None, since: date | None = None) -> RawAnswer:
    """Return everything Yahoo has on `ticker`, day by day, or what it has from the day before `since` on.

    All of it where no day is given, because its list of splits reaches as far as the prices do, and a trade may be
    older than the history that risk needs.

    Raises:
        PriceSourceError: of the kind that fits, with a sentence.
    """
    with _making:
        # One for all threads: yfinance, too, has one at a time, whichever it was given last.
        session = _session(base_url)
    session.start(timeout_seconds)
    try:
        asked = _Ticker(ticker, session=session)
        # Both closes are wanted: what "adjusted" means is decided in our own code and not by a default.
        frame = asked.history(
            **_asked_for(since),
            interval="1d",
            auto_adjust=False,
            actions=True,
            keepna=True,
            timeout=timeout_seconds,
        )
        meta = asked.get_history_metadata()
        # Item by item: reading all of them would ask Yahoo for the hours of each day.
        return RawAnswer(frame, {key: meta.get(key) for key in META})
    except PriceSourceError:
        raise
    except YFRateLimitError as error:
        raise session.refusal() from error
    except YFPricesMissingError as error:
        said = f": {error.yahoo_reason}" if error.yahoo_reason else "."
        raise BadAnswerError(f"Yahoo has no prices for {ticker} just now{said}") from error
    except ValueError as error:
        # Among them JSON that ends too early, which is a RequestException as well.
        raise BadAnswerError(f"Yahoo's answer for {ticker} could not be read.") from error
    except Timeout as error:
        raise SourceTimeoutError(f"Yahoo did not answer within {timeout_seconds:g} s.") from error
    except (CurlConnectionError, ProxyError) as error:
        raise SourceUnreachableError("Yahoo could not be reached: the connection failed.") from error
    except (LookupError, TypeError, AttributeError, ArithmeticError, YFException, RequestException) as error:
        # An answer of another shape breaks yfinance in as many ways. Not everything is caught: a worker's time limit
        # is an exception too.
        raise BadAnswerError(f"Yahoo's answer for {ticker} could not be used ({type(error).__name__}).") from error


def _asked_for(since: date | None) -> dict[str, Any]:
    # A day earlier: midnight is taken in UTC, and Auckland's sessions begin before that.
    return {"period": "max"} if since is None else {"start": since - timedelta(days=1)}


class _Ticker(yf.Ticker):  # type: ignore[misc]
    def _get_ticker_tz(self, timeout: float) -> str:  # noqa: ARG002 - yfinance's signature
        # yfinance spends a request a ticker on the time zone, which decides nothing in a history of all days; the
        # days themselves come in the exchange's own. Should this method be renamed, the request is back, no more.
        return "UTC"


class _Question(threading.local):
    """What one thread asks just now."""

    seconds = 0.0
    deadline = 0.0
    retry_after = REFUSED_SECONDS


class _Session(requests.Session):  # type: ignore[type-arg, unused-ignore]
    """One time limit for all requests of a ticker; and statuses are read that yfinance passes over.

    Threads share it, and with it cookie and crumb, which yfinance fetches under a lock of its own; curl_cffi gives
    each thread a connection.
    """

    def __init__(self, base_url: str | None) -> None:
        super().__init__(impersonate="chrome")
        self._base = urlsplit(base_url) if base_url is not None else None
        self._question = _Question()
        self._access_out_until = 0.0

    def start(self, seconds: float) -> None:
        """Give the requests of this thread that follow `seconds` together."""
        self._question.seconds, self._question.deadline = seconds, time.monotonic() + seconds

    def refusal(self) -> SourceRefusedError:
        """Return the failure that this thread's last status 429 was."""
        return SourceRefusedError("Yahoo refused to answer (429, too many requests).", self._question.retry_after)

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        asked = urlsplit(url)
        is_chart = asked.path.startswith(CHART_PATH)
        left = self._question.deadline - time.monotonic()
        if left <= 0:
            raise Timeout("the time for this ticker is over")
        if not is_chart and time.monotonic() < self._access_out_until:
            # The other threads wait while one asks: all of them would spend their time on it, one after another.
            raise Timeout("cookie and crumb are left alone for a while")
        # Charts need neither cookie nor crumb: a host of theirs that hangs may not take the time away.
        kwargs["timeout"] = left if is_chart else min(left, self._question.seconds / 4)
        if self._base is not None:
            url = urlunsplit((self._base.scheme, self._base.netloc, asked.path, asked.query, ""))
        try:
            response = super().request(method, url, *args, **kwargs)
        except Timeout:
            if not is_chart:
                self._access_out_until = time.monotonic() + ACCESS_OUT_SECONDS
            raise
        if is_chart:
            self._read_status(response, asked.path.removeprefix(CHART_PATH))
        return response

    def _read_status(self, response: Any, ticker: str) -> None:
        """Raise what a status says; yfinance would ask again, differently, and then tell less.

        A refusal is left to it: asking again with another cookie does help at times.
        """
        if response.status_code == HTTP_NOT_FOUND and _error_code(response) == "Not Found":
            raise UnknownTickerError(f"Yahoo does not know {ticker}.")
        if response.status_code >= HTTP_SERVER_ERROR:
            raise SourceBrokenError(f"Yahoo failed to answer for {ticker} (status {response.status_code}).")
        if response.status_code == HTTP_TOO_MANY_REQUESTS:
            told = response.headers.get("Retry-After") or ""
            seconds = min(float(told), LONGEST_REFUSAL_SECONDS) if told.isdecimal() else REFUSED_SECONDS
            self._question.retry_after = seconds


def _error_code(response: Any) -> str | None:
    """Return Yahoo's own word for a failure; a 404 without it is some other server's."""
    try:
        return str(response.json()["chart"]["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return None


@lru_cache(maxsize=2)
def _session(base_url: str | None) -> _Session:
    """Return this process's session: its connection, cookie and crumb serve all tickers."""
    return _Session(base_url)
