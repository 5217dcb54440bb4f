"""Yahoo Finance: the CSV of a portfolio's lots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
#: What Yahoo quotes in, by the suffix of its tickers; American ones have none.
_CURRENCIES: Final[Mapping[str, str]] = {
    "": "USD",
    **dict.fromkeys(("DE", "F", "BE", "DU", "HM", "HA", "MU", "SG", "PA", "AS", "BR", "LS", "MI", "MC", "VI"), "EUR"),
    **dict.fromkeys(("HE", "IR", "AT", "TL", "RG", "VS"), "EUR"),
    **dict.fromkeys(("TO", "V", "CN", "NE"), "CAD"),
    **dict.fromkeys(("SS", "SZ"), "CNY"),
    **dict.fromkeys(("TW", "TWO"), "TWD"),
    **dict.fromkeys(("KS", "KQ"), "KRW"),
    **dict.fromkeys(("NS", "BO"), "INR"),
    "L": "GBp",
    "JO": "ZAc",
    "TA": "ILA",
    "SW": "CHF",
    "ST": "SEK",
    "CO": "DKK",
    "OL": "NOK",
    "WA": "PLN",
    "PR": "CZK",
    "IS": "TRY",
    "T": "JPY",
    "HK": "HKD",
    "AX": "AUD",
    "NZ": "NZD",
    "SI": "SGD",
    "KL": "MYR",
    "BK": "THB",
    "JK": "IDR",
    "MX": "MXN",
    "SA": "BRL",
}
_OF_CASH: Final = {
    "deposit": EntryType.DEPOSIT,
    "withdrawal": EntryType.WITHDRAWAL,
    "withdraw": EntryType.WITHDRAWAL,
}


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
        written = (record.get("Transaction Type") or "").strip()
        if draft.ticker.upper().startswith("$$CASH"):
            draft.ticker = None
            if written.lower() not in _OF_CASH or not record.get("Trade Date"):
                draft.ignored = "It is a balance of cash without a date; book a deposit instead."
            else:
                draft.type, draft.amount = _OF_CASH[written.lower()], None if quantity is None else abs(quantity)
                draft.moment = cells.moment(draft, "Trade Date", record.get("Trade Date"))
                draft.note = record.get("Comment") or None
                draft.remarks.append("Yahoo's file names no currency: it is taken for the portfolio's.")
        elif not quantity and not draft.errors:
            draft.ignored = "It is watched and not held: there is no quantity."
        else:
            draft.type = kind_of(draft, "Transaction Type", written, _KINDS)
            draft.quantity = quantity
            if quantity is not None and quantity < 0 and not written:
                draft.type = EntryType.SELL
            draft.moment = cells.moment(draft, "Trade Date", record.get("Trade Date"))
            draft.price = cells.number(draft, "Purchase Price", record.get("Purchase Price"))
            draft.fee = abs(cells.number(draft, "Commission", record.get("Commission")) or Decimal(0))
            draft.note = record.get("Comment") or None
            _name_currency(draft, draft.ticker.upper())
        yield draft


def _name_currency(draft: Draft, ticker: str) -> None:
    """Say which currency a price is taken for: the file names none, and its exchange has one."""
    pair = ticker.rpartition("-")[2] if "-" in ticker and "." not in ticker else ""
    # BTC-EUR is quoted in euros, and BRK-B is a class of shares.
    draft.currency = pair if len(pair) == 3 else _CURRENCIES.get(ticker.rpartition(".")[2] if "." in ticker else "")
    taken = f"{draft.currency}, as its exchange quotes" if draft.currency else "the portfolio's currency"
    draft.remarks.append(f"Yahoo's file names no currency: the price is taken for {taken}.")


FORMAT: Final = Format("yahoo", "Yahoo Finance portfolio (CSV)", _recognises, _drafts)
