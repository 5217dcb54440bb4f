"""From what Yahoo answered to a price history, or to the reason why it is not one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pandas as pd

from tailwatch.errors import BadAnswerError, OtherSymbolError
from tailwatch.market import calendars
from tailwatch.market.sources import Bar, PriceHistory
from tailwatch.market.yahoo.client import RawAnswer

_SOURCE: Final = "yahoo"
#: USD, and GBp for pence.
_CURRENCY: Final = re.compile("[A-Za-z]{3}")
_NAMES: Final = ("longName", "shortName")
#: What Yahoo calls kinds of instruments, and what the page does. A kind that is not here stays without a label.
_ASSET_CLASSES: Final = {
    "EQUITY": "Equity",
    "ETF": "ETF",
    "MUTUALFUND": "Fund",
    "INDEX": "Index",
    "CURRENCY": "Currency",
    "CRYPTOCURRENCY": "Cryptocurrency",
    "FUTURE": "Future",
}
#: Yahoo's prices are single-precision floats written out: 129.92999267578125 was 129.93.
_SIGNIFICANT_DIGITS: Final = 7
#: Yahoo says when an instrument was traded last: prices that end so much sooner are half an answer.
_PRICES_END_WITHIN: Final = timedelta(days=30)
#: New shares for one old share, and the other way round; what is beyond is a mistake.
_LARGEST_SPLIT: Final = 1e6
_LARGEST_PRICE: Final = 1e15
#: Of PostgreSQL's bigint. A volume that overflowed is negative.
_LARGEST_VOLUME: Final = 2**63 - 1


def read(ticker: str, raw: RawAnswer, start: date, now: datetime) -> PriceHistory:
    """Return the finished sessions from `start` on and all splits.

    Days without a price, and the day of a session that is still open, are left out.

    Raises:
        BadAnswerError: it is about another symbol, has no currency, no finished session or a split that cannot be,
            or its prices end long before the last trade.
    """
    # Comparisons are false for NaN, so this drops days without a price too.
    frame = raw.frame[(raw.frame["Close"] > 0) & (raw.frame["Adj Close"] > 0)]
    symbol = str(raw.meta["symbol"] or "").upper()
    if symbol != ticker:
        raise OtherSymbolError(
            f"Yahoo answered for {symbol or 'no symbol'} when asked for {ticker}; nothing was taken. If "
            f"that is its new symbol, book it as that.",
            symbol,
            dict(zip(_days(frame), frame["Close"], strict=True)),
        )
    currency = raw.meta["currency"]
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise BadAnswerError(f"Yahoo gave no currency for {ticker}; nothing was taken.")
    open_day, exchange = _open_day(raw.meta, frame, now), raw.meta["exchangeName"]
    bars = [
        Bar(
            day,
            _price(close),
            _price(adjusted),
            int(volume) if 0 <= volume <= _LARGEST_VOLUME else None,
            *_range(first, high, low, close),
        )
        for day, close, adjusted, volume, first, high, low in zip(
            _days(frame),
            frame["Close"],
            frame["Adj Close"],
            frame["Volume"],
            frame["Open"],
            frame["High"],
            frame["Low"],
            strict=True,
        )
        if start <= day != open_day
    ]
    if not bars:
        raise BadAnswerError(f"Yahoo gave no finished session with a price for {ticker} since {start}.")
    _check_end(ticker, bars[-1].day, raw.meta["regularMarketTime"])
    return PriceHistory(
        ticker=ticker,
        source=_SOURCE,
        currency=currency,
        name=next((name for key in _NAMES if isinstance(name := raw.meta[key], str) and name), None),
        since=start,
        bars=bars,
        splits=list(_splits(ticker, raw.frame)),
        blank=[day for day in _blank_days(raw.frame) if start <= day != open_day],
        labels=_labels(raw.meta["instrumentType"]),
        calendar=calendars.calendar_of(ticker, exchange if isinstance(exchange, str) else None),
    )


def _check_end(ticker: str, last: date, traded: object) -> None:
    """Refuse prices that end long before the instrument was traded last."""
    if isinstance(traded, datetime) and traded.date() - last > _PRICES_END_WITHIN:
        raise BadAnswerError(
            f"Yahoo's prices of {ticker} end on {last}, but it was traded on {traded.date()}: the answer is not "
            "complete."
        )


def _blank_days(frame: pd.DataFrame) -> list[date]:
    """Return the days that Yahoo lists as sessions and gives no price of."""
    # A split or dividend of a day without a session has a row of its own.
    events = (frame["Stock Splits"] != 0) | (frame["Dividends"] != 0)
    return _days(frame[~((frame["Close"] > 0) & (frame["Adj Close"] > 0)) & ~events])


def _labels(kind: object) -> dict[str, str]:
    """Return the asset class; the sector is not in what Yahoo says beside prices."""
    known = _ASSET_CLASSES.get(kind) if isinstance(kind, str) else None
    return {} if known is None else {"asset_class": known}


def _splits(ticker: str, frame: pd.DataFrame) -> Iterator[tuple[date, Decimal]]:
    for day, ratio in zip(_days(frame), frame["Stock Splits"], strict=True):
        if ratio in {0, 1}:
            continue
        if not 1 / _LARGEST_SPLIT <= ratio <= _LARGEST_SPLIT:
            # To leave it out could be as wrong as to take it: every older quantity rests on it.
            raise BadAnswerError(f"Yahoo gave {ticker} a split of {ratio:g} on {day}; nothing was taken.")
        yield day, round(Decimal(ratio), 10)


def _open_day(meta: dict[str, Any], frame: pd.DataFrame, now: datetime) -> date | None:
    """Return the day of a session that has not closed at `now`, in the exchange's time: its last price is no close.

    Where Yahoo does not say when sessions end, today's is taken for open.
    """
    end: datetime | None = ((meta["currentTradingPeriod"] or {}).get("regular") or {}).get("end")
    if end is None:
        return now.astimezone(pd.DatetimeIndex(frame.index).tz).date()
    return end.date() if end > now else None


def _days(table: pd.DataFrame) -> list[date]:
    return [stamp.date() for stamp in pd.DatetimeIndex(table.index)]


def _range(first: float, high: float, low: float, close: float) -> tuple[Decimal, Decimal, Decimal] | tuple[()]:
    """Return open, high and low; nothing where they cannot be: false for NaN, too."""
    if not 0 < low <= min(first, close) <= max(first, close) <= high < _LARGEST_PRICE:
        return ()
    return _price(first), _price(high), _price(low)


def _price(number: float) -> Decimal:
    return Decimal(f"{number:.{_SIGNIFICANT_DIGITS}g}")
