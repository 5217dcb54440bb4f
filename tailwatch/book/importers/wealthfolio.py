"""Wealthfolio: the CSV of activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import OF_SHARES, EntryType
from tailwatch.book.importers.reading import Cells, Format, Source, has, kind_of
from tailwatch.book.importers.rows import Draft

_KINDS: Final = {
    "buy": EntryType.BUY,
    "sell": EntryType.SELL,
    "dividend": EntryType.DIVIDEND,
    "interest": EntryType.INTEREST,
    "deposit": EntryType.DEPOSIT,
    "withdrawal": EntryType.WITHDRAWAL,
    "fee": EntryType.FEE,
    "tax": EntryType.TAX,
    "transfer_in": EntryType.TRANSFER_IN,
    "transfer_out": EntryType.TRANSFER_OUT,
    "add_holding": EntryType.TRANSFER_IN,
    "remove_holding": EntryType.TRANSFER_OUT,
    "conversion_in": EntryType.DEPOSIT,
    "conversion_out": EntryType.WITHDRAWAL,
    "credit": EntryType.FEE,
}
#: Newer versions have other names for two columns.
_RENAMED: Final = {"type": "activityType", "unit_price": "unitPrice"}
_CASH: Final = "$CASH-"
#: A transfer of cash is money that came or went.
_OF_CASH: Final = {EntryType.TRANSFER_IN: EntryType.DEPOSIT, EntryType.TRANSFER_OUT: EntryType.WITHDRAWAL}


def _recognises(source: Source) -> bool:
    older = has(source.table, "date", "symbol", "quantity", "activityType", "unitPrice", "currency")
    return older or has(source.table, "date", "symbol", "quantity", "type", "unit_price", "instrumentType")


def _drafts(source: Source) -> Iterator[Draft]:
    if source.table is None:
        return
    numbers = ("quantity", "unitPrice", "unit_price", "fee", "tax", "amount")
    cells = Cells.of(source.table, numbers, ("date",))
    for line, record in source.table.records():
        draft = _draft(line, {_RENAMED.get(name, name): cell for name, cell in record.items()}, cells)
        draft.raw = record
        yield draft


def _draft(line: int, record: Mapping[str, str], cells: Cells) -> Draft:
    draft = Draft(line, raw=record)
    draft.moment = cells.moment(draft, "date", record.get("date"))
    symbol = (record.get("symbol") or "").strip()
    draft.currency = record.get("currency") or None
    draft.note = record.get("comment") or None
    quantity = cells.number(draft, "quantity", record.get("quantity"))
    price = cells.number(draft, "unitPrice", record.get("unitPrice"))
    amount = cells.number(draft, "amount", record.get("amount"))
    draft.fee = abs(cells.number(draft, "fee", record.get("fee")) or Decimal(0))
    draft.tax = abs(cells.number(draft, "tax", record.get("tax")) or Decimal(0))
    written = record.get("activityType") or ""
    if written.strip().lower() == "split":
        draft.ticker, draft.split_ratio = symbol, amount or quantity
        return draft
    draft.type = kind_of(draft, "activityType", written, _KINDS)
    if (record.get("subtype") or "").upper() == "DRIP":
        draft.remarks.append("The dividend was reinvested: the purchase it paid for is not in this row.")
    is_cash = not symbol or symbol.upper().startswith(_CASH)
    if is_cash and draft.type in _OF_CASH:
        draft.type = _OF_CASH[draft.type]
    if not is_cash:
        draft.ticker = symbol or None
    if draft.type in OF_SHARES:
        draft.quantity, draft.price = quantity, price
        return draft
    if amount is None and price is not None:
        amount = price * (quantity or 1)
    if draft.type in {EntryType.FEE, EntryType.TAX} and not amount:
        amount, draft.fee = draft.fee or None, Decimal(0)
    draft.amount = None if amount is None else abs(amount)
    if draft.type in {EntryType.DEPOSIT, EntryType.WITHDRAWAL}:
        draft.ticker = None
    if written.strip().lower() == "credit" and draft.amount is not None:
        # Money back, such as a rebate.
        draft.amount = -draft.amount
    return draft


FORMAT: Final = Format("wealthfolio", "Wealthfolio (CSV)", _recognises, _drafts)
