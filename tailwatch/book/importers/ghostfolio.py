"""Ghostfolio: its JSON export, and the CSV that it imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers.reading import Cells, Format, Source, has, kind_of
from tailwatch.book.importers.rows import Draft

_KINDS: Final = {
    "buy": EntryType.BUY,
    "sell": EntryType.SELL,
    "dividend": EntryType.DIVIDEND,
    "interest": EntryType.INTEREST,
    "fee": EntryType.FEE,
}
#: What Ghostfolio counts as wealth without a market: nothing that a book of trades could hold.
_NOT_TRADED: Final = {"item": "a valuable item", "liability": "a liability"}
_CSV_COLUMNS: Final = ("Date", "Code", "Currency", "Price", "Quantity", "Action", "Fee")


def _recognises_json(source: Source) -> bool:
    content = source.content
    return isinstance(content, dict) and isinstance(content.get("activities"), list)


def _names(content: Mapping[str, Any], kind: str, key: str) -> dict[str, str]:
    """Return what the owner calls each of the accounts or assets that a file lists."""
    listed = content.get(kind)
    return {
        str(one.get(key)): str(one.get("name") or one.get(key))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    }


def _json_drafts(source: Source) -> Iterator[Draft]:
    content = source.content
    accounts, assets = _names(content, "accounts", "id"), _names(content, "assetProfiles", "symbol")
    for place, activity in enumerate(content["activities"], start=1):
        if not isinstance(activity, dict):
            yield Draft(place, errors=["This is no activity."])
            continue
        profile = activity.get("SymbolProfile") if isinstance(activity.get("SymbolProfile"), dict) else {}
        record = {
            "Date": activity.get("date"),
            "Code": activity.get("symbol") or (profile or {}).get("symbol"),
            "Currency": activity.get("currency") or (profile or {}).get("currency"),
            "Price": activity.get("unitPrice"),
            "Quantity": activity.get("quantity"),
            "Action": activity.get("type"),
            "Fee": activity.get("fee"),
            "Note": activity.get("comment"),
            "DataSource": activity.get("dataSource"),
        }
        draft = _draft(place, {name: "" if value is None else str(value) for name, value in record.items()}, Cells())
        if draft.unpriced and draft.ticker in assets:
            draft.unpriced = draft.unpriced.replace(draft.ticker, assets[draft.ticker])
        account = activity.get("accountId")
        draft.account = None if account is None else accounts.get(str(account), str(account))
        draft.external_id = None if activity.get("id") is None else str(activity["id"])
        yield draft


def _recognises_csv(source: Source) -> bool:
    return has(source.table, *_CSV_COLUMNS)


def _csv_drafts(source: Source) -> Iterator[Draft]:
    if source.table is None:
        return
    cells = Cells.of(source.table, ("Price", "Quantity", "Fee"), ("Date",))
    if cells.guessed:
        # As Ghostfolio itself reads them.
        cells = replace(cells, order="day first", guessed=False)
    for line, record in source.table.records():
        draft = _draft(line, record, cells)
        draft.account = record.get("Account") or None
        yield draft


def _draft(line: int, record: Mapping[str, str], cells: Cells) -> Draft:
    draft = Draft(line, raw=record)
    action = record.get("Action", "").strip().lower()
    if action in _NOT_TRADED:
        draft.ignored = f"It is {_NOT_TRADED[action]}, which has no market price."
        return draft
    draft.type = kind_of(draft, "Action", record.get("Action", ""), _KINDS)
    draft.moment = cells.moment(draft, "Date", record.get("Date"))
    draft.ticker = record.get("Code") or None
    draft.currency, draft.note = record.get("Currency") or None, record.get("Note") or None
    quantity = cells.number(draft, "Quantity", record.get("Quantity"))
    price = cells.number(draft, "Price", record.get("Price"))
    draft.fee = cells.number(draft, "Fee", record.get("Fee")) or Decimal(0)
    if draft.type in {EntryType.BUY, EntryType.SELL}:
        draft.quantity, draft.price = quantity, price
        if quantity is not None and not quantity:
            draft.ignored = "It has no quantity: a draft of an order."
    elif draft.type is EntryType.FEE:
        # What was paid stands in the fee, or as a price.
        draft.amount, draft.fee = draft.fee or (quantity or Decimal(1)) * (price or Decimal(0)), Decimal(0)
        draft.ticker = None
    elif draft.type is not None:
        draft.amount = None if price is None else (quantity or 1) * price
        if draft.type is EntryType.INTEREST:
            draft.ticker = None
    if draft.ticker is not None and record.get("DataSource", "").upper() == "MANUAL":
        draft.unpriced = f"“{draft.ticker}” has no market price: Ghostfolio's owner typed its prices."
    return draft


JSON: Final = Format("ghostfolio_json", "Ghostfolio (JSON)", _recognises_json, _json_drafts)
CSV: Final = Format("ghostfolio_csv", "Ghostfolio (CSV)", _recognises_csv, _csv_drafts)
