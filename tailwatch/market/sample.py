"""The bundled sample: twenty US stocks and the S&P 500, real daily adjusted closes up to 2022-12-28.

For examples and tests, not for trading; data/NOTICE says where it comes from.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Final

import numpy as np
import numpy.typing as npt

from tailwatch.errors import UnknownTickerError
from tailwatch.market.sources import Bar, PriceHistory

NAME: Final = "sample"
FILE: Final = "us20_adjclose_1990_2022.csv.gz"
CURRENCY: Final = "USD"
#: GICS sectors as of the sample's last day, and what kind of instrument each is.
LABELS_FILE: Final = "us20_labels.csv"

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

        Its closes are adjusted for splits and dividends alike, so both closes of a bar are the same, and it has no
        list of splits.
        """
        table = _table()
        if ticker not in table.closes:
            raise UnknownTickerError
        since = table.days[-1] - (now.date() - start)
        # Only what was asked for becomes objects: a worker keeps two megabytes of numbers, not forty of decimals.
        bars = [
            Bar(day, close, close)
            for day, number in zip(table.days, table.closes[ticker], strict=True)
            if day >= since and number > 0
            for close in [Decimal(repr(float(number)))]
        ]
        return PriceHistory(
            ticker=ticker,
            source=NAME,
            currency=CURRENCY,
            name=NAMES[ticker],
            since=since,
            bars=bars,
            labels=labels()[ticker],
        )


@lru_cache(maxsize=1)
def labels() -> dict[str, dict[str, str]]:
    """Return the labels of each ticker by kind; an index has no sector."""
    file = resources.files("tailwatch.market") / "data" / LABELS_FILE
    with file.open("r", encoding="ascii") as lines:
        return {
            row.pop("ticker"): {kind: label for kind, label in row.items() if label} for row in csv.DictReader(lines)
        }


def last_day() -> date:
    """Return the sample's last session."""
    return _table().days[-1]


@dataclass(frozen=True)
class _Table:
    """The file: one list of days, and the closes of each ticker on them (NaN where it has none)."""

    days: list[date]
    closes: dict[str, npt.NDArray[np.float64]]


@lru_cache(maxsize=1)
def _table() -> _Table:
    file = resources.files("tailwatch.market") / "data" / FILE
    with file.open("rb") as compressed, gzip.open(compressed, "rt", encoding="ascii") as text:
        header, *lines = text.read().split()
    rows = [line.split(",") for line in lines]
    names = header.split(",")[1:]
    # Python's float() reads "129.652" to the nearest double, and repr() writes that as "129.652" again.
    closes = np.array([[float(field or "nan") for field in row[1:]] for row in rows])
    return _Table(
        days=[date.fromisoformat(row[0]) for row in rows],
        closes={_TICKERS.get(name, name): closes[:, column].copy() for column, name in enumerate(names)},
    )
