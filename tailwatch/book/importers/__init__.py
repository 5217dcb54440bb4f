"""Files of brokers and other trackers: recognised by what is in them, read row by row, nothing of it booked yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from tailwatch.book.importers import (
    generic,
    ghostfolio,
    ib_flex,
    ib_statement,
    own,
    portfolio_performance,
    wealthfolio,
    yahoo,
)
from tailwatch.book.importers.reading import Format, Source
from tailwatch.book.importers.rows import ImportedRow, RowMaker
from tailwatch.book.importers.table import read_table
from tailwatch.book.importers.values import decoded
from tailwatch.errors import InputFileError

#: In the order in which they are asked whether a file is theirs: the ones that say so most clearly come first.
FORMATS: Final[tuple[Format, ...]] = (
    own.FORMAT,
    ghostfolio.JSON,
    ib_flex.XML,
    ib_statement.FORMAT,
    ib_flex.CSV,
    portfolio_performance.FORMAT,
    yahoo.FORMAT,
    wealthfolio.FORMAT,
    ghostfolio.CSV,
    generic.FORMAT,
)
#: Rows between two calls of a progress callback.
_AT_ONCE: Final = 1000
#: Is told how many rows were read.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class ColumnMapping:
    """What the owner says of a file.

    Attributes:
        columns: The file's name of our columns (`generic.COLUMNS`).
        symbols: Ticker by what the file calls an instrument, or by its ISIN.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportedFile:
    """A file as it was read.

    Attributes:
        format: What kind it is.
        rows: In the order of the file.
        columns: Its header, for a mapping; empty for JSON and XML.
        newest_first: Whether the file begins with the newest row: what happened on one day is then booked backwards.
    """

    format: Format
    rows: list[ImportedRow]
    columns: list[str]
    newest_first: bool

    def in_order(self) -> list[ImportedRow]:
        """Return the rows in the order in which they are to be booked."""
        return self.rows[::-1] if self.newest_first else self.rows


def read(
    content: bytes,
    *,
    base_currency: str,
    mapping: ColumnMapping | None = None,
    progress: Progress | None = None,
) -> ImportedFile:
    """Read a file of any format that is known.

    Args:
        content: The file.
        base_currency: Of rows that name no currency.
        mapping: What the owner says of its columns and symbols.
        progress: Is told how far it is.

    Raises:
        InputFileError: it is empty, no text, of no known format, or broken.
    """
    mapping = mapping or ColumnMapping()
    source = _source(decoded(content), mapping)
    known = _format(source, mapping)
    maker = RowMaker(base_currency, mapping.symbols)
    rows = []
    for number, draft in enumerate(known.drafts(source), start=1):
        rows.append(maker.row(draft))
        if progress is not None and number % _AT_ONCE == 0:
            progress(number)
    moments = [row.entry.executed_at for row in rows if row.entry is not None]
    return ImportedFile(
        known, rows, source.table.header if source.table else [], bool(moments) and moments[0] > moments[-1]
    )


def _source(text: str, mapping: ColumnMapping) -> Source:
    start = text.lstrip()[:1]
    if not start:
        raise InputFileError("The file is empty.")
    if start == "<":
        return Source(text, None)
    if start in "{[":
        try:
            content = json.loads(text, parse_float=Decimal)
        except ValueError as error:
            raise InputFileError(f"This JSON cannot be read: {error}.") from error
        except RecursionError as error:
            raise InputFileError("This JSON cannot be read: it is nested too deeply.") from error
        return Source(text, None, content=content)
    table = read_table(text)
    missing = next((theirs for theirs in mapping.columns.values() if theirs not in table.header), None)
    if missing is not None:
        raise InputFileError(f"The file has no column “{missing}”. Its columns are: {', '.join(table.header[:20])}.")
    return Source(text, table, mapping.columns)


def _format(source: Source, mapping: ColumnMapping) -> Format:
    if mapping.columns and source.table is not None:
        return generic.FORMAT
    found = next((one for one in FORMATS if one.recognises(source)), None)
    if found is None:
        known = "; ".join(one.title for one in FORMATS)
        seen = f" Its columns are: {', '.join(source.table.header[:20])}." if source.table else ""
        raise InputFileError(
            f"What this file is could not be told.{seen} Known are: {known}. Or say which column is which."
        )
    return found
