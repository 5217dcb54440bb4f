"""Yahoo Finance: the CSV of a portfolio's lots."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers.reading import Cells, Format, Source, has, kind_of
from tailwatch.book.importers.rows import Draft

_KINDS: Final = {
    "": EntryType.BUY,
    "buy": EntryType.BUY,
    "sell": EntryType.SELL,
    "short": EntryType.SHORT,
    "sell short": EntryType.SHORT,
    "buy to cover": EntryType.COVER,
    "cover": EntryType.COVER,
}
#: London and some others quote in hundredths; what was typed there as a purchase price may be either.
_PENCE: Final = (".L", ".JO", ".TA")


def _recognises(source: Source) -> bool:
    return has(source.table, "Symbol", "Trade Date", "Purchase Price", "Quantity", "Commission")


def _drafts(source: Source) -> Iterator[Draft]:
    if source.table is None:
        return
    cells = Cells.of(source.table, ("Purchase Price", "Quantity", "Commission"), ("Trade Date",))
    for line, record in source.table.records():
        draft = Draft(line, raw=record)
        draft.ticker = (record.get("Symbol") or "").strip()
        quantity = cells.number(draft, "Quantity", record.get("Quantity"))
        if draft.ticker.upper().startswith("$$CASH"):
            draft.ignored = "It is a cash balance without a date; book a deposit instead."
        elif not quantity and not draft.errors:
            draft.ignored = "It is watched and not held: there is no quantity."
        else:
            written = (record.get("Transaction Type") or "").strip()
            draft.type = kind_of(draft, "Transaction Type", written, _KINDS)
            draft.quantity = quantity
            if quantity is not None and quantity < 0 and not written:
                draft.type = EntryType.SELL
            draft.moment = cells.moment(draft, "Trade Date", record.get("Trade Date"))
            draft.price = cells.number(draft, "Purchase Price", record.get("Purchase Price"))
            draft.fee = abs(cells.number(draft, "Commission", record.get("Commission")) or Decimal(0))
            draft.note = record.get("Comment") or None
            draft.remarks.append("Yahoo's file names no currency: it is taken for the portfolio's.")
            if draft.ticker.upper().endswith(_PENCE):
                draft.remarks.append("Prices of this exchange are often in hundredths: look at the price.")
        yield draft


FORMAT: Final = Format("yahoo", "Yahoo Finance portfolio (CSV)", _recognises, _drafts)
