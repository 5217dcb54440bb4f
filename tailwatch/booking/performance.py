"""The return of a stored portfolio, from its entries and the closes of every day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date
from math import isfinite

from sqlalchemy import Connection

from tailwatch.book.currencies import major
from tailwatch.book.daily import Closes, daily
from tailwatch.book.entries import Entry
from tailwatch.book.performance import annualised, money_weighted, time_weighted
from tailwatch.book.splits import SplitEvent
from tailwatch.booking.entries import load_entries
from tailwatch.market.history import load_closes
from tailwatch.market.quotes import load_splits
from tailwatch.market.rates import Rates, load_rates


@dataclass(frozen=True)
class Entries:
    """A portfolio's entries with all that values them: what `measure` needs, and no connection."""

    entries: list[Entry]
    splits: dict[str, list[SplitEvent]]
    closes: dict[str, Closes]
    rates: Rates


def load(
    connection: Connection, portfolio_id: int, base_currency: str, since: date | None, until: date
) -> Entries | None:
    """Read a portfolio's entries, prices and rates; None if there is no entry."""
    entries, instrument_ids = load_entries(connection, portfolio_id)
    if not entries:
        return None
    first = entries[0].executed_at.astimezone(UTC).date()
    closes = load_closes(connection, instrument_ids, max(first, since or first), until)
    currencies = {entry.currency for entry in entries} | {major(one.currency)[0] for one in closes.values()}
    return Entries(
        entries,
        load_splits(connection, instrument_ids),
        closes,
        load_rates(connection, currencies, base_currency),
    )


@dataclass(frozen=True)
class Performance:
    """Returns over a period, as fractions, and the days that they are made of, in base currency.

    Attributes:
        days: Rising; the first one is where it begins.
        values: At the end of each day.
        flows: What the owner put in on each day, net of what they took out.
        growth: Time-weighted return since the first day; None where there is none.
        left_out: Why an instrument or cash is not looked at, by ticker or currency.
        unvalued_until: The last day for want of whose rates or prices it begins later; None: it does not.
        time_weighted: Over the whole period; None where some day has none.
        money_weighted: Over the whole period; None where no rate, or more than one, answers the flows.
        time_weighted_annualised: One a year; None for less than a year.
        money_weighted_annualised: Likewise.
    """

    days: list[date]
    values: list[float]
    flows: list[float]
    growth: list[float | None]
    left_out: dict[str, str]
    unvalued_until: date | None
    time_weighted: float | None
    money_weighted: float | None
    time_weighted_annualised: float | None
    money_weighted_annualised: float | None


def measure(
    found: Entries, *, base_currency: str, counts_cash: bool, since: date | None, until: date
) -> Performance | None:
    """Return what a portfolio returned; None where there is nothing to value."""
    valued = daily(
        found.entries,
        found.splits,
        found.closes,
        base_currency=base_currency,
        rates=found.rates,
        counts_cash=counts_cash,
        since=since,
        until=until,
    )
    if valued is None:
        return None
    # Of a portfolio that is left out altogether there is nothing to say.
    something = valued.values.any() or valued.flows.any()
    found_growth = time_weighted(valued.values, valued.flows).tolist()
    growth = [one if something and isfinite(one) else None for one in found_growth]
    days: list[date] = valued.days.astype(object).tolist()
    total, owner_s = growth[-1], money_weighted(valued.days, valued.values, valued.flows)
    return Performance(
        days=days,
        values=valued.values.tolist(),
        flows=valued.flows.tolist(),
        growth=growth,
        left_out=valued.left_out,
        unvalued_until=valued.unvalued_until,
        time_weighted=total,
        money_weighted=owner_s,
        time_weighted_annualised=annualised(total, days[0], days[-1]),
        money_weighted_annualised=annualised(owner_s, days[0], days[-1]),
    )
