"""What all files of Interactive Brokers share: symbols, kinds of cash, splits in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers.rows import Draft

#: Suffix of Yahoo's tickers by IB's listing exchange. American ones have none.
SUFFIXES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("LSE", "LSEETF"), ".L"),
    "LSEIOB1": ".IL",
    **dict.fromkeys(("IBIS", "IBIS2", "XETRA"), ".DE"),
    **dict.fromkeys(("FWB", "FWB2"), ".F"),
    "SWB": ".SG",
    "SBF": ".PA",
    "AEB": ".AS",
    "ENEXT.BE": ".BR",
    "BVL": ".LS",
    **dict.fromkeys(("BVME", "BVME.ETF"), ".MI"),
    "BM": ".MC",
    **dict.fromkeys(("EBS", "SWX", "VIRTX"), ".SW"),
    "VSE": ".VI",
    "SFB": ".ST",
    "CPH": ".CO",
    "OSE": ".OL",
    "HEX": ".HE",
    "WSE": ".WA",
    "TSE": ".TO",
    "VENTURE": ".V",
    "SEHK": ".HK",
    "TSEJ": ".T",
    "ASX": ".AX",
    "SGX": ".SI",
    "NSE": ".NS",
    "TWSE": ".TW",
    "KSE": ".KS",
    "MEXI": ".MX",
    "TASE": ".TA",
    "PRA": ".PR",
    "BUX": ".BD",
    "JSE": ".JO",
}
_AMERICAN: Final = frozenset(
    {"", "NYSE", "NASDAQ", "ARCA", "AMEX", "BATS", "PINK", "IEX", "CBOE", "VALUE", "EDGX", "BEX", "OTCLNKECN"}
)
#: What can be held like a share, by what IB calls it in either kind of file.
SHARES: Final = frozenset({"STK", "FUND", "Stocks", "Mutual Funds", "ETFs"})
NOT_TAKEN: Final[Mapping[str, str]] = {
    "CASH": "It changes money; cash by currency will differ from IB's by it.",
    "Forex": "It changes money; cash by currency will differ from IB's by it.",
    "OPT": "Options are not supported.",
    "Equity and Index Options": "Options are not supported.",
    "FOP": "Options are not supported.",
    "WAR": "Warrants are not supported.",
    "Warrants": "Warrants are not supported.",
    "FUT": "Futures are not supported.",
    "Futures": "Futures are not supported.",
    "BOND": "Bonds are not supported.",
    "Bonds": "Bonds are not supported.",
    "CFD": "Contracts for difference are not supported.",
    "CFDs": "Contracts for difference are not supported.",
    "CRYPTO": "IB's coins have no ticker of their own here; book them by hand, as BTC-USD.",
}
#: IB books corporate actions at 20:25, after the last day with old shares.
_EVENING: Final = 20
_SPLIT: Final = re.compile(r"\bSPLIT\s+(\d+(?:\.\d+)?)\s+FOR\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
#: AAPL(US0378331005) Cash Dividend USD 0.23 per Share
_SECURITY: Final = re.compile(r"^\s*([A-Za-z0-9 .]+?)\s*\(([A-Z]{2}[A-Z0-9]{9}[0-9])\)")


def ticker(symbol: str, exchange: str, draft: Draft) -> str:
    """Return Yahoo's ticker of IB's symbol; note on the draft where the exchange is not known."""
    bare = symbol.strip()
    code = exchange.strip().upper()
    if not code and (draft.currency or "USD") != "USD":
        draft.remarks.append(f"The file does not say where {bare} is listed: look whether this is the right ticker.")
    if code in _AMERICAN:
        return bare.replace(" ", "-").rstrip(".")
    suffix = SUFFIXES.get(code)
    if suffix is None:
        draft.remarks.append(f"The exchange {code} is not known here: look whether {bare} is the right ticker.")
        return bare.replace(" ", "-").rstrip(".")
    if suffix == ".HK":
        bare = bare.zfill(4)
    return bare.rstrip(".").replace(" ", "-").replace(".", "-") + suffix


def asset_class(written: str) -> str:
    """Return the kind of asset without where it is held: "Stocks - Held with …" are stocks."""
    return written.partition(" - ")[0].strip()


class Splits:
    """The splits of one file: a reverse split stands there twice, once for the old shares and once for the new."""

    def __init__(self) -> None:
        """Start a file."""
        self._seen: set[tuple[str | None, date, Decimal]] = set()

    def add(self, draft: Draft, description: str, reported: datetime | None, booked: datetime | None) -> None:
        """Put a split into the draft.

        Args:
            draft: With its ticker.
            description: Which says the ratio.
            reported: The first day on which new shares are traded, as IB reports it.
            booked: When IB booked it, in the evening before; for files without a day of report.
        """
        draft.moment = reported or (
            booked + timedelta(days=1) if booked is not None and booked.hour >= _EVENING else booked
        )
        draft.split_ratio = split_of(description)
        draft.note = description
        if draft.moment is None or draft.split_ratio is None:
            return
        content = (draft.ticker, draft.moment.date(), draft.split_ratio)
        if content in self._seen:
            draft.ignored = "It is the other half of a split that is read already."
        self._seen.add(content)


def split_of(description: str) -> Decimal | None:
    """Return the ratio of a corporate action in words, such as "AAPL(…) SPLIT 4 FOR 1"; None for any other."""
    found = _SPLIT.search(description)
    return Decimal(found[1]) / Decimal(found[2]) if found and Decimal(found[2]) else None


def security_of(description: str) -> tuple[str, str] | None:
    """Return symbol and ISIN of a description that begins with them; None for any other."""
    found = _SECURITY.match(description)
    return (found[1], found[2]) if found else None


def cash(draft: Draft, kind: str, amount: Decimal | None) -> None:
    """Put a movement of cash into the draft, by IB's name of its kind."""
    if amount is None:
        draft.errors.append("There is no amount.")
        return
    if not amount:
        draft.ignored = "It moves nothing."
        return
    lower = kind.lower()
    if "dividend" in lower or "in lieu" in lower:
        draft.type, draft.amount = EntryType.DIVIDEND, amount
        if draft.ticker is None and draft.isin is None:
            draft.type = EntryType.INTEREST
    elif "withholding" in lower or "tax" in lower:
        draft.type, draft.amount = EntryType.TAX, -amount
    elif "interest" in lower:
        draft.type, draft.amount, draft.ticker, draft.isin = EntryType.INTEREST, amount, None, None
    elif "deposit" in lower or "withdrawal" in lower:
        draft.type = EntryType.DEPOSIT if amount > 0 else EntryType.WITHDRAWAL
        draft.amount, draft.ticker, draft.isin = abs(amount), None, None
    elif "fee" in lower or "commission" in lower:
        draft.type, draft.amount = EntryType.FEE, -amount
    else:
        draft.errors.append(f"“{kind[:40]}” is not known here.")
