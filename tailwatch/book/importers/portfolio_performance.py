"""Portfolio Performance: CSV exports of transactions, in English or German."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

from tailwatch.book.entries import OF_SHARES, EntryType
from tailwatch.book.exact import PRECISION
from tailwatch.book.importers.reading import Cells, Format, Source
from tailwatch.book.importers.rows import Draft
from tailwatch.book.importers.table import Table

#: Our name of each column, by its own in either language.
_COLUMNS: Final = {
    "Date": "date",
    "Datum": "date",
    "Type": "type",
    "Typ": "type",
    "Value": "value",
    "Wert": "value",
    "Transaction Currency": "currency",
    "Buchungswährung": "currency",
    "Fees": "fees",
    "Gebühren": "fees",
    "Taxes": "taxes",
    "Steuern": "taxes",
    "Shares": "shares",
    "Stück": "shares",
    "ISIN": "isin",
    "Ticker Symbol": "symbol",
    "Ticker-Symbol": "symbol",
    "Security Name": "name",
    "Wertpapiername": "name",
    "Note": "note",
    "Notiz": "note",
}
_NEEDED: Final = frozenset({"date", "type", "value", "currency"})
_KINDS: Final = {
    "buy": EntryType.BUY,
    "kauf": EntryType.BUY,
    "sell": EntryType.SELL,
    "verkauf": EntryType.SELL,
    "delivery (inbound)": EntryType.TRANSFER_IN,
    "einlieferung": EntryType.TRANSFER_IN,
    "delivery (outbound)": EntryType.TRANSFER_OUT,
    "auslieferung": EntryType.TRANSFER_OUT,
    "dividend": EntryType.DIVIDEND,
    "dividende": EntryType.DIVIDEND,
    "interest": EntryType.INTEREST,
    "zinsen": EntryType.INTEREST,
    "interest charge": EntryType.INTEREST,
    "zinsbelastung": EntryType.INTEREST,
    "deposit": EntryType.DEPOSIT,
    "einlage": EntryType.DEPOSIT,
    "removal": EntryType.WITHDRAWAL,
    "entnahme": EntryType.WITHDRAWAL,
    "fees": EntryType.FEE,
    "gebühren": EntryType.FEE,
    "fees refund": EntryType.FEE,
    "gebührenerstattung": EntryType.FEE,
    "taxes": EntryType.TAX,
    "steuern": EntryType.TAX,
    "tax refund": EntryType.TAX,
    "steuerrückerstattung": EntryType.TAX,
}
#: Their amount is the reverse of what the type says.
_REVERSED: Final = frozenset(
    {"interest charge", "zinsbelastung", "fees refund", "gebührenerstattung", "tax refund", "steuerrückerstattung"}
)
#: Between two of the owner's own accounts: nothing comes, nothing goes.
_INTERNAL: Final = frozenset(
    {
        "transfer (inbound)",
        "transfer (outbound)",
        "umbuchung (eingang)",
        "umbuchung (ausgang)",
        "security transfer (inbound)",
        "security transfer (outbound)",
    }
)


def _column(table: Table) -> dict[str, str]:
    return {_COLUMNS[name]: name for name in table.header if name in _COLUMNS}


def _recognises(source: Source) -> bool:
    return source.table is not None and _column(source.table).keys() >= _NEEDED


def _drafts(source: Source) -> Iterator[Draft]:
    if source.table is None:
        return
    column = _column(source.table)
    numbers = [column[name] for name in ("value", "fees", "taxes", "shares") if name in column]
    cells = Cells.of(source.table, numbers, [column["date"]])
    for line, record in source.table.records():
        yield _draft(line, record, column, cells)


def _draft(line: int, record: Mapping[str, str], column: Mapping[str, str], cells: Cells) -> Draft:
    def cell(name: str) -> str:
        return (record.get(column[name]) or "").strip() if name in column else ""

    draft = Draft(line, raw=record)
    written = cell("type").lower()
    if written in _INTERNAL:
        draft.ignored = "It moves something between accounts of your own."
        return draft
    draft.type = _KINDS.get(written)
    if draft.type is None:
        draft.errors.append(f"{column['type']}: “{cell('type')[:40]}” is not known here.")
    draft.moment = cells.moment(draft, column["date"], cell("date"))
    draft.ticker, draft.isin = cell("symbol") or None, cell("isin") or None
    draft.currency = cell("currency") or None
    draft.note = cell("note") or None
    value = cells.number(draft, column["value"], cell("value"))
    shares = cells.number(draft, column.get("shares", ""), cell("shares"))
    draft.fee = abs(cells.number(draft, column.get("fees", ""), cell("fees")) or Decimal(0))
    draft.tax = abs(cells.number(draft, column.get("taxes", ""), cell("taxes")) or Decimal(0))
    if value is None or draft.errors or draft.type is None:
        return draft
    # Seen from the account, a purchase is negative; what the type says is enough.
    _book(draft, abs(value), None if shares is None else abs(shares), reverse=written in _REVERSED)
    return draft


def _book(draft: Draft, value: Decimal, shares: Decimal | None, *, reverse: bool) -> None:
    """Put what was paid or received into the draft: the value is what moved on the account, after fees and taxes."""
    charges = draft.fee + draft.tax
    if draft.type in OF_SHARES:
        if not shares:
            draft.errors.append("There is no number of shares.")
            return
        gross = value - charges if draft.type in {EntryType.BUY, EntryType.TRANSFER_IN} else value + charges
        with localcontext(prec=PRECISION):
            draft.price = (gross / shares).quantize(Decimal("1e-10"), ROUND_HALF_EVEN)
        draft.quantity = shares
        return
    if draft.type is not EntryType.DIVIDEND:
        draft.ticker = draft.isin = None
    draft.amount = value + charges if draft.type in {EntryType.DIVIDEND, EntryType.INTEREST} else value
    if draft.type in {EntryType.FEE, EntryType.TAX, EntryType.DEPOSIT, EntryType.WITHDRAWAL}:
        draft.fee = draft.tax = Decimal(0)
    if reverse:
        draft.amount = -draft.amount


FORMAT: Final = Format("portfolio_performance", "Portfolio Performance (CSV)", _recognises, _drafts)
