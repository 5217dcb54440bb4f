"""The entries of a book: shares that came or went, and cash that did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from tailwatch.book.exact import ZERO
from tailwatch.errors import InvalidEntryError


class EntryType(StrEnum):
    """What happened.

    A sale of more than is held goes short by the rest, and a purchase while short covers first: `short` and `cover`
    say what was meant and are booked like `sell` and `buy`. A transfer moves shares between brokers: its price is
    what they cost, and no cash moves.
    """

    BUY = "buy"
    SELL = "sell"
    SHORT = "short"
    COVER = "cover"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FEE = "fee"
    TAX = "tax"


#: Shares come.
INCOMING: Final = frozenset({EntryType.BUY, EntryType.COVER, EntryType.TRANSFER_IN})
#: Shares go.
OUTGOING: Final = frozenset({EntryType.SELL, EntryType.SHORT, EntryType.TRANSFER_OUT})
#: Entries with a quantity and a price; all others have an amount.
OF_SHARES: Final = INCOMING | OUTGOING
#: Shares move, cash does not.
TRANSFERS: Final = frozenset({EntryType.TRANSFER_IN, EntryType.TRANSFER_OUT})
#: Cash that goes: their amount is what was paid.
PAID: Final = frozenset({EntryType.WITHDRAWAL, EntryType.FEE, EntryType.TAX})
#: Money that the owner put in or took out: what a time-weighted return is cleared of.
EXTERNAL: Final = frozenset({EntryType.DEPOSIT, EntryType.WITHDRAWAL, *TRANSFERS})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as it was booked.

    Attributes:
        type: What happened.
        executed_at: Decides the order; `id` does among equals.
        currency: Three capital letters, of price, amount, fee and tax.
        ticker: The instrument; None for cash that no instrument paid or cost.
        quantity: Signed shares as of that day: positive came, negative went. None for entries of cash.
        price: Of one share; None for entries of cash.
        amount: Cash before fee and tax, positive as the type says: a dividend received, a fee paid. Negative for
            its reverse (a refund, interest that was paid). None for entries of shares.
        fee: Not negative.
        tax: Not negative.
        fx_rate: Base currency for one unit of `currency`, as settled; None: the day's rate.
        account: At which broker.
        note: The owner's words.
        external_id: The owner's or broker's identity of the entry.
        id: Rises with booking; 0 before.
    """

    type: EntryType
    executed_at: datetime
    currency: str
    ticker: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    fee: Decimal = ZERO
    tax: Decimal = ZERO
    fx_rate: Decimal | None = None
    account: str | None = None
    note: str | None = None
    external_id: str | None = None
    id: int = 0

    @property
    def cash(self) -> Decimal:
        """What it did to the cash in `currency`: negative for a purchase. Exact in a context of `exact.PRECISION`."""
        charges = self.fee + self.tax
        if self.quantity is not None and self.price is not None:
            return -charges if self.type in TRANSFERS else -self.quantity * self.price - charges
        amount = self.amount or ZERO
        return (-amount if self.type in PAID else amount) - charges


@dataclass(frozen=True, slots=True)
class Stated:
    """What somebody says of an entry: the members that its type decides on, each None where it was left out."""

    type: EntryType | None = None
    ticker: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal | None = None


def checked(stated: Stated) -> Stated:
    """Return what was stated with its type, and with the sign of the quantity that the type has.

    Left out, the type of shares is a purchase or a sale by the sign of their quantity. Of a sale, a positive quantity
    is that many sold.

    Raises:
        InvalidEntryError: members are missing, are too many, or contradict each other; it names one of them.
    """
    if stated.type is None:
        if stated.amount is not None:
            kinds = ", ".join(kind.value for kind in EntryType if kind not in OF_SHARES)
            raise InvalidEntryError("type", f"is needed with an amount: one of {kinds}")
        kind = EntryType.SELL if (stated.quantity or 0) < 0 else EntryType.BUY
    else:
        kind = stated.type
    return _checked_shares(kind, stated) if kind in OF_SHARES else _checked_cash(kind, stated)


def _checked_shares(kind: EntryType, stated: Stated) -> Stated:
    for name, member in (("ticker", stated.ticker), ("quantity", stated.quantity), ("price", stated.price)):
        if member is None:
            raise InvalidEntryError(name, f"is needed for a {_words(kind)}")
    if stated.amount is not None:
        raise InvalidEntryError("amount", f"does not go with a {_words(kind)}: quantity and price say it")
    quantity = stated.quantity or ZERO
    if kind in OUTGOING:
        quantity = -abs(quantity)
    elif quantity < 0:
        raise InvalidEntryError("quantity", f"must be positive for a {_words(kind)}")
    return Stated(kind, stated.ticker, quantity, stated.price, None)


def _checked_cash(kind: EntryType, stated: Stated) -> Stated:
    if stated.amount is None:
        raise InvalidEntryError("amount", f"is needed for a {_words(kind)}")
    for name, member in (("quantity", stated.quantity), ("price", stated.price)):
        if member is not None:
            raise InvalidEntryError(name, f"does not go with a {_words(kind)}: its amount says it")
    if stated.ticker is None and kind is EntryType.DIVIDEND:
        raise InvalidEntryError("ticker", "is needed for a dividend: which instrument paid it")
    if stated.ticker is not None and kind in {EntryType.DEPOSIT, EntryType.WITHDRAWAL}:
        raise InvalidEntryError("ticker", f"does not go with a {_words(kind)}; shares are moved by a transfer")
    if stated.amount < 0 and kind in {EntryType.DEPOSIT, EntryType.WITHDRAWAL}:
        other = EntryType.WITHDRAWAL if kind is EntryType.DEPOSIT else EntryType.DEPOSIT
        raise InvalidEntryError("amount", f"must be positive for a {_words(kind)}; the reverse is a {_words(other)}")
    return Stated(kind, stated.ticker, None, None, stated.amount)


def _words(kind: EntryType) -> str:
    return {EntryType.BUY: "purchase", EntryType.SELL: "sale", EntryType.SHORT: "short sale"}.get(
        kind, kind.value.replace("_in", " in").replace("_out", " out")
    )
