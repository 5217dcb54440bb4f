"""What formats are written with: cells into drafts, and the mistakes of one cell into that row's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tailwatch.book.entries import EntryType
from tailwatch.book.importers.rows import Draft
from tailwatch.book.importers.table import Table
from tailwatch.book.importers.values import (
    DayOrder,
    DecimalMark,
    day_order,
    decimal_mark,
    is_doubtful,
    moment,
    number,
)


@dataclass(frozen=True)
class Source:
    """A file to be read.

    Attributes:
        text: All of it.
        table: As CSV; None where it is JSON or XML.
        columns: Which of its columns is which of ours (`generic.COLUMNS`), where the owner says so.
        content: As JSON, its fractions exact; None where it is CSV or XML.
    """

    text: str
    table: Table | None
    columns: Mapping[str, str] = field(default_factory=dict)
    content: Any = None


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
    """How the numbers and dates of a file are written.

    Attributes:
        mark: Between whole and fraction.
        order: Of dates such as 03/04/2026.
        guessed: Nothing in the file says which order it is.
    """

    mark: DecimalMark = "."
    order: DayOrder | None = None
    guessed: bool = False

    @classmethod
    def of(cls, table: Table, numbers: Sequence[str], dates: Sequence[str]) -> Cells:
        """Return how these columns of a table are written."""
        # A semicolon parts cells where the comma is taken: between whole and fraction.
        is_continental = table.delimiter == ";"
        mark = decimal_mark(table.cells(numbers), "," if is_continental else ".")
        order = day_order(table.cells(dates))
        if order is None and is_continental:
            return cls(mark, "day first", guessed=True)
        return cls(mark, order, guessed=order is None)

    def number(self, draft: Draft, name: str, written: str | None) -> Decimal | None:
        """Return the number of a cell; a cell that is none is an error of the row."""
        if not written:
            return None
        try:
            return number(written, self.mark)
        except ValueError as error:
            draft.errors.append(f"{name}: {error}")
            return None

    def moment(self, draft: Draft, name: str, written: str | None) -> datetime | None:
        """Return the moment of a cell; a cell that is none is an error of the row."""
        if self.guessed and written and is_doubtful(written):
            first = "day" if self.order == "day first" or "-" in written else "month"
            draft.remarks.append(f"{name}: “{written.strip()[:40]}” was read with the {first} first: is it so?")
        try:
            return moment(written or "", self.order)
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
