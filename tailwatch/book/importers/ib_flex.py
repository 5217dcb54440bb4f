"""Interactive Brokers: Flex queries, as CSV or XML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers import ib
from tailwatch.book.importers.reading import Cells, Format, Source
from tailwatch.book.importers.rows import Draft
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
    "description": ("Description", "ActionDescription", "description", "actionDescription"),
    "report": ("SettleDate", "settleDate", "ReportDate", "reportDate", "Report Date"),
}
_SUMMARIES: Final = frozenset({"SYMBOL_SUMMARY", "ASSET_SUMMARY", "SUMMARY", "CLOSED_LOT", "WASH_SALE"})
_CELLS: Final = Cells()

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
    has_executions = any(
        _cell(record, "level").upper() == "EXECUTION" for _, record in records if _cell(record, "price")
    )
    for line, record in records:
        level = _cell(record, "level").upper()
        draft = Draft(line, raw=record)
        if level in _SUMMARIES:
            draft.ignored = "It sums up other rows."
        elif level == "ORDER" and has_executions:
            draft.ignored = "Its executions are taken, one by one."
        elif _cell(record, "price") and _cell(record, "side"):
            _trade(draft, record)
        elif ib.split_of(_cell(record, "description")) is not None and not _cell(record, "amount").strip("0."):
            _split(draft, record)
        elif _cell(record, "amount") and _cell(record, "kind"):
            _cash(draft, record)
        else:
            draft.ignored = "It is neither a trade nor a movement of cash."
        yield draft


def _cell(record: Mapping[str, str], name: str) -> str:
    return next((record[each].strip() for each in _NAMES[name] if record.get(each)), "")


def _common(draft: Draft, record: Mapping[str, str]) -> None:
    draft.account = _cell(record, "account") or None
    draft.currency = _cell(record, "currency") or None
    draft.isin = _cell(record, "isin") or None
    if _cell(record, "symbol"):
        draft.ticker = ib.ticker(_cell(record, "symbol"), _cell(record, "exchange"), draft)
    # The moment has the hour, but the day is the exchange's own in either.
    written = next(filter(None, (_cell(record, name) for name in ("moment", "day", "report"))), "")
    draft.moment = _CELLS.moment(draft, "date", written)


def _trade(draft: Draft, record: Mapping[str, str]) -> None:
    asset = _cell(record, "class")
    if asset and asset not in ib.SHARES:
        draft.ignored = ib.NOT_TAKEN.get(asset, f"“{asset}” is not supported.")
        return
    side = _cell(record, "side").upper()
    if "(CA" in side.replace(" ", ""):
        draft.ignored = "It was cancelled."
        return
    _common(draft, record)
    draft.type = EntryType.SELL if side.startswith("SELL") else EntryType.BUY
    quantity = _CELLS.number(draft, "Quantity", _cell(record, "quantity"))
    draft.quantity = None if quantity is None else abs(quantity)
    draft.price = _CELLS.number(draft, "TradePrice", _cell(record, "price"))
    commission = _CELLS.number(draft, "IBCommission", _cell(record, "commission")) or Decimal(0)
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
    draft.tax = abs(_CELLS.number(draft, "Taxes", _cell(record, "taxes")) or Decimal(0))
    identity = next(filter(None, (_cell(record, name) for name in ("execution", "transaction", "order"))), "")
    draft.external_id = (identity and f"ib-{identity}") or None


def _cash(draft: Draft, record: Mapping[str, str]) -> None:
    _common(draft, record)
    draft.note = _cell(record, "description") or None
    identity = _cell(record, "transaction")
    draft.external_id = f"ib-{identity}" if identity else None
    ib.cash(draft, _cell(record, "kind"), _CELLS.number(draft, "Amount", _cell(record, "amount")))


def _split(draft: Draft, record: Mapping[str, str]) -> None:
    _common(draft, record)
    description = _cell(record, "description")
    draft.split_ratio = ib.split_of(description)
    draft.note = description


CSV: Final = Format("ib_flex_csv", "Interactive Brokers Flex (CSV)", _recognises_csv, _csv_drafts)
XML: Final = Format("ib_flex_xml", "Interactive Brokers Flex (XML)", _recognises_xml, _xml_drafts)
