"""The bundled sample: twenty US stocks and the S&P 500, real daily adjusted closes up to 2022-12-28.

For examples and tests, not for trading; data/NOTICE says where it comes from.
"""

from __future__ import annotations

import csv
import gzip
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Final

from tailwatch.errors import UnknownTickerError
from tailwatch.market.sources import Bar, PriceHistory

NAME: Final = "sample"
FILE: Final = "us20_adjclose_1990_2022.csv.gz"

NAMES: Final = {
    "AAPL": "Apple",
    "AMD": "Advanced Micro Devices",
    "BAC": "Bank of America",
    "BBY": "Best Buy",
    "CVX": "Chevron",
    "GE": "General Electric",
    "HD": "Home Depot",
    "JNJ": "Johnson & Johnson",
    "JPM": "JPMorgan Chase",
    "KO": "Coca-Cola",
    "LLY": "Eli Lilly",
    "MRK": "Merck",
    "MSFT": "Microsoft",
    "PEP": "PepsiCo",
    "PFE": "Pfizer",
    "PG": "Procter & Gamble",
    "RRC": "Range Resources",
    "UNH": "UnitedHealth",
    "WMT": "Walmart",
    "XOM": "Exxon Mobil",
    "^GSPC": "S&P 500",
}
#: Columns whose name in the file is not the ticker.
_TICKERS: Final = {"SP500": "^GSPC"}


class SampleSource:
    """Serves the bundled file; knows nothing after its last day."""

    name = NAME

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the sample's last sessions, as many as lie between `start` and now.

        The sample ends in 2022, so `start` is moved back by the sample's age: a reader who asks for six years of
        history gets the sample's last six years.
        """
        closes = _columns().get(ticker)
        if closes is None:
            raise UnknownTickerError
        days = _days()
        first = days[-1] - (now.date() - start)
        bars = [Bar(day, close, close) for day, close in zip(days, closes, strict=True) if close and day >= first]
        return PriceHistory(ticker, NAME, "USD", f"{NAMES[ticker]} (sample)", bars)


def last_day() -> date:
    """Return the sample's last session."""
    return _days()[-1]


@lru_cache(maxsize=1)
def _rows() -> list[list[str]]:
    file = resources.files("tailwatch.market") / "data" / FILE
    with file.open("rb") as compressed, gzip.open(compressed, "rt", newline="") as text:
        return list(csv.reader(text))


@lru_cache(maxsize=1)
def _days() -> list[date]:
    return [date.fromisoformat(row[0]) for row in _rows()[1:]]


@lru_cache(maxsize=1)
def _columns() -> dict[str, list[Decimal | None]]:
    header, *rows = _rows()
    return {
        _TICKERS.get(name, name): [Decimal(row[column]) if row[column] else None for row in rows]
        for column, name in enumerate(header)
        if column
    }
