"""Prices from Yahoo through yfinance; nothing else in Tailwatch imports it.

yfinance (and pandas under it) costs a second and some 100 MB, so it is imported when the first price is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceRefusedError,
    SourceUnreachableError,
    UnknownTickerError,
)
from tailwatch.market.sources import Bar, PriceHistory

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "yahoo"
#: Yahoo says 429 without a time; experience says that a quarter of an hour is soon enough.
REFUSED_SECONDS: Final = 900.0
#: A request by period needs no second one for the time zone; the shortest that covers the wish is asked for.
_PERIODS: Final = (("1y", 360), ("2y", 725), ("5y", 1820), ("10y", 3650), ("max", 10**9))


class YahooSource:
    """Daily bars by yfinance.

    Args:
        timeout_seconds: For every single request, the cookie's and the crumb's included.
        base_url: Another server that speaks Yahoo's answers, for tests; None for Yahoo itself.
    """

    name = NAME

    def __init__(self, timeout_seconds: float = 10.0, base_url: str | None = None) -> None:
        self._timeout = timeout_seconds
        self._base_url = base_url

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the finished sessions of `ticker`; see `PriceSource.history` for the failures."""
        period = next(name for name, days in _PERIODS if days >= (now.date() - start).days)
        with _typed_failures(ticker):
            import yfinance as yf  # noqa: PLC0415 - see the module's docstring

            _prepare()
            asked = yf.Ticker(ticker, session=_session(self._timeout, self._base_url))
            # auto_adjust is off so that both closes are there; what adjusted means is decided here and not there.
            frame = asked.history(
                period=period, interval="1d", auto_adjust=False, actions=True, timeout=self._timeout
            )
            meta = dict(asked.get_history_metadata())
        return _history(ticker, frame, meta, start, now)


def _history(ticker: str, frame: pd.DataFrame, meta: dict[str, Any], start: date, now: datetime) -> PriceHistory:
    symbol = str(meta.get("symbol", "")).upper()
    if symbol != ticker:
        raise BadAnswerError(
            f"Yahoo answered for {symbol or 'no symbol'} when asked for {ticker}; nothing was taken."
        )
    currency = meta.get("currency")
    if not isinstance(currency, str) or len(currency) != 3:
        raise BadAnswerError(f"Yahoo gave no currency for {ticker}; nothing was taken.")
    if "Adj Close" not in frame or "Close" not in frame:
        raise BadAnswerError(f"Yahoo gave no closing prices for {ticker}; nothing was taken.")
    unfinished = _unfinished_day(meta, now)
    frame = frame[(frame["Close"] > 0) & (frame["Adj Close"] > 0)]
    bars = [
        Bar(stamp.date(), _decimal(close), _decimal(adjusted), int(volume) if volume >= 0 else None)
        for stamp, close, adjusted, volume in zip(
            frame.index, frame["Close"], frame["Adj Close"], frame["Volume"], strict=True
        )
        if start <= stamp.date() != unfinished
    ]
    if not bars:
        raise BadAnswerError(f"Yahoo gave no finished session with a price for {ticker}.")
    return PriceHistory(
        ticker=ticker,
        source=NAME,
        currency=currency,
        name=meta.get("longName") or meta.get("shortName"),
        bars=bars,
        splits=[
            (stamp.date(), _decimal(ratio))
            for stamp, ratio in zip(frame.index, frame.get("Stock Splits", [0.0] * len(frame)), strict=True)
            if ratio > 0 and ratio != 1 and stamp.date() >= start
        ],
    )


def _unfinished_day(meta: dict[str, Any], now: datetime) -> date | None:
    """Return the day of the session that is still open, in the exchange's time; its last price is no close yet."""
    regular = (meta.get("currentTradingPeriod") or {}).get("regular") or {}
    end = regular.get("end")
    if not isinstance(end, int | float) or now.timestamp() >= end:
        return None
    opened = datetime.fromtimestamp(end, UTC).timestamp() + float(meta.get("gmtoffset") or 0)
    return datetime.fromtimestamp(opened, UTC).date()


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.8f}").normalize()


@lru_cache(maxsize=1)
def _prepare() -> None:
    """Set yfinance up once a process: raise instead of log, and a cache folder of this process's own.

    Its cache is an SQLite file that several processes lock each other out of.
    """
    import yfinance as yf  # noqa: PLC0415
    from yfinance.config import YfConfig  # noqa: PLC0415

    YfConfig.debug.hide_exceptions = False
    yf.set_tz_cache_location(tempfile.mkdtemp(prefix="tailwatch-yfinance-"))


@lru_cache(maxsize=2)
def _session(timeout_seconds: float, base_url: str | None) -> Any:
    """Return an HTTP session whose every request ends in time, and that goes to `base_url` if one is given.

    yfinance waits 30 s for the cookie and again for the crumb, whatever time-out it was given.
    """
    from curl_cffi import requests  # noqa: PLC0415

    class Session(requests.Session):  # type: ignore[type-arg, unused-ignore]
        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = timeout_seconds
            if base_url is not None:
                there, asked = urlsplit(base_url), urlsplit(url)
                url = urlunsplit((there.scheme, there.netloc, asked.path, asked.query, ""))
            return super().request(method, url, *args, **kwargs)

    return Session(impersonate="chrome")


@contextmanager
def _typed_failures(ticker: str) -> Iterator[None]:
    """Turn whatever yfinance and its HTTP client raise into our failures."""
    from curl_cffi.requests.exceptions import RequestException, Timeout  # noqa: PLC0415
    from yfinance.exceptions import (  # noqa: PLC0415
        YFPricesMissingError,
        YFRateLimitError,
        YFTickerMissingError,
    )

    try:
        yield
    except PriceSourceError:
        raise
    except YFRateLimitError as error:
        raise SourceRefusedError("Yahoo refused to answer (429, too many requests).", REFUSED_SECONDS) from error
    except YFPricesMissingError as error:
        if error.yahoo_reason is not None:
            raise UnknownTickerError(f"Yahoo does not know {ticker}: {error.yahoo_reason}") from error
        raise BadAnswerError(f"Yahoo gave no prices for {ticker}.") from error
    except YFTickerMissingError as error:
        raise UnknownTickerError(f"Yahoo does not know {ticker}.") from error
    except Timeout as error:
        raise SourceUnreachableError("Yahoo did not answer in time.") from error
    except (RequestException, ConnectionError) as error:
        raise SourceUnreachableError("Yahoo could not be reached.") from error
    except Exception as error:
        raise BadAnswerError(f"Yahoo's answer for {ticker} could not be read ({type(error).__name__}).") from error
