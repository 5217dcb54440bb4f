"""Interactive Brokers: the activity statement as CSV, section after section in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers import ib
from tailwatch.book.importers.reading import Cells, Format, Source
from tailwatch.book.importers.rows import Draft

_CELLS: Final = Cells()
#: Sections of cash, and where their date stands.
_CASH: Final[Mapping[str, str]] = {
    "Dividends": "Date",
    "Payment In Lieu Of Dividends": "Date",
    "Withholding Tax": "Date",
    "Deposits & Withdrawals": "Settle Date",
    "Interest": "Date",
    "Fees": "Date",
    "Other Fees": "Date",
    "Broker Interest Paid": "Date",
    "Broker Interest Received": "Date",
    "Commission Adjustments": "Date",
}
_OTHER_LEVELS: Final = {
    "Order": "Its executions are taken, one by one.",
    "Trade": "Its order is taken.",
    "ClosedLot": "It closes a lot that was booked.",
}
Record = tuple[int, str, Mapping[str, str]]


def _recognises(source: Source) -> bool:
    return source.table is not None and any(
        cells[:2] in (["Statement", "Header"], ["Trades", "Header"]) for _, cells in source.table.lines[:400]
    )


def _drafts(source: Source) -> Iterator[Draft]:
    if source.table is None:
        return
    records = list(_records(source.table.lines))
    account = next(
        (
            r.get("Field Value")
            for _, s, r in records
            if s == "Account Information" and r.get("Field Name") == "Account"
        ),
        None,
    )
    exchanges = {
        symbol.strip(): record.get("Listing Exch") or ""
        for _, section, record in records
        if section == "Financial Instrument Information"
        for symbol in (record.get("Symbol") or "").split(",")
    }
    trades = [(line, record) for line, section, record in records if section == "Trades"]
    executed = {record.get("Symbol", "") for _, record in trades if record.get("DataDiscriminator") == "Trade"}
    taken_back, splits = _taken_back(trades), ib.Splits()
    for line, section, record in records:
        # Statements of several accounts name the account in each row.
        draft = Draft(line, raw=record, account=record.get("Account") or account)
        if line in taken_back:
            draft.ignored = "It was cancelled."
        elif section == "Trades":
            _trade(draft, record, exchanges, has_executions=record.get("Symbol", "") in executed)
        elif section in _CASH:
            _cash(draft, section, record, exchanges)
        elif section == "Corporate Actions":
            _corporate_action(draft, record, exchanges, splits)
        elif section == "Transfers":
            _transfer(draft, record, exchanges)
        elif section == "Transaction Fees":
            draft.ignored = "It is part of the commission of its trade already."
        else:
            # All else describes, and books nothing.
            continue
        yield draft


def _records(lines: Sequence[tuple[int, list[str]]]) -> Iterator[Record]:
    header: dict[str, list[str]] = {}
    for line, cells in lines:
        if len(cells) < 3:
            continue
        section, kind, *rest = (cell.strip() for cell in cells)
        if kind == "Header":
            header[section] = rest
        elif kind == "Data" and section in header:
            yield line, section, dict(zip(header[section], rest, strict=False))


def _taken_back(trades: Sequence[tuple[int, Mapping[str, str]]]) -> set[int]:
    """Return the lines of trades that a later row cancels, and those of these rows."""
    standing: dict[tuple[str, ...], list[int]] = {}
    found: set[int] = set()
    for line, record in trades:
        content = tuple(record.get(name, "") for name in ("Account", "Symbol", "T. Price"))
        quantity = record.get("Quantity", "")
        if "Ca" in record.get("Code", "").split(";") or record.get("DataDiscriminator") == "Trade Cancel":
            opposite = quantity.removeprefix("-") if quantity.startswith("-") else f"-{quantity}"
            found |= {line, *standing.get((*content, opposite), [])[-1:]}
        else:
            standing.setdefault((*content, quantity), []).append(line)
    return found


def _trade(draft: Draft, record: Mapping[str, str], exchanges: Mapping[str, str], *, has_executions: bool) -> None:
    wanted = "Trade" if has_executions else "Order"
    level, asset = record.get("DataDiscriminator", ""), ib.asset_class(record.get("Asset Category", ""))
    if level != wanted:
        draft.ignored = _OTHER_LEVELS.get(level, f"It is no trade but “{level}”.")
        return
    if asset not in ib.SHARES:
        draft.ignored = ib.NOT_TAKEN.get(asset, f"“{asset}” is not supported.")
        return
    symbol = record.get("Symbol", "")
    draft.currency = record.get("Currency") or None
    draft.ticker = ib.ticker(symbol, exchanges.get(symbol, ""), draft)
    draft.moment = _CELLS.moment(draft, "Date/Time", record.get("Date/Time"))
    draft.quantity = _CELLS.number(draft, "Quantity", record.get("Quantity"))
    draft.price = _CELLS.number(draft, "T. Price", record.get("T. Price"))
    if draft.quantity is not None and not draft.quantity:
        draft.ignored = "It has no quantity."
    elif draft.quantity is not None:
        draft.type = EntryType.BUY if draft.quantity > 0 else EntryType.SELL
    commission = _CELLS.number(draft, "Comm/Fee", record.get("Comm/Fee")) or Decimal(0)
    draft.fee = max(-commission, Decimal(0))
    if commission > 0:
        draft.remarks.append(f"IB paid back {commission} of commission, which is not booked.")


def _cash(draft: Draft, section: str, record: Mapping[str, str], exchanges: Mapping[str, str]) -> None:
    currency = record.get("Currency", "")
    if currency.startswith("Total") or not record.get(_CASH[section]):
        draft.ignored = "It sums up other rows."
        return
    draft.currency = currency or None
    draft.moment = _CELLS.moment(draft, _CASH[section], record.get(_CASH[section]))
    draft.note = record.get("Description") or None
    named = ib.security_of(record.get("Description") or "")
    if named is not None:
        draft.ticker = ib.ticker(named[0], exchanges.get(named[0], ""), draft)
    ib.cash(draft, section, _CELLS.number(draft, "Amount", record.get("Amount")))


def _transfer(draft: Draft, record: Mapping[str, str], exchanges: Mapping[str, str]) -> None:
    """Shares that came from another broker, or went to one; of cash, what is in Deposits & Withdrawals counts."""
    asset = ib.asset_class(record.get("Asset Category", ""))
    if asset not in ib.SHARES:
        draft.ignored = "It sums up other rows." if asset.startswith("Total") else "It moves no shares."
        return
    symbol = record.get("Symbol", "")
    draft.currency = record.get("Currency") or None
    draft.ticker = ib.ticker(symbol, exchanges.get(symbol, ""), draft)
    draft.moment = _CELLS.moment(draft, "Date", record.get("Date"))
    quantity = _CELLS.number(draft, "Qty", record.get("Qty"))
    value = _CELLS.number(draft, "Market Value", record.get("Market Value"))
    price = _CELLS.number(draft, "Xfer Price", record.get("Xfer Price"))
    if not quantity:
        draft.ignored = "It has no quantity."
        return
    draft.type = EntryType.TRANSFER_IN if quantity > 0 else EntryType.TRANSFER_OUT
    draft.quantity, draft.price = abs(quantity), price
    if not price and value is not None:
        draft.price = abs(value / quantity)
        draft.remarks.append("What the shares cost is not in the file: their value that day is taken for it.")


def _corporate_action(
    draft: Draft, record: Mapping[str, str], exchanges: Mapping[str, str], splits: ib.Splits
) -> None:
    description = record.get("Description") or ""
    named, ratio = ib.security_of(description), ib.split_of(description)
    if record.get("Asset Category", "").startswith("Total"):
        draft.ignored = "It sums up other rows."
        return
    if named is None or ratio is None:
        draft.ignored = f"Of corporate actions only splits are taken, not: {description[:80]}"
        return
    draft.ticker = ib.ticker(named[0], exchanges.get(named[0], ""), draft)
    reported = _CELLS.moment(draft, "Report Date", record.get("Report Date"))
    splits.add(draft, description, reported, _CELLS.moment(draft, "Date/Time", record.get("Date/Time")))


FORMAT: Final = Format("ib_statement", "Interactive Brokers activity statement (CSV)", _recognises, _drafts)
