"""What all files of Interactive Brokers share: symbols, kinds of cash, splits in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tailwatch.book.entries import EntryType
from tailwatch.book.importers.rows import Draft

#: Suffix of Yahoo's tickers by IB's listing exchange. American ones have none.
SUFFIXES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("LSE", "LSEETF", "LSEIOB1"), ".L"),
    **dict.fromkeys(("IBIS", "IBIS2", "XETRA", "GETTEX2"), ".DE"),
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
_SPLIT: Final = re.compile(r"\bSPLIT\s+(\d+(?:\.\d+)?)\s+FOR\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
#: AAPL(US0378331005) Cash Dividend USD 0.23 per Share
_SECURITY: Final = re.compile(r"^\s*([A-Za-z0-9 .]+?)\s*\(([A-Z]{2}[A-Z0-9]{9}[0-9])\)")


def ticker(symbol: str, exchange: str, draft: Draft) -> str:
    """Return Yahoo's ticker of IB's symbol; note on the draft where the exchange is not known."""
    bare = symbol.strip()
    code = exchange.strip().upper()
    if code in _AMERICAN:
        return bare.replace(" ", "-").rstrip(".")
    suffix = SUFFIXES.get(code)
    if suffix is None:
        draft.remarks.append(f"The exchange {code} is not known here: look whether {bare} is the right ticker.")
        return bare.replace(" ", "-").rstrip(".")
    if suffix == ".HK":
        bare = bare.zfill(4)
    return bare.rstrip(".").replace(" ", "-").replace(".", "-") + suffix


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
