"""Interactive Brokers: Flex queries, as CSV or XML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers import ib
from tailwatch.book.importers.reading import Cells, Format, Source
from tailwatch.book.importers.rows import Draft
from tailwatch.book.importers.values import day_order
from tailwatch.errors import InputFileError

#: The same things in CSV and XML, by our name; the first that is there counts.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("ClientAccountID", "accountId"),
    "currency": ("CurrencyPrimary", "currency"),
    "fx": ("FXRateToBase", "fxRateToBase"),
    "class": ("AssetClass", "assetCategory"),
    "symbol": ("Symbol", "symbol"),
    "isin": ("ISIN", "isin"),
    "exchange": ("ListingExchange", "listingExchange"),
    "day": ("TradeDate", "tradeDate"),
    "moment": ("DateTime", "dateTime", "Date/Time"),
    "quantity": ("Quantity", "quantity"),
    "price": ("TradePrice", "tradePrice"),
    "commission": ("IBCommission", "ibCommission"),
    "commission_currency": ("IBCommissionCurrency", "ibCommissionCurrency"),
    "taxes": ("Taxes", "taxes"),
    "side": ("Buy/Sell", "buySell"),
    "execution": ("TradeID", "tradeID"),
    "transaction": ("TransactionID", "transactionID"),
    "order": ("IBOrderID", "ibOrderID"),
    "level": ("LevelOfDetail", "levelOfDetail"),
    "kind": ("Type", "type"),
    "amount": ("Amount", "amount"),
    "description": ("Description", "description"),
    "action": ("ActionDescription", "actionDescription"),
    "reported": ("ReportDate", "reportDate", "Report Date"),
    "original": ("OrigTradeID", "origTradeID"),
    "report": ("SettleDate", "settleDate", "ReportDate", "reportDate", "Report Date"),
}
_SUMMARIES: Final = frozenset({"SYMBOL_SUMMARY", "ASSET_SUMMARY", "SUMMARY", "CLOSED_LOT", "WASH_SALE"})
Record = tuple[int, Mapping[str, str]]


def _recognises_csv(source: Source) -> bool:
    return source.table is not None and any(_is_header(cells) for _, cells in source.table.lines[:10])


def _is_header(cells: Sequence[str]) -> bool:
    names = {cell.strip() for cell in cells}
    return bool(names & {"ClientAccountID", "CurrencyPrimary"}) and bool(names & {"TradePrice", "Amount", "Quantity"})


def _csv_drafts(source: Source) -> Iterator[Draft]:
    """Sections follow one another, each under a header of its own."""
    if source.table is None:
        return
    header: list[str] = []
    records: list[Record] = []
    for line, cells in source.table.lines:
        if _is_header(cells):
            header = [cell.strip() for cell in cells]
        elif header and len(cells) > 3:
            records.append((line, dict(zip(header, cells, strict=False))))
    yield from _drafts(records)


def _recognises_xml(source: Source) -> bool:
    return source.table is None and "<FlexQueryResponse" in source.text[:2000]


def _xml_drafts(source: Source) -> Iterator[Draft]:
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415 - for these files only
    from defusedxml.ElementTree import ParseError, fromstring  # noqa: PLC0415

    try:
        root = fromstring(source.text)
    except ParseError as error:
        raise InputFileError(f"This XML cannot be read: {error}.") from error
    except DefusedXmlException as error:
        raise InputFileError("This XML declares entities, which no export of IB does; nothing was read.") from error
    records: list[Record] = []
    # XML has no lines that mean anything to a reader: the number of the element is as good.
    for element in root.iter():
        if element.tag in {"Trade", "Order", "CashTransaction", "CorporateAction", "Lot", "SymbolSummary"}:
            records.append((len(records) + 1, dict(element.attrib)))
    yield from _drafts(records)


def _drafts(records: Sequence[Record]) -> Iterator[Draft]:
    # How a Flex query writes days is its owner's choice.
    order = day_order(_cell(record, name) for _, record in records for name in ("moment", "day", "report"))
    cells = Cells(order=order, guessed=order is None)
    executed = {
        _cell(record, "symbol")
        for _, record in records
        if _cell(record, "level").upper() == "EXECUTION" and _cell(record, "price")
    }
    taken_back, splits = _taken_back(records), ib.Splits()
    for line, record in records:
        level = _cell(record, "level").upper()
        draft = Draft(line, raw=record)
        action = f"{_cell(record, 'description')} {_cell(record, 'action')}"
        if level in _SUMMARIES:
            draft.ignored = "It sums up other rows."
        elif level == "ORDER" and _cell(record, "symbol") in executed:
            draft.ignored = "Its executions are taken, one by one."
        elif line in taken_back:
            draft.ignored = "It was cancelled."
        elif _cell(record, "price"):
            _trade(draft, record, cells)
        elif ib.split_of(action) is not None and not _cell(record, "amount").strip("0."):
            _common(draft, record, cells)
            splits.add(draft, action.strip(), cells.moment(draft, "date", _cell(record, "reported")), draft.moment)
        elif _cell(record, "amount") and _cell(record, "kind"):
            _cash(draft, record, cells)
        else:
            draft.ignored = "It is neither a trade nor a movement of cash."
        yield draft


def _taken_back(records: Sequence[Record]) -> set[int]:
    """Return the lines of trades that a later row cancels, and those of these rows."""
    standing: dict[tuple[str, ...], list[int]] = {}
    found: set[int] = set()
    for line, record in records:
        side = _cell(record, "side").upper()
        content = (
            *(_cell(record, name) for name in ("account", "symbol", "price")),
            side.partition("(")[0].strip(),
            _cell(record, "quantity").lstrip("-"),
        )
        if not _is_cancel(record):
            # Not every query asks for the identities that a cancel could name.
            for identity in {_cell(record, "execution"), ""}:
                standing.setdefault((*content, identity), []).append(line)
            continue
        before = [one for one in standing.get((*content, _cell(record, "original")), []) if one not in found]
        if before:
            found |= {line, before[-1]}
    return found


def _is_cancel(record: Mapping[str, str]) -> bool:
    return "(CA" in _cell(record, "side").upper().replace(" ", "")


def _cell(record: Mapping[str, str], name: str) -> str:
    return next((record[each].strip() for each in _NAMES[name] if record.get(each)), "")


def _common(draft: Draft, record: Mapping[str, str], cells: Cells) -> None:
    draft.account = _cell(record, "account") or None
    draft.currency = _cell(record, "currency") or None
    draft.isin = _cell(record, "isin") or None
    if _cell(record, "symbol"):
        draft.ticker = ib.ticker(_cell(record, "symbol"), _cell(record, "exchange"), draft)
    written = next(filter(None, (_cell(record, name) for name in ("moment", "day", "report"))), "")
    draft.moment = cells.moment(draft, "date", written)
    day = cells.moment(draft, "date", _cell(record, "day"))
    if day is not None and draft.moment is not None and draft.moment.date() != day.date():
        # Night sessions belong to the next day, and a split counts by the day of trade.
        draft.moment = day


def _trade(draft: Draft, record: Mapping[str, str], cells: Cells) -> None:
    asset = _cell(record, "class")
    if asset and asset not in ib.SHARES:
        draft.ignored = ib.NOT_TAKEN.get(asset, f"“{asset}” is not supported.")
        return
    if _is_cancel(record):
        draft.ignored = "It cancels a trade that is not in this file: if that one is booked, remove it."
        return
    _common(draft, record, cells)
    quantity = cells.number(draft, "Quantity", _cell(record, "quantity"))
    if quantity is None or not quantity:
        draft.ignored = "It has no quantity."
        return
    sells = _cell(record, "side").upper().startswith("SELL") or quantity < 0
    draft.type, draft.quantity = (EntryType.SELL if sells else EntryType.BUY), abs(quantity)
    draft.price = cells.number(draft, "TradePrice", _cell(record, "price"))
    commission = cells.number(draft, "IBCommission", _cell(record, "commission")) or Decimal(0)
    # Negative is paid. A rebate makes the trade cheaper, which a fee cannot say: it is left to the reader.
    draft.fee = max(-commission, Decimal(0))
    if commission > 0:
        draft.remarks.append(f"IB paid back {commission} of commission, which is not booked.")
    paid_in = _cell(record, "commission_currency")
    if draft.fee and paid_in and paid_in != draft.currency:
        draft.remarks.append(
            f"The commission of {draft.fee} was paid in {paid_in} and is not booked: book it as a fee."
        )
        draft.fee = Decimal(0)
    draft.tax = abs(cells.number(draft, "Taxes", _cell(record, "taxes")) or Decimal(0))
    identity = next(filter(None, (_cell(record, name) for name in ("execution", "transaction", "order"))), "")
    draft.external_id = (identity and f"ib-{identity}") or None


def _cash(draft: Draft, record: Mapping[str, str], cells: Cells) -> None:
    _common(draft, record, cells)
    draft.note = _cell(record, "description") or None
    identity = _cell(record, "transaction")
    draft.external_id = f"ib-{identity}" if identity else None
    ib.cash(draft, _cell(record, "kind"), cells.number(draft, "Amount", _cell(record, "amount")))


CSV: Final = Format("ib_flex_csv", "Interactive Brokers Flex (CSV)", _recognises_csv, _csv_drafts)
XML: Final = Format("ib_flex_xml", "Interactive Brokers Flex (XML)", _recognises_xml, _xml_drafts)
