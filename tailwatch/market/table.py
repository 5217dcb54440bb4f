"""Price tables as people and servers write them: one row a day, columns by name, mistakes named by their place."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from tailwatch.errors import BadAnswerError
from tailwatch.market.sources import Bar

#: Column: names that it goes by, in small letters, without what is not a letter.
COLUMNS: Final = {
    "date": ("date", "day", "timestamp"),
    "close": ("close",),
    "adjusted_close": ("adjustedclose", "adjclose"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "volume": ("volume", "vol"),
    "currency": ("currency",),
    "split": ("split", "splits", "stocksplits", "splitratio"),
}
_BY_NAME: Final = {name: column for column, names in COLUMNS.items() for name in names}
_NEEDED: Final = ("date", "close")
#: What stands for "no value" in a cell.
NOTHING: Final = frozenset({"", "n/d", "n/a", "nan", "<na>", "null", "none", "-"})
_CURRENCY: Final = re.compile("[A-Za-z]{3}")
_COMPACT_DAY: Final = re.compile(r"(\d{4})(\d\d)(\d\d)")
_SMALLEST_PRICE: Final = Decimal("1e-8")
_LARGEST_PRICE: Final = Decimal(10) ** 15
_LARGEST_VOLUME: Final = 2**63 - 1
#: New shares for one old share, and the other way round; what is beyond is a mistake.
_LARGEST_SPLIT: Final = Decimal(10) ** 6


@dataclass
class PriceTable:
    """What a table says.

    Attributes:
        bars: Days rising, one a day; rows without a close are left out.
        currency: That of its column; None without one.
        splits: Day and new shares for one old share; None without such a column.
    """

    bars: list[Bar] = field(default_factory=list)
    currency: str | None = None
    splits: list[tuple[date, Decimal]] | None = None


def read_csv(text: str, origin: str) -> PriceTable:
    """Read a table of text, with commas or semicolons.

    Args:
        text: All of it, its first line the names of the columns.
        origin: What messages call it.

    Raises:
        BadAnswerError: it is none, or a cell cannot be; the message has line and column.
    """
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(reader, [])
        return read(header, ((f"line {reader.line_num}", row) for row in reader if row), origin)
    except csv.Error as error:
        raise BadAnswerError(f"{origin}: line {reader.line_num} is no line of a CSV file ({error}).") from error


def read(header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], origin: str) -> PriceTable:
    """Read a table.

    Args:
        header: Names of the columns; others than those of `COLUMNS` are passed over.
        rows: What messages call each, and its cells.
        origin: What messages call the table.

    Raises:
        BadAnswerError: see `read_csv`.
    """
    places = _places(header, origin)
    found = PriceTable(splits=[] if "split" in places else None)
    seen: dict[date, str] = {}
    for name, row in rows:
        cells = _Cells(origin, name, header, row, places)
        day = cells.day()
        if day in seen:
            raise cells.error("date", f"{day} stands in {seen[day]} already")
        seen[day] = name
        _take_currency(found, cells)
        split = cells.split()
        if found.splits is not None and split is not None:
            found.splits.append((day, split))
        close = cells.price("close")
        if close is not None:
            adjusted = cells.price("adjusted_close") or close
            found.bars.append(Bar(day, close, adjusted, cells.volume(), *_range(cells, close)))
    found.bars.sort(key=lambda bar: bar.day)
    if found.splits:
        found.splits.sort()
    return found


def _places(header: Sequence[str], origin: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        column = _BY_NAME.get(re.sub("[^a-z]", "", name.lower()))
        if column is not None and column in places:
            raise BadAnswerError(f"{origin}: the columns {header[places[column]]} and {name} say the same.")
        if column is not None:
            places[column] = place
    missing = [column for column in _NEEDED if column not in places]
    if missing:
        said = ", ".join(name.strip() for name in header)[:100]
        raise BadAnswerError(f"{origin}: there is no column {' and no '.join(missing)}; the first line says: {said}.")
    return places


def _take_currency(found: PriceTable, cells: _Cells) -> None:
    currency = cells.text("currency")
    if currency is None:
        return
    if not _CURRENCY.fullmatch(currency):
        raise cells.error("currency", f"{currency!r} is no currency, such as USD, or GBp for pence")
    if found.currency is not None and currency != found.currency:
        raise cells.error("currency", f"{currency}, but {found.currency} before")
    found.currency = currency


def _range(cells: _Cells, close: Decimal) -> tuple[Decimal, Decimal, Decimal] | tuple[()]:
    """Return open, high and low; nothing where one is missing or they cannot be."""
    # Zero is how some write that they do not know.
    first, high, low = (cells.price(column, least=Decimal(0)) for column in ("open", "high", "low"))
    if first is None or high is None or low is None or not 0 < low <= min(first, close) <= max(first, close) <= high:
        return ()
    return first, high, low


@dataclass(frozen=True)
class _Cells:
    """One row."""

    origin: str
    name: str
    header: Sequence[str]
    row: Sequence[str]
    places: Mapping[str, int]

    def error(self, column: str, what: str) -> BadAnswerError:
        named = self.header[self.places[column]].strip()
        return BadAnswerError(f"{self.origin}: {self.name}, column {named}: {what}.")

    def text(self, column: str) -> str | None:
        place = self.places.get(column)
        if place is None or place >= len(self.row):
            return None
        cell = self.row[place].strip()
        return None if cell.lower() in NOTHING else cell

    def day(self) -> date:
        cell = self.text("date") or ""
        written = "-".join(compact.groups()) if (compact := _COMPACT_DAY.fullmatch(cell)) else cell[:10]
        try:
            # A time after the day is passed over: 2026-03-31 00:00:00.
            return date.fromisoformat(written)
        except ValueError:
            raise self.error("date", f"{cell!r} is no day such as 2026-03-31") from None

    def number(self, column: str) -> Decimal | None:
        cell = self.text(column)
        if cell is None:
            return None
        try:
            value = Decimal(cell)
        except InvalidOperation:
            raise self.error(column, f"{cell!r} is no number such as 1234.56") from None
        if not value.is_finite():
            raise self.error(column, f"{cell!r} is no number")
        return value

    def price(self, column: str, least: Decimal = _SMALLEST_PRICE) -> Decimal | None:
        value = self.number(column)
        if value is None or least <= value < _LARGEST_PRICE:
            return value
        raise self.error(column, f"{value} cannot be a price")

    def volume(self) -> int | None:
        value = self.number("volume")
        if value is None or 0 <= value <= _LARGEST_VOLUME:
            return None if value is None else int(value)
        raise self.error("volume", f"{value} cannot be a volume")

    def split(self) -> Decimal | None:
        """Return new shares for one old share: 4, 0.1, 3:2; None on a day without a split."""
        cell = self.text("split")
        if cell is None:
            return None
        new, _, old = cell.partition(":")
        try:
            ratio = Decimal(new) / Decimal(old or 1)
            if ratio in {0, 1}:
                return None
            # NaN cannot be compared, and is no ratio either.
            if 1 / _LARGEST_SPLIT <= ratio <= _LARGEST_SPLIT:
                return round(ratio, 10)
        except (ArithmeticError, TypeError):
            pass
        raise self.error("split", f"{cell!r} is no split such as 4, 0.1 or 3:2")
