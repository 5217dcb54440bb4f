"""Files of entries: in, with what each row would become, and out again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import orjson
from flask import Response
from sqlalchemy import select, text

from api import cursors
from api.auth import caller, requires
from api.database import commit, db
from api.problems import ProblemError, invalid, not_found
from api.routes.trades import check_owner
from api.routing import Routes, documented
from api.schemas import imports as schemas
from api.schemas.base import PageQuery
from api.uploads import aside, upload
from tailwatch.book import importers
from tailwatch.book.export import csv_of, json_of
from tailwatch.book.importers import ColumnMapping, ImportedFile
from tailwatch.book.importers.generic import COLUMNS
from tailwatch.booking import imports
from tailwatch.booking.changes import author
from tailwatch.booking.entries import load_entries, load_own_splits
from tailwatch.booking.imports import Imported, Judged
from tailwatch.db.models import Portfolio, TradeImport
from tailwatch.errors import InputFileError, NothingToImportError

routes = Routes("imports", "Trades")

#: Rows of an answer; what a reader can look through, and those in error first.
MOST_ROWS: Final = 1000
_ORDER: Final = {
    "error": 0,
    "possible_duplicate": 1,
    "new": 2,
    "split": 2,
    "duplicate": 3,
    "known_split": 3,
    "ignored": 4,
}
_NOTHING: Final = Imported(None, None, 0, 0)
_EXPORTED: Final[dict[int | str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


@routes.post("/portfolios/<int:portfolio_id>/trades/import")
@requires("write")
@routes.input(schemas.ImportQuery, location="query", arg_name="query")
@routes.output(schemas.ImportResult)
@documented(409, upload=True)
def import_trades(portfolio_id: int, query: schemas.ImportQuery) -> schemas.ImportResult:
    """Book a broker's or tracker's file; or, as a dry run, say what each row would become.

    The format is recognised by itself. A file that is imported twice books nothing twice. All rows are booked or
    none, unless `rows` picks some.
    """
    check_owner(portfolio_id)
    sent = upload()
    mapping, lines = _mapping(sent.fields.get("mapping")), _lines(sent.fields.get("rows"))
    base_currency = db().scalar(select(Portfolio.base_currency).where(Portfolio.id == portfolio_id)) or ""
    # Not while a connection waits in a transaction.
    db().rollback()
    try:
        found = aside(partial(importers.read, sent.content, base_currency=base_currency, mapping=mapping))
    except InputFileError as error:
        raise invalid(("file", str(error))) from error
    check_owner(portfolio_id)
    judged = imports.judge(db(), portfolio_id, found)
    done = _NOTHING
    if not query.dry_run:
        by = author(db(), caller().user_id, caller().token_id)
        try:
            done = imports.book(db(), portfolio_id, judged, found=found, file_name=sent.name, by=by, lines=lines)
        except NothingToImportError as error:
            raise ProblemError(409, "rows-in-error", "Rows cannot be booked", str(error)) from error
        commit()
    return _answer(found, judged, done)


@routes.get("/portfolios/<int:portfolio_id>/imports")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.TradeImportPage)
def list_imports(portfolio_id: int, page: PageQuery) -> schemas.TradeImportPage:
    """List the files that were imported, the newest first."""
    check_owner(portfolio_id)
    query = select(TradeImport).where(TradeImport.portfolio_id == portfolio_id)
    if page.cursor:
        query = query.where(TradeImport.id < cursors.read_id(page.cursor))
    found = db().scalars(query.order_by(TradeImport.id.desc()).limit(page.limit + 1)).all()
    items = [schemas.TradeImport.model_validate(one) for one in found[: page.limit]]
    more = len(found) > page.limit
    return schemas.TradeImportPage(items=items, next_cursor=cursors.after_id(items[-1].id) if more else None)


@routes.delete("/portfolios/<int:portfolio_id>/imports/<int:import_id>")
@requires("write")
@routes.output(schemas.TakenBack)
def delete_import(portfolio_id: int, import_id: int) -> schemas.TakenBack:
    """Take an import back: all of its entries that are still there. Each stays in the audit trail."""
    check_owner(portfolio_id)
    by = author(db(), caller().user_id, caller().token_id)
    taken = imports.take_back(db(), portfolio_id, import_id, by)
    if taken is None:
        raise not_found("import")
    commit()
    return schemas.TakenBack(removed=taken[0], revision=taken[1])


@routes.get("/portfolios/<int:portfolio_id>/trades/export")
@requires("read")
@routes.input(schemas.ExportQuery, location="query", arg_name="query")
@routes.doc(responses=_EXPORTED)
def export_trades(portfolio_id: int, query: schemas.ExportQuery) -> Response:
    """Give out all entries as a file that the import takes back to the same book."""
    portfolio = db().execute(_PORTFOLIO, {"id": portfolio_id, "user_id": caller().user_id}).one_or_none()
    if portfolio is None:
        raise not_found()
    connection = db().connection()
    entries, instrument_ids = load_entries(connection, portfolio_id)
    splits = load_own_splits(connection, instrument_ids)
    if query.format == "csv":
        body, kind = csv_of(entries, splits), "text/csv; charset=utf-8"
    else:
        body, kind = (
            json_of(
                entries,
                splits,
                name=portfolio.name,
                base_currency=portfolio.base_currency,
                cost_basis=portfolio.cost_basis,
            ),
            "application/json",
        )
    return Response(
        body,
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="tailwatch-{portfolio_id}.{query.format}"'},
    )


_PORTFOLIO = text("SELECT name, base_currency, cost_basis FROM portfolios WHERE id = :id AND user_id = :user_id")


def _mapping(written: str | None) -> ColumnMapping:
    content = _json("mapping", written, {})
    if not isinstance(content, dict):
        raise invalid(("mapping", "must be a JSON object"))
    parts = {}
    for name in ("columns", "symbols"):
        part = content.pop(name, {})
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise invalid(("mapping", f"{name} must be an object of names"))
        parts[name] = part
    if content:
        raise invalid(("mapping", "has members besides columns and symbols"))
    unknown = sorted(parts["columns"].keys() - set(COLUMNS))
    if unknown:
        raise invalid(("mapping", f"{unknown[0]} is none of the columns {', '.join(COLUMNS)}"))
    return ColumnMapping(**parts)


def _lines(written: str | None) -> set[int] | None:
    content = _json("rows", written, None)
    if content is None:
        return None
    if not isinstance(content, list) or not all(type(line) is int for line in content):
        raise invalid(("rows", "must be a JSON list of line numbers, such as [2, 3, 7]"))
    return set(content)


def _json(field: str, written: str | None, default: Any) -> Any:
    if not written:
        return default
    try:
        return orjson.loads(written)
    except ValueError as error:
        raise invalid((field, "is not valid JSON")) from error


def _answer(found: ImportedFile, judged: Sequence[Judged], done: Imported) -> schemas.ImportResult:
    counts = Counter(one.status for one in judged)
    return schemas.ImportResult(
        format=found.format.key,
        format_title=found.format.title,
        rows=[_row(one) for one in _shown(judged)],
        counts=schemas.ImportCounts(
            new=counts["new"],
            duplicate=counts["duplicate"] + counts["known_split"],
            possible_duplicate=counts["possible_duplicate"],
            error=counts["error"],
            ignored=counts["ignored"],
            split=counts["split"],
            booked=done.booked,
        ),
        columns=found.columns,
        import_id=done.import_id,
        revision=done.revision,
    )


def _shown(judged: Sequence[Judged]) -> Iterable[Judged]:
    if len(judged) <= MOST_ROWS:
        return judged
    return sorted(judged, key=lambda one: _ORDER[one.status])[:MOST_ROWS]


def _row(one: Judged) -> schemas.ReadRow:
    row = one.row
    return schemas.ReadRow(
        line=row.line,
        status=one.status,
        entry=None if row.entry is None else schemas.ReadEntry.model_validate(row.entry),
        split=None
        if row.split is None
        else schemas.ReadSplit(ticker=row.split.ticker, day=row.split.day.isoformat(), ratio=row.split.ratio),
        errors=list(row.errors),
        remarks=list(row.remarks),
        ignored=row.ignored,
        raw={str(name): value for name, value in row.raw.items()},
    )
