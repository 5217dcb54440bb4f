"""What formats are written with: cells into drafts, and the mistakes of one cell into that row's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from tailwatch.book.entries import EntryType
from tailwatch.book.importers.rows import Draft
from tailwatch.book.importers.table import Table
from tailwatch.book.importers.values import DayOrder, DecimalMark, day_order, decimal_mark, moment, number

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A file to be read.

    Attributes:
        text: All of it.
        table: As CSV; None where it is JSON or XML.
        columns: Which of its columns is which of ours (`generic.COLUMNS`), where the owner says so.
    """

    text: str
    table: Table | None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        key: Its name in the API.
        title: For people.
        recognises: Whether a file is of this kind.
        drafts: Its rows.
    """

    key: str
    title: str
    recognises: Callable[[Source], bool]
    drafts: Callable[[Source], Iterator[Draft]]


@dataclass(frozen=True)
class Cells:
    """How the numbers and dates of a file are written."""

    mark: DecimalMark = "."
    order: DayOrder | None = None

    @classmethod
    def of(cls, table: Table, numbers: Sequence[str], dates: Sequence[str]) -> Cells:
        """Return how these columns of a table are written."""
        records = [record for _, record in table.records()]
        return cls(
            decimal_mark(record.get(name) or "" for record in records for name in numbers),
            day_order(record.get(name) or "" for record in records for name in dates),
        )

    def number(self, draft: Draft, name: str, written: str | None) -> Decimal | None:
        """Return the number of a cell; a cell that is none is an error of the row."""
        return _read(draft, name, lambda: number(written or "", self.mark))

    def moment(self, draft: Draft, name: str, written: str | None) -> datetime | None:
        """Return the moment of a cell; a cell that is none is an error of the row."""
        return _read(draft, name, lambda: moment(written or "", self.order))


def _read(draft: Draft, name: str, reader: Callable[[], T | None]) -> T | None:
    try:
        return reader()
    except ValueError as error:
        draft.errors.append(f"{name}: {error}")
        return None


def kind_of(draft: Draft, name: str, written: str, kinds: Mapping[str, EntryType]) -> EntryType | None:
    """Return what a cell says happened; one that says nothing known is an error of the row."""
    kind = kinds.get(written.strip().lower())
    if kind is None:
        draft.errors.append(f"{name}: “{written.strip()[:40]}” is not known here.")
    return kind


def has(table: Table | None, *names: str) -> bool:
    """Say whether a table has all of these columns."""
    return table is not None and set(names) <= set(table.header)
