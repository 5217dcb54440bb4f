"""Entries of the book: trades of shares, and cash that came or went."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from api.schemas.base import (
    LEFT_OUT,
    Account,
    Amount,
    Change,
    Currency,
    Exact,
    ExecutedAt,
    ExternalId,
    Input,
    Moment,
    Note,
    Output,
    Page,
    Quantity,
    Rate,
    SignedAmount,
    Ticker,
)

EntryType = Literal[
    "buy",
    "sell",
    "short",
    "cover",
    "transfer_in",
    "transfer_out",
    "dividend",
    "interest",
    "deposit",
    "withdrawal",
    "fee",
    "tax",
]

_TYPE = (
    "buy, sell, short, cover, transfer_in and transfer_out have ticker, quantity and price; dividend, interest, "
    "deposit, withdrawal, fee and tax have an amount."
)
_AMOUNT = "Of an entry of cash, before fee and tax; positive as the type says, negative for its reverse."
_FX_RATE = "Base currency for one unit of `currency`, as it was settled. Left out: the day's rate."
_ACCOUNT = "At which broker."


class TradeCreate(Input):
    """An entry of the book: a purchase or sale, or cash that came or went."""

    type: EntryType | None = Field(
        default=None, description=_TYPE + " Left out: buy or sell, by the sign of the quantity."
    )
    ticker: Ticker | None = Field(default=None, description="Needed for everything that an instrument is part of.")
    quantity: Quantity | None = Field(default=None, description="Of a sale, a positive quantity is that many sold.")
    price: Amount | None = None
    amount: SignedAmount | None = Field(default=None, description=_AMOUNT)
    currency: Currency | None = Field(default=None, description="Left out: the portfolio's base currency.")
    fee: Amount = Decimal(0)
    tax: Amount = Decimal(0)
    fx_rate: Rate | None = Field(default=None, description=_FX_RATE)
    executed_at: ExecutedAt | None = Field(default=None, description="Left out: now.")
    account: Account | None = Field(default=None, description=_ACCOUNT)
    note: Note | None = None
    external_id: ExternalId | None = Field(
        default=None, description="Your own identity of the entry; unique within the portfolio."
    )


class TradeChange(Change):
    """Changes to an entry. A quantity of the other sign turns a purchase into a sale."""

    type: EntryType = Field(default=LEFT_OUT, description=_TYPE)
    ticker: Ticker | None = None
    quantity: Quantity = Field(default=LEFT_OUT)
    price: Amount = Field(default=LEFT_OUT)
    amount: SignedAmount = Field(default=LEFT_OUT, description=_AMOUNT)
    currency: Currency = Field(default=LEFT_OUT)
    fee: Amount = Field(default=LEFT_OUT)
    tax: Amount = Field(default=LEFT_OUT)
    fx_rate: Rate | None = Field(default=None, description=_FX_RATE)
    executed_at: ExecutedAt = Field(default=LEFT_OUT)
    account: Account | None = Field(default=None, description=_ACCOUNT)
    note: Note | None = None
    external_id: ExternalId | None = None


class Trade(Output):
    """An entry as it is booked."""

    id: int
    type: EntryType
    ticker: str | None
    quantity: Exact | None = Field(description="Signed shares as of that day; null for cash.")
    price: Exact | None
    amount: Exact | None = Field(description="Null for shares.")
    currency: str = Field(description="Of price, amount, fee and tax.")
    fee: Exact
    tax: Exact
    fx_rate: Exact | None
    executed_at: Moment
    account: str | None
    note: str | None
    external_id: str | None
    import_id: int | None = Field(description="Of the file that it is from.")
    created_at: Moment
    updated_at: Moment


class TradePage(Page):
    """Entries, the latest execution first."""

    items: list[Trade]


class BookedTrade(Output):
    """An entry as it stands now, and the revision of the portfolio that contains it."""

    trade: Trade
    revision: int = Field(description="The risk snapshot that has seen this change carries at least this revision.")


class RemovedTrade(Output):
    """The revision of the portfolio without the entry."""

    revision: int


class ShortTrade(BookedTrade):
    """Answer of the short form."""

    message: str
    id: int


class RecordedChange(Output):
    """What an entry was before somebody changed or removed it."""

    id: int
    trade_id: int
    action: Literal["change", "removal"]
    changed_at: Moment
    changed_by: str = Field(description="An e-mail address, with the name of the API token if it was one.")
    before: dict[str, Any] = Field(description="The entry as it was.")
    after: dict[str, Any] | None = Field(description="As it became; null for one that was removed.")


class RecordedChangePage(Page):
    """Changes and removals, the newest first."""

    items: list[RecordedChange]
