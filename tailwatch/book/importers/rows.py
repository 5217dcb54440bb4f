"""What became of each row of a file: an entry, a split, or the reason why neither."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from tailwatch.book.currencies import major
from tailwatch.book.entries import Entry, EntryType, Stated, checked
from tailwatch.book.exact import ZERO
from tailwatch.errors import InvalidEntryError

#: What a ticker may look like: AAPL, BRK-B, ^GSPC, EURUSD=X, 7203.T.
TICKER: Final = re.compile(r"[A-Z0-9^][A-Z0-9.^=_-]{0,23}")
_ISIN: Final = re.compile("[A-Z]{2}[A-Z0-9]{9}[0-9]")
_CURRENCY: Final = re.compile("[A-Z]{3}")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_LARGEST: Final = Decimal("1e12")
_PLACES: Final = 10


@dataclass(slots=True)
class Draft:
    """One row as its format reads it, before anything is checked.

    Attributes:
        line: Of the file, from 1.
        raw: The row's own cells, by the names of its columns.
        type: What happened; None where the format does not say.
        moment: When, in UTC.
        ticker: As the price source should know it.
        isin: For a row without a symbol.
        split_ratio: New shares for one old share, of a row that is a split.
        errors: What keeps it from being booked, in sentences.
        remarks: What a reader should know.
        ignored: Why it is nothing to book, such as a subtotal; None: it is.
        unpriced: Why nobody quotes a price for it: it is passed over unless the owner names a ticker.
    """

    line: int
    raw: Mapping[str, str] = field(default_factory=dict)
    type: EntryType | None = None
    moment: datetime | None = None
    ticker: str | None = None
    isin: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    fee: Decimal = ZERO
    tax: Decimal = ZERO
    fx_rate: Decimal | None = None
    account: str | None = None
    note: str | None = None
    external_id: str | None = None
    split_ratio: Decimal | None = None
    errors: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    ignored: str | None = None
    unpriced: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedSplit:
    """A split that a file tells of: from `day` on, one old share is `ratio` new ones."""

    ticker: str
    day: date
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """What became of one row.

    Attributes:
        line: Of the file, from 1.
        entry: To be booked; None where there is none.
        split: Of the instrument; None where the row is none.
        errors: What keeps it from being booked, in sentences.
        remarks: What a reader should know.
        ignored: Why it is nothing to book; None: it is.
        key: The same for the same row read again, and another for its true twin in the same file. Empty without an
            entry.
        raw: The row's own cells, by the names of its columns.
    """

    line: int
    entry: Entry | None
    split: ImportedSplit | None
    errors: tuple[str, ...]
    remarks: tuple[str, ...]
    ignored: str | None
    key: str
    raw: Mapping[str, str]


class RowMaker:
    """Makes rows of one file's drafts; knows how often each content has come already."""

    def __init__(self, base_currency: str, symbols: Mapping[str, str]) -> None:
        """Start a file.

        Args:
            base_currency: Of rows that name no currency.
            symbols: Ticker by what the file calls it, or by ISIN: for names that the price source does not know.
        """
        self._base_currency = base_currency
        self._symbols = {name.upper(): ticker for name, ticker in symbols.items()}
        self._seen: Counter[str] = Counter()

    def row(self, draft: Draft) -> ImportedRow:
        """Return what became of a draft."""
        entry, split = None, None
        if draft.errors:
            # What cannot be read is not passed over silently.
            draft.ignored = None
        if draft.ignored is None:
            self._name(draft)
        if draft.ignored is None:
            if draft.split_ratio is not None:
                split = self._split(draft)
            elif not draft.errors:
                entry = self._entry(draft)
        return ImportedRow(
            draft.line,
            entry if not draft.errors else None,
            split if not draft.errors else None,
            tuple(draft.errors),
            tuple(draft.remarks),
            draft.ignored,
            self._key(entry) if entry is not None and not draft.errors else "",
            draft.raw,
        )

    def _name(self, draft: Draft) -> None:
        """Find the ticker: by the owner's own mapping first."""
        for known in (draft.ticker, draft.isin):
            if known and known.strip().upper() in self._symbols:
                draft.ticker = self._symbols[known.strip().upper()]
                break
        else:
            if draft.unpriced:
                draft.ignored = draft.unpriced
                return
        draft.ticker = (draft.ticker or "").strip().upper() or None
        if draft.ticker is not None and _ISIN.fullmatch(draft.ticker):
            draft.ticker, draft.isin = None, draft.ticker
        if draft.ticker is None and draft.isin:
            draft.errors.append(
                f"There is only an ISIN ({draft.isin}), and prices are found by ticker: say which ticker it is."
            )
        elif draft.ticker is not None and not TICKER.fullmatch(draft.ticker):
            draft.errors.append(
                f"“{draft.ticker}” cannot be a ticker (1 to 24 of A-Z, 0-9 and . - = ^ _): say which ticker it is."
            )

    def _split(self, draft: Draft) -> ImportedSplit | None:
        if draft.ticker is None or draft.moment is None or draft.split_ratio is None or draft.split_ratio <= 0:
            draft.errors.append("A split needs a symbol, a day and a positive ratio.")
            return None
        return ImportedSplit(draft.ticker, draft.moment.date(), round(draft.split_ratio, _PLACES))

    def _entry(self, draft: Draft) -> Entry | None:
        # GBp is a hundredth of GBP and must not become it by its letters alone.
        currency, unit = major((draft.currency or self._base_currency).strip())
        currency = currency.upper()
        if not _CURRENCY.fullmatch(currency):
            draft.errors.append(f"“{draft.currency}” is no currency of three letters.")
        if draft.moment is None:
            draft.errors.append("There is no date.")
            return None
        members = {"quantity": draft.quantity, "price": draft.price, "amount": draft.amount, "fx_rate": draft.fx_rate}
        charges = {"fee": draft.fee, "tax": draft.tax}
        if unit != 1:
            _to_major(members, charges, unit)
            draft.remarks.append(f"Amounts in {draft.currency} are booked in {currency}.")
        exact = {name: _stored(name, value, draft.errors) for name, value in members.items()}
        fee, tax = (_stored(name, value, draft.errors) or ZERO for name, value in charges.items())
        if draft.moment.year < 1900:
            draft.errors.append("It is from before 1900.")
        if draft.errors:
            return None
        try:
            stated = checked(
                Stated(draft.type, draft.ticker, exact["quantity"] or None, exact["price"], exact["amount"] or None)
            )
        except InvalidEntryError as error:
            draft.errors.append(f"{error.field}: {error}.")
            return None
        if exact["fx_rate"] is not None and exact["fx_rate"] <= 0:
            draft.errors.append("fx_rate: must be positive.")
            return None
        return Entry(
            type=stated.type or EntryType.BUY,
            executed_at=draft.moment,
            currency=currency,
            ticker=stated.ticker,
            quantity=stated.quantity,
            price=stated.price,
            amount=stated.amount,
            fee=fee,
            tax=tax,
            fx_rate=exact["fx_rate"],
            account=_text(draft.account, 100),
            note=_text(draft.note, 1000),
            external_id=_text(draft.external_id, 200),
        )

    def _key(self, entry: Entry) -> str:
        """Return a digest of the content and of how many rows with the same one came before it in this file."""
        content = "\x1f".join(
            "" if value is None else _canonical(value)
            for value in (
                entry.account,
                entry.executed_at,
                entry.type,
                entry.ticker,
                entry.quantity,
                entry.price,
                entry.amount,
                entry.currency,
                entry.fee,
                entry.tax,
                entry.external_id,
            )
        )
        self._seen[content] += 1
        return hashlib.sha256(f"{content}\x1e{self._seen[content]}".encode()).hexdigest()


def entries_of(rows: Iterable[ImportedRow]) -> list[Entry]:
    """Return the entries, in the order of the rows."""
    return [row.entry for row in rows if row.entry is not None]


def _canonical(value: object) -> str:
    if isinstance(value, Decimal):
        # 1.50 and 1.5 are the same number.
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _stored(name: str, value: Decimal | None, errors: list[str]) -> Decimal | None:
    """Return a number as it is stored, ten places; note what cannot be."""
    if value is None:
        return None
    if not value:
        return ZERO
    if not value.is_finite() or abs(value) > _LARGEST:
        errors.append(f"{name}: {value} is larger than 1,000,000,000,000.")
        return None
    if name in {"fee", "tax", "price"} and value < 0:
        errors.append(f"{name}: must not be negative.")
    return round(value, _PLACES)


def _to_major(members: dict[str, Decimal | None], charges: dict[str, Decimal], unit: Decimal) -> None:
    """Turn what is in a hundredth of a currency into the currency itself."""
    for name in ("price", "amount"):
        value = members[name]
        members[name] = None if value is None else value * unit
    rate = members["fx_rate"]
    members["fx_rate"] = None if rate is None else rate / unit
    for name, value in charges.items():
        charges[name] = value * unit


def _text(value: str | None, longest: int) -> str | None:
    # What a database holds: any character but zero and halves of one.
    if value and ("\0" in value or not value.isascii()):
        value = _UNSTORABLE.sub("\ufffd", value)
    return (value or "")[:longest] or None
