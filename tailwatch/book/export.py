"""The book as a file that our own import takes back to the same book."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tailwatch.book.entries import Entry
from tailwatch.book.importers.generic import COLUMNS, SPLIT
from tailwatch.book.importers.own import KIND, VERSION
from tailwatch.book.splits import SplitEvent

#: Columns whose cells are anybody's words.
_WORDS: Final = ("external_id", "account", "note")
#: Cells that begin so are run as formulas by spreadsheets, or would be mistaken for one that was made harmless.
_DANGEROUS: Final = frozenset("=+-@\t\r'")


def csv_of(entries: Iterable[Entry], splits: Mapping[str, Sequence[SplitEvent]]) -> str:
    """Return the entries, and the splits that their owner entered, as CSV in the columns of the generic format.

    Words that a spreadsheet would run as a formula have an apostrophe in front, which the import takes off again.
    """
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for record in _records(entries, splits):
        for name in _WORDS:
            if record[name] and record[name][0] in _DANGEROUS:
                record[name] = f"'{record[name]}"
        writer.writerow(record)
    return written.getvalue()


def json_of(
    entries: Iterable[Entry],
    splits: Mapping[str, Sequence[SplitEvent]],
    *,
    name: str,
    base_currency: str,
    cost_basis: str,
) -> str:
    """Return the same as JSON, with what the portfolio is called and how it is kept."""
    content = {
        "kind": KIND,
        "version": VERSION,
        "portfolio": {"name": name, "base_currency": base_currency, "cost_basis": cost_basis},
        "entries": list(_records(entries, splits)),
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _records(entries: Iterable[Entry], splits: Mapping[str, Sequence[SplitEvent]]) -> Iterable[dict[str, Any]]:
    for ticker, events in splits.items():
        for event in events:
            nothing: dict[str, Any] = dict.fromkeys(COLUMNS)
            yield nothing | {
                "date": event.day.isoformat(),
                "type": SPLIT,
                "symbol": ticker,
                "quantity": format(event.ratio, "f"),
            }
    for entry in entries:
        yield {
            "external_id": entry.external_id,
            "account": entry.account,
            "date": entry.executed_at.isoformat().replace("+00:00", "Z"),
            "type": entry.type.value,
            "symbol": entry.ticker,
            "isin": None,
            "quantity": None if entry.quantity is None else format(entry.quantity, "f"),
            "price": None if entry.price is None else format(entry.price, "f"),
            "amount": None if entry.amount is None else format(entry.amount, "f"),
            "currency": entry.currency,
            "fee": format(entry.fee, "f"),
            "tax": format(entry.tax, "f"),
            "fx_rate": None if entry.fx_rate is None else format(entry.fx_rate, "f"),
            "note": entry.note,
        }
