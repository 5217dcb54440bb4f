"""`tailwatch import`, `export` and `book check`: files of entries, in and out, and whether all of it adds up."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tailwatch.cli.context import DataDir, database
from tailwatch.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from tailwatch.book.importers import ColumnMapping
    from tailwatch.booking.imports import Judged
    from tailwatch.db.models import Portfolio

book = typer.Typer(help="The book of entries.", no_args_is_help=True)

PortfolioName = Annotated[
    str | None, typer.Option("--portfolio", help="Name or id. Without: the only one, or the default one.")
]
#: Rows of a table that a person can look through.
MOST_ROWS: Final = 40
_STATUSES: Final = {
    "new": "to be booked",
    "split": "splits to be entered",
    "duplicate": "booked already",
    "known_split": "known splits",
    "possible_duplicate": "look like entries booked by hand",
    "ignored": "left out",
    "error": "cannot be booked",
}


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of a broker or another tracker: CSV, JSON or XML.")],
    portfolio: PortfolioName = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what each row would become.")] = False,
    rows: Annotated[
        str | None, typer.Option(help="Lines to book, such as 2,3,7-9. Without: all new ones, if none is in error.")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(help='JSON: {"columns": {"date": "When"}, "symbols": {"US0378331005": "AAPL"}}.'),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Book the entries of a file. The format is recognised by itself; a file imported twice books nothing twice."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputFileError(f"{file} cannot be read: {error.strerror}.") from error
    with database(data_dir, migrated=True):
        from tailwatch.book import importers
        from tailwatch.booking import imports
        from tailwatch.booking.changes import Author
        from tailwatch.db.session import transaction

        console = Console(highlight=False)
        with transaction() as session:
            chosen = _portfolio(session, portfolio)
            with _progress(console, content.count(b"\n")) as tell:
                found = importers.read(
                    content, base_currency=chosen.base_currency, mapping=_mapping(mapping), progress=tell
                )
            judged = imports.judge(session, chosen.id, found)
            console.print(f"{file.name}: {found.format.title}, into {chosen.name}.", markup=False)
            console.print(_rows(judged))
            for status, count in Counter(one.status for one in judged).items():
                console.print(f"{count:>8,} {_STATUSES[status]}")
            if dry_run:
                console.print("Nothing was booked: this was a dry run.")
                return
            done = imports.book(
                session,
                chosen.id,
                judged,
                found=found,
                file_name=file.name,
                by=Author("the command line"),
                lines=_lines(rows),
            )
        console.print(f"Booked {done.booked:,} entries" + (f" and {done.splits} splits." if done.splits else "."))


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; ends in .csv or .json.")],
    portfolio: PortfolioName = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Write all entries of a portfolio to a file that `import` takes back to the same book."""
    with database(data_dir, migrated=True):
        from tailwatch.book.export import csv_of, json_of
        from tailwatch.booking.entries import load_entries, load_own_splits
        from tailwatch.db.session import transaction

        with transaction() as session:
            chosen = _portfolio(session, portfolio)
            entries, ids = load_entries(session.connection(), chosen.id)
            splits = load_own_splits(session.connection(), ids)
            if file.suffix.lower() == ".json":
                written = json_of(
                    entries,
                    splits,
                    name=chosen.name,
                    base_currency=chosen.base_currency,
                    cost_basis=chosen.cost_basis,
                )
            else:
                written = csv_of(entries, splits)
    try:
        file.write_text(written, encoding="utf-8", newline="")
    except OSError as error:
        raise InputFileError(f"{file} cannot be written: {error.strerror}.") from error
    typer.echo(f"Wrote {len(entries):,} entries of {chosen.name} to {file}.")


@book.command("check")
def check(
    portfolio: Annotated[str | None, typer.Argument(help="Name or id. Without: every portfolio.")] = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Recompute positions and cash from the entries and compare them with what is stored; exit 1 if they differ."""
    console = Console(highlight=False)
    with database(data_dir, migrated=True):
        from tailwatch.booking.check import check as checked
        from tailwatch.db.session import get_engine

        with get_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            found = list(checked(connection, portfolio))
    if not found:
        raise InputFileError(f"There is no portfolio {portfolio}." if portfolio else "There is no portfolio yet.")
    table = Table("portfolio", "owner", "entries", "positions", "compared with", "agrees")
    for one in found:
        beside = (
            "its cash, imports and newest snapshot" if one.snapshot else "its cash and imports (no fresh snapshot)"
        )
        agrees = "no" if one.differences else "yes"
        table.add_row(one.name, one.owner, f"{one.entries:,}", str(one.positions), beside, agrees)
    console.print(table)
    for one in found:
        for difference in one.differences:
            console.print(
                f"{one.name}: {difference.what} is {difference.expected} by the entries and {difference.found} in "
                f"{difference.where}.",
                markup=False,
            )
    if any(one.differences for one in found):
        raise typer.Exit(1)


def _portfolio(session: Session, name: str | None) -> Portfolio:
    from sqlalchemy import String, cast, or_, select

    from tailwatch.db.models import Portfolio

    query = select(Portfolio).order_by(Portfolio.is_default.desc(), Portfolio.id)
    if name is not None:
        query = query.where(or_(Portfolio.name == name, cast(Portfolio.id, String) == name))
    found = session.scalars(query).all()
    if not found:
        raise InputFileError(
            f"There is no portfolio {name}." if name else "There is no portfolio yet: make one first."
        )
    if name is not None and len(found) > 1:
        raise InputFileError(f"There are {len(found)} portfolios called {name}; give an id: {[p.id for p in found]}.")
    return found[0]


def _mapping(written: str | None) -> ColumnMapping | None:
    from tailwatch.book.importers import ColumnMapping

    if written is None:
        return None
    try:
        content = json.loads(written)
        return ColumnMapping(columns=dict(content.get("columns", {})), symbols=dict(content.get("symbols", {})))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputFileError(f"--mapping is no JSON object of columns and symbols: {error}.") from error


def _lines(written: str | None) -> set[int] | None:
    if written is None:
        return None
    lines: set[int] = set()
    for part in written.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise InputFileError(f"--rows {written}: write line numbers, such as 2,3,7-9.")
        lines.update(range(int(first), int(last or first) + 1))
    return lines


class _progress:  # noqa: N801 - used like a function
    """A bar while a long file is read, on a terminal."""

    def __init__(self, console: Console, lines: int) -> None:
        columns = (TextColumn("reading"), BarColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=lines)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __call__(self, done: int) -> None:
        self._bar.update(self._task, completed=done)

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


def _rows(judged: Sequence[Judged]) -> Table:
    """Return the rows that a person must look at first."""
    order = ("error", "possible_duplicate", "new", "split", "ignored", "duplicate", "known_split")
    first = sorted(judged, key=lambda one: order.index(one.status))[:MOST_ROWS]
    more = len(judged) - len(first)
    table = Table("line", "status", "entry", "remarks", caption=f"and {more:,} more rows" if more > 0 else None)
    for one in sorted(first, key=lambda each: each.row.line):
        row = one.row
        entry = row.entry
        words = ""
        if row.split is not None:
            words = f"split of {row.split.ticker}, {row.split.day}: 1 becomes {row.split.ratio:f}"
        elif entry is not None and entry.quantity is not None:
            words = f"{entry.executed_at:%Y-%m-%d} {entry.type} {entry.quantity:f} {entry.ticker} at {entry.price:f}"
        elif entry is not None:
            words = (
                f"{entry.executed_at:%Y-%m-%d} {entry.type} {entry.amount:f} {entry.currency} {entry.ticker or ''}"
            )
        remarks = " ".join([*row.errors, *row.remarks, row.ignored or ""])
        table.add_row(str(row.line), one.status.replace("_", " "), words, remarks)
    return table
