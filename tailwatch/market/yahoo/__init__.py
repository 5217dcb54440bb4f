"""Prices from Yahoo through yfinance; nothing outside this folder imports it.

yfinance (with pandas) costs a second or more and some 100 MB, so `client`, which imports it, is imported when the
first price is asked for, and not at all while Yahoo cannot be reached.
"""

from __future__ import annotations

import socket
import threading
from datetime import date, datetime
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from tailwatch.errors import BadAnswerError, SourceUnreachableError
from tailwatch.market.sources import PriceHistory

NAME: Final = "yahoo"
URL: Final = "https://query2.finance.yahoo.com"
#: To look the name up and connect; a machine without a network must have its sample prices in seconds.
CONNECT_SECONDS: Final = 2.0


class YahooSource:
    """Daily bars by yfinance.

    Args:
        timeout_seconds: For everything that one ticker takes, the cookie and the crumb included.
        base_url: Another server that speaks Yahoo's answers, for tests; None for Yahoo itself.
    """

    name = NAME

    def __init__(self, timeout_seconds: float = 10.0, base_url: str | None = None) -> None:
        self._timeout = timeout_seconds
        self._base_url = base_url
        self._reached = False

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the finished sessions of `ticker`; see `PriceSource.history` for the failures."""
        return self._ask(ticker, start, now, whole=True)

    def newest(self, ticker: str, since: date, now: datetime) -> PriceHistory:
        """Return the finished sessions and splits from `since` on; see `PriceSource.history` for the failures."""
        return self._ask(ticker, since, now, whole=False)

    def _ask(self, ticker: str, start: date, now: datetime, *, whole: bool) -> PriceHistory:
        if not self._reached:
            connect(self._base_url or URL)
            self._reached = True
        from tailwatch.market.yahoo import answer, client  # noqa: PLC0415 - see above

        raw = client.ask(ticker, self._timeout, self._base_url, since=None if whole else start)
        try:
            return answer.read(ticker, raw, start, now)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Of another shape than any seen so far; typed, so that the next source is asked.
            kind = type(error).__name__
            raise BadAnswerError(f"Yahoo's answer for {ticker} could not be used ({kind}).") from error


def connect(url: str, seconds: float = CONNECT_SECONDS) -> None:
    """Return if a connection to the host of `url` can be made within `seconds`, or if that is a proxy's job.

    The look-up of a name takes no time-out of its own, hence the thread, which is left behind if it hangs.

    Raises:
        SourceUnreachableError: it cannot.
    """
    parts = urlsplit(url)
    if getproxies().get(parts.scheme):
        return
    address = (parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme])
    problem: list[OSError] = [TimeoutError("no answer")]

    def attempt() -> None:
        try:
            socket.create_connection(address, timeout=seconds).close()
            problem.clear()
        except OSError as error:
            problem[0] = error

    thread = threading.Thread(target=attempt, name="yahoo-connect", daemon=True)
    thread.start()
    thread.join(seconds)
    if problem:
        raise SourceUnreachableError(
            "Yahoo could not be reached: no network, or its name is not found."
        ) from problem[0]
