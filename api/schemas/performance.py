"""What a portfolio has returned."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from api.schemas.base import Day, Input, Output


class PerformanceQuery(Input):
    """Which period."""

    from_: Day | None = Field(
        default=None, alias="from", description="Its closing value is the beginning. Left out: the first entry."
    )
    to: Day | None = Field(default=None, description="The last day. Left out: today.")


class PerformanceDay(Output):
    """One day of the series."""

    day: date
    value: float = Field(description="At the end of the day.")
    time_weighted: float | None = Field(description="Return since the first day, as a fraction.")


class Flow(Output):
    """Money of the owner."""

    day: date
    amount: float = Field(description="What came, net of what went.")


class LeftOut(Output):
    """What is not looked at."""

    name: str = Field(description="A ticker, or the currency of cash.")
    reason: str


class Performance(Output):
    """Returns as fractions over the whole period, amounts in base currency."""

    portfolio_id: int
    base_currency: str
    counts_cash: bool
    from_: date | None = Field(alias="from", description="Null where there is nothing to value.")
    to: date | None
    start_value: float | None
    end_value: float | None
    net_flow: float | None = Field(description="What the owner put in, net of what they took out.")
    profit: float | None = Field(description="End value less start value less net flow.")
    time_weighted: float | None = Field(description="Null where on some day no money of the owner was at work.")
    time_weighted_annualised: float | None = Field(description="Null for less than a year.")
    money_weighted: float | None = Field(description="Null where no rate, or more than one, answers the flows.")
    money_weighted_annualised: float | None
    flows: list[Flow] = Field(description="The newest 1,000 days with one.")
    series: list[PerformanceDay] = Field(
        description="At most 1,000 days, evenly chosen, the first and last included."
    )
    left_out: list[LeftOut]
    unvalued_until: date | None = Field(
        description="It begins after this day, for want of prices or rates up to then; null: it does not."
    )
