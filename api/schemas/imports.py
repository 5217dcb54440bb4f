"""Files of entries: what each row would become, and what was imported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.base import Exact, Input, Moment, Output, Page
from api.schemas.trades import EntryType

RowStatus = Literal["new", "duplicate", "possible_duplicate", "error", "ignored", "split", "known_split"]


class ImportQuery(Input):
    """How a file is to be treated."""

    dry_run: bool = Field(default=False, description="Only say what each row would become.")


class ExportQuery(Input):
    """What the book is wanted as."""

    format: Literal["csv", "json"] = "csv"


Json = Annotated[str, StringConstraints(max_length=100_000)]


class ReadEntry(Output):
    """An entry as it would be booked."""

    type: EntryType
    ticker: str | None
    quantity: Exact | None
    price: Exact | None
    amount: Exact | None
    currency: str
    fee: Exact
    tax: Exact
    fx_rate: Exact | None
    executed_at: Moment
    account: str | None
    note: str | None
    external_id: str | None


class ReadSplit(Output):
    """A split of an instrument: from `day` on, one old share is `ratio` new ones."""

    ticker: str
    day: str
    ratio: Exact


class ReadRow(Output):
    """One row of a file."""

    line: int = Field(description="Of the file, from 1.")
    status: RowStatus = Field(
        description="possible_duplicate: an entry booked by hand looks the same; it is booked if its line is picked. "
        "split: of the instrument, and not known yet."
    )
    entry: ReadEntry | None
    split: ReadSplit | None
    errors: list[str] = Field(description="What keeps it from being booked, in sentences.")
    remarks: list[str]
    ignored: str | None = Field(description="Why it is nothing to book.")
    raw: dict[str, Any] = Field(description="The row's own cells.")


class ImportCounts(Output):
    """How many rows came to what."""

    new: int
    duplicate: int
    possible_duplicate: int
    error: int
    ignored: int
    split: int
    booked: int


class ImportResult(Output):
    """What became of a file."""

    format: str
    format_title: str
    rows: list[ReadRow] = Field(description="At most 1,000, those in error first; `counts` are of all.")
    counts: ImportCounts
    columns: list[str] = Field(description="The file's header, for a mapping.")
    import_id: int | None = Field(description="Null for a dry run, and where nothing was new.")
    revision: int | None = Field(description="Of the portfolio; null where nothing changed.")


class TradeImport(Output):
    """A file that was imported."""

    id: int
    imported_at: Moment
    imported_by: str
    file_name: str
    format: str
    booked: int
    duplicates: int
    left_out: int


class TradeImportPage(Page):
    """Imports, the newest first."""

    items: list[TradeImport]


class TakenBack(Output):
    """What taking an import back removed."""

    removed: int
    revision: int
