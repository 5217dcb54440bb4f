"""How the prices stand that the caller's portfolios rest on."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field

from api.schemas.base import Exact, Input, Moment, Output, Page

PriceState = Literal["ok", "pending", "held", "late", "failed", "unknown"]


class PriceStanding(Output):
    """The prices of one instrument."""

    ticker: str
    name: str | None
    currency: str | None = Field(description="As the source names it: GBp for pence.")
    source: str | None
    state: PriceState = Field(
        description="held: a bar waits for a decision, and counts for nothing until then. late: the bar of due_day "
        "should be there by now."
    )
    last_bar: date | None
    last_close: Exact | None
    due_day: date | None = Field(
        description="The session after the newest bar, whose bar is awaited next; null: not known, or its source has "
        "no more to give."
    )
    calendar: str | None = Field(
        description="The market calendar that due_day is from, as XNYS; null: not known, so every weekday counts."
    )
    next_fetch_at: Moment | None = Field(description="Null: with the next nightly run.")
    last_fetched_at: Moment | None
    last_error: str | None = Field(description="Why the source of choice did not serve it.")
    held: int = Field(description="Bars that wait for a decision.")
    remarks: list[dict[str, Any]] = Field(
        description="What is odd: a code (held_price, split_announced, no_price, stale_run, gap, other_currency, "
        "short_answer), a message and the day. Snapshots warn of the first four."
    )


class PriceStandingPage(Page):
    """By ticker."""

    items: list[PriceStanding]


class HeldPrice(Output):
    """A bar that is not believed, or was not."""

    day: date
    close: Exact
    source: str
    fetched_at: Moment
    seen: int = Field(description="Fetches that gave this very value.")
    code: str
    reason: str
    decision: Literal["released", "rejected"] | None
    decided_at: Moment | None
    decided_by: str | None


class Restatement(Output):
    """Bars that newer ones took the place of, all in one go."""

    replaced_at: Moment
    kind: Literal["restated", "rebased", "source", "removed"] = Field(
        description="rebased: the same prices, adjusted for a split or dividend that came since."
    )
    first: date
    last: date
    bars: int
    last_close: Exact = Field(description="The newest of them, as it was.")
    snapshots: list[int] = Field(description="Of yours, computed while they counted; the newest hundred.")


class PriceSplit(Output):
    """A split: what was booked before its day is scaled by it, once."""

    day: date
    ratio: Exact = Field(description="New shares for one old one.")
    source: str = Field(description="user: entered by hand or from a broker's file; it stays whatever a source says.")


class PriceBar(Output):
    """A session, as its source gives it: adjusted for later splits."""

    day: date
    close: Exact
    adjusted_close: Exact = Field(description="Adjusted for dividends, too: returns are made of it.")
    open: Exact | None
    high: Exact | None
    low: Exact | None
    volume: int | None
    source: str
    fetched_at: Moment = Field(description="When this very version of it was first seen.")


class PriceDetail(PriceStanding):
    """The prices of one instrument, with what was held back and what was restated."""

    held_prices: list[HeldPrice]
    restatements: list[Restatement]
    splits: list[PriceSplit] = Field(description="The newest first.")
    bars: list[PriceBar] = Field(description="The newest thirty, the newest first.")


class HeldDecision(Input):
    """What a held bar is."""

    decision: Literal["release", "reject"]


class PriceRefresh(Output):
    """A fetch is asked for."""

    ticker: str
    next_fetch_at: Moment


class PriceSourceState(Output):
    """How a price source is doing."""

    name: str
    failures: int = Field(description="Of the source itself, in a row; a ticker that it does not know is none.")
    out_until: Moment | None = Field(description="It is left alone until then; null: it is in service.")
    last_error: str | None
    last_error_at: Moment | None
    last_answer_at: Moment | None


class PriceSourceList(Output):
    """In the order in which they are asked."""

    items: list[PriceSourceState]
