"""Prices from files of the user's own: one a ticker in the folder `PRICE_FOLDER`, as CSV or Parquet.

A file is read anew with each fetch, so what was changed in it is noticed by the next one. It is the user's word:
its newest day is taken as closed.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tailwatch.errors import BadAnswerError, SourceUnreachableError, UnknownTickerError
from tailwatch.market import table
from tailwatch.market.instruments import TICKER
from tailwatch.market.sources import PriceHistory

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "folder"
_ENDINGS: Final = (".csv", ".parquet")
_LARGEST_BYTES: Final = 64 * 2**20
#: What a Parquet file that is damaged, or none, breaks the library with, beside errors of its own. Not everything: a
#: worker's time limit is an exception too.
_BROKEN: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


class FolderSource:
    """Daily bars from files.

    Args:
        folder: With AAPL.csv or AAPL.parquet.
        currency: Of all prices, where a file has no such column.
    """

    name = NAME

    def __init__(self, folder: Path, currency: str | None = None) -> None:
        self._folder, self._currency = folder, currency

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the bars of the file of `ticker` from `start` on; see `PriceSource.history` for the failures."""
        path = self._find(ticker)
        found = _read(path)
        future = [bar.day for bar in found.bars if bar.day > now.date()]
        if future:
            raise BadAnswerError(f"{path.name}: {future[-1]} is in the future.")
        bars = [bar for bar in found.bars if bar.day >= start]
        if not bars:
            raise BadAnswerError(f"{path.name} has no price since {start}.")
        currency = found.currency or self._currency
        if currency is None:
            raise BadAnswerError(
                f"{path.name} says no currency: add a column “currency”, or set PRICE_FOLDER_CURRENCY for all files."
            )
        return PriceHistory(
            ticker=ticker,
            source=NAME,
            currency=currency,
            name=None,
            since=start,
            bars=bars,
            splits=found.splits,
        )

    def _find(self, ticker: str) -> Path:
        """Return the file of a ticker. A ticker has no slash, so it cannot lead out of the folder."""
        if not TICKER.fullmatch(ticker):
            raise UnknownTickerError(f"{ticker!r} cannot be the name of a file.")
        try:
            names = (f"{name}{ending}" for name in (ticker, ticker.lower()) for ending in _ENDINGS)
            there = [path for name in names if (path := self._folder / name).is_file()]
            if not there and not self._folder.is_dir():
                # A disk that is not mounted is no word about a ticker.
                raise SourceUnreachableError(f"There is no folder {self._folder}: see PRICE_FOLDER.")
        except OSError as error:
            raise SourceUnreachableError(f"The folder of prices cannot be read ({error.strerror}).") from error
        if not there:
            raise UnknownTickerError(f"There is no file {ticker}.csv or {ticker}.parquet.")
        if len(there) > 1 and not there[0].samefile(there[1]):
            raise BadAnswerError(f"There are {there[0].name} and {there[1].name}; keep one of them.")
        return there[0]


def _read(path: Path) -> table.PriceTable:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadAnswerError(f"{path.name} is larger than {_LARGEST_BYTES >> 20} MB.")
        if path.suffix == ".parquet":
            return _read_parquet(path)
        return table.read_csv(path.read_text("utf-8-sig"), path.name)
    except UnicodeDecodeError:
        raise BadAnswerError(f"{path.name} is no text in UTF-8.") from None
    except OSError as error:
        raise BadAnswerError(f"{path.name} cannot be read ({error.strerror}).") from error


def _read_parquet(path: Path) -> table.PriceTable:
    # With pandas, some 60 MB: only where there is such a file.
    with warnings.catch_warnings():
        # The library asks pandas in ways that pandas 4 will drop; a reader of our logs can do nothing about it.
        warnings.simplefilter("ignore")
        import cramjam  # noqa: PLC0415
        import fastparquet  # type: ignore[import-untyped, unused-ignore]  # noqa: PLC0415

        try:
            frame: pd.DataFrame = fastparquet.ParquetFile(str(path)).to_pandas()
        except (*_BROKEN, cramjam.DecompressionError, fastparquet.util.ParquetException) as error:
            reason = type(error).__name__
            raise BadAnswerError(f"{path.name} is no Parquet file that can be read ({reason}).") from error
    if frame.index.name is not None:
        frame = frame.reset_index()
    return table.read([str(name) for name in frame.columns], _rows(frame), path.name)


def _rows(frame: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    # As they are stored: a single-precision 129.93 becomes 129.92999267578125 where it becomes a Python float.
    columns = [frame[name].to_numpy() for name in frame.columns]
    for number, cells in enumerate(zip(*columns, strict=True), start=1):
        yield f"row {number}", [_written(cell) for cell in cells]


def _written(cell: Any) -> str:
    """Return a cell as a CSV file has it: a number is the shortest that is this one."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
