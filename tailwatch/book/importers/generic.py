"""Any CSV with a date, a type or a sign, and a symbol: our own columns, or columns that are mapped to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.exact import ZERO
from tailwatch.book.importers.reading import Cells, Format, Source, kind_of
from tailwatch.book.importers.rows import Draft

#: Our columns, in the order of an export.
COLUMNS: Final = (
    "external_id",
    "account",
    "date",
    "type",
    "symbol",
    "isin",
    "quantity",
    "price",
    "amount",
    "currency",
    "fee",
    "tax",
    "fx_rate",
    "note",
)
#: Other names that such columns often have, in lower case.
ALIASES: Final[Mapping[str, str]] = {
    "id": "external_id",
    "transaction id": "external_id",
    "broker": "account",
    "portfolio": "account",
    "datetime": "date",
    "date/time": "date",
    "trade date": "date",
    "executed_at": "date",
    "transaction date": "date",
    "action": "type",
    "side": "type",
    "transaction type": "type",
    "transaction": "type",
    "ticker": "symbol",
    "instrument": "symbol",
    "code": "symbol",
    "shares": "quantity",
    "units": "quantity",
    "qty": "quantity",
    "no. of shares": "quantity",
    "unit price": "price",
    "unit_price": "price",
    "unitprice": "price",
    "price / share": "price",
    "share price": "price",
    "ccy": "currency",
    "fees": "fee",
    "commission": "fee",
    "taxes": "tax",
    "exchange rate": "fx_rate",
    "fx rate": "fx_rate",
    "total": "amount",
    "comment": "note",
    "notes": "note",
    "description": "note",
}
KINDS: Final[Mapping[str, EntryType]] = {
    **{kind.value: kind for kind in EntryType},
    "b": EntryType.BUY,
    "bought": EntryType.BUY,
    "purchase": EntryType.BUY,
    "s": EntryType.SELL,
    "sold": EntryType.SELL,
    "sale": EntryType.SELL,
    "sell short": EntryType.SHORT,
    "buy to cover": EntryType.COVER,
    "transfer in": EntryType.TRANSFER_IN,
    "transfer out": EntryType.TRANSFER_OUT,
    "dividends": EntryType.DIVIDEND,
    "cash": EntryType.DEPOSIT,
    "fees": EntryType.FEE,
    "taxes": EntryType.TAX,
}
SPLIT: Final = "split"
_NEEDED: Final = frozenset({"date", "quantity", "price"})
#: How spreadsheets and statements begin a row that adds up others.
_TOTAL: Final = re.compile(r"\s*(sub-?total|total|sum|summe|gesamt)", re.IGNORECASE)
#: What a spreadsheet would take for a formula, behind the apostrophe that keeps it from doing so.
_ESCAPED: Final = re.compile(r"'(?=['=+\-@\t\r])")
_NUMBERS: Final = ("quantity", "price", "amount", "fee", "tax", "fx_rate")


def column_of(header: list[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the file's name of each of our columns that it has: as the owner says, by our name, or by an alias."""
    found = {ours: theirs for ours, theirs in mapping.items() if theirs in header}
    for name in header:
        ours = name.strip().lower()
        for candidate in (ours, ALIASES.get(ours, "")):
            if candidate in COLUMNS and candidate not in found and name not in found.values():
                found[candidate] = name
    return found


def _recognises(source: Source) -> bool:
    if source.table is None:
        return False
    found = column_of(source.table.header, source.columns).keys()
    return found >= _NEEDED and bool(found & {"symbol", "isin"})


def _drafts(source: Source) -> Iterator[Draft]:
    table = source.table
    if table is None:
        return
    column = column_of(table.header, source.columns)
    cells = Cells.of(table, [column[name] for name in _NUMBERS if name in column], [column.get("date", "")])
    for line, record in table.records():
        if not (record.get(column.get("date", "")) or "").strip() and _TOTAL.match("".join(record.values())):
            yield Draft(line, raw=record, ignored="It adds up other rows.")
            continue
        found = draft(line, record, column, cells)
        found.external_id, found.account, found.note = map(_plain, (found.external_id, found.account, found.note))
        yield found


def _plain(words: str | None) -> str | None:
    """Return what was written before an export made it harmless for spreadsheets."""
    return words and _ESCAPED.sub("", words, count=1) if words and words[0] == "'" else words


def draft(line: int, record: Mapping[str, str], column: Mapping[str, str], cells: Cells) -> Draft:
    """Return what a row says; `column` names the cell of each of our columns that there is."""
    written = {ours: record.get(theirs) for ours, theirs in column.items()}

    def cell(name: str) -> str:
        return (written.get(name) or "").strip()

    read = Draft(line, raw=record)
    # Words stay as they are; everything else is read without the space around it.
    read.external_id, read.account = written.get("external_id") or None, written.get("account") or None
    read.note = written.get("note") or None
    read.ticker, read.isin, read.currency = cell("symbol") or None, cell("isin") or None, cell("currency") or None
    read.moment = cells.moment(read, "date", cell("date"))
    numbers = {name: cells.number(read, name, written.get(name)) for name in _NUMBERS}
    read.fee, read.tax = abs(numbers["fee"] or ZERO), abs(numbers["tax"] or ZERO)
    read.fx_rate = numbers["fx_rate"]
    if cell("type").lower() == SPLIT:
        read.split_ratio = numbers["quantity"]
        return read
    if cell("type"):
        read.type = kind_of(read, "type", cell("type"), KINDS)
    read.quantity, read.price, read.amount = numbers["quantity"], numbers["price"], numbers["amount"]
    if read.type is not None and read.type.value in _CASH:
        _as_cash(read)
    elif read.type is not None or read.quantity:
        # A total beside quantity and price says nothing new.
        read.amount = None
        if read.quantity is not None and read.type in {EntryType.BUY, EntryType.COVER, EntryType.TRANSFER_IN}:
            read.quantity = abs(read.quantity)
    return read


_CASH: Final = frozenset({"dividend", "interest", "deposit", "withdrawal", "fee", "tax"})


def _as_cash(draft: Draft) -> None:
    if draft.amount is None and draft.price is not None:
        # Some write 10 shares at 0.24, some an amount as a price alone.
        draft.amount = draft.price * (draft.quantity or 1)
    if draft.amount is None:
        draft.amount = draft.quantity
    draft.quantity = draft.price = None
    if draft.amount is not None and draft.type in {EntryType.DEPOSIT, EntryType.WITHDRAWAL}:
        draft.amount = abs(draft.amount)


FORMAT: Final = Format("generic", "CSV with Tailwatch's columns, or mapped to them", _recognises, _drafts)
