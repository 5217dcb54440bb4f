"""What a book was worth at the end of each day, and what its owner put in or took out that day."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import accumulate

import numpy as np

from tailwatch.book.currencies import Rates, major
from tailwatch.book.entries import EXTERNAL, TRANSFERS, Entry
from tailwatch.book.exact import PRECISION, ZERO, to_stored_places
from tailwatch.book.performance import Days, Floats
from tailwatch.book.splits import SplitEvent


@dataclass(frozen=True, eq=False)
class Closes:
    """Closing prices of an instrument.

    Attributes:
        currency: As the source names it.
        days: (N,) rising.
        closes: (N,) of today's shares.
    """

    currency: str
    days: Days
    closes: Floats


@dataclass(frozen=True, eq=False)
class Daily:
    """Values and flows in base currency.

    Attributes:
        days: (N,) rising; the first one is where it begins, and its flow is none.
        values: (N,) at the end of each day.
        flows: (N,) what the owner put in, net of what they took out.
        left_out: Why an instrument (by ticker) or cash (by currency) is not looked at, in a sentence.
        unvalued_until: The last day for want of whose rates or prices it begins later than it was to; None: it does
            not.
    """

    days: Days
    values: Floats
    flows: Floats
    left_out: dict[str, str]
    unvalued_until: date | None


def daily(
    entries: Iterable[Entry],
    splits: Mapping[str, Sequence[SplitEvent]],
    closes: Mapping[str, Closes],
    *,
    base_currency: str,
    rates: Rates,
    counts_cash: bool,
    since: date | None = None,
    until: date,
) -> Daily | None:
    """Value a book day by day, on every day that has a price or an entry.

    Where cash counts, the owner's money comes and goes with deposits, withdrawals and transfers, these at the value
    of their shares that day. Where it does not, the portfolio is its shares: what was paid for them is what came,
    what they were sold for or paid out is what went, and cash that has to do with none of them is not looked at.
    An instrument without any price or rate is left out, and so what is paid for it is money that goes.

    Before its first price an instrument is worth what was last paid for it.

    Args:
        entries: Of one portfolio, in any order.
        splits: By ticker.
        closes: By ticker, with the last one before `since`.
        base_currency: Of the portfolio.
        rates: Into the base currency.
        counts_cash: Whether cash is part of the value.
        since: The day whose closing value it begins with; None, or before the first entry: nothing, on the day before
            that.
        until: The last day.

    Returns:
        None where there is nothing to value.
    """
    booked = sorted((one for one in entries if _day(one) <= until), key=lambda one: (one.executed_at, one.id))
    if not booked:
        return None
    first = _day(booked[0])
    begin = since if since is not None and since >= first else first - timedelta(days=1)
    if begin >= until:
        return None
    valuer = _Valuer(_grid(booked, closes, begin, until), base_currency, rates)
    with localcontext(prec=PRECISION):
        for entry in booked:
            valuer.take(entry, splits)
        values = valuer.values(closes, counts_cash=counts_cash)
        flows = valuer.flows(booked, splits, counts_cash=counts_cash)
    return _known(valuer, values, flows)


def _known(valuer: _Valuer, values: Floats, flows: Floats) -> Daily | None:
    """Return the days after the last one of which something is not known."""
    flows[0] = 0.0
    unknown = np.flatnonzero(~np.isfinite(values) | ~np.isfinite(flows))
    start = int(unknown[-1]) + 1 if unknown.size else 0
    if start >= len(values) - 1:
        return None
    flows[start] = 0.0
    before: date | None = valuer.grid[start - 1].astype(object) if start else None
    return Daily(valuer.grid[start:], values[start:], flows[start:], valuer.left_out, before)


def _day(entry: Entry) -> date:
    return entry.executed_at.astimezone(UTC).date()


def _grid(booked: Sequence[Entry], closes: Mapping[str, Closes], begin: date, until: date) -> Days:
    days = [np.array([begin, *{_day(one) for one in booked}], dtype="datetime64[D]")]
    every = np.unique(np.concatenate([*days, *(one.days for one in closes.values())]))
    chosen: Days = every[(every >= np.datetime64(begin, "D")) & (every <= np.datetime64(until, "D"))]
    return chosen


@dataclass
class _Held:
    """The entries of one instrument: shares by day, and what was paid for one of them, both in today's shares."""

    shares: dict[date, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    paid: list[tuple[date, Decimal, str]] = field(default_factory=list)


class _Valuer:
    """Puts entries, prices and rates on one grid of days."""

    def __init__(self, grid: Days, base_currency: str, rates: Rates) -> None:
        self.grid = grid
        self.left_out: dict[str, str] = {}
        self._base_currency = base_currency
        self._rates = rates
        self._days: list[date] = grid.astype(object).tolist()
        self._held: dict[str, _Held] = {}
        self._cash: dict[str, dict[date, Decimal]] = {}
        self._known_rates: dict[str, Floats] = {}
        #: Base currency for one of today's shares, by ticker of those that are looked at.
        self._prices: dict[str, Floats] = {}

    def take(self, entry: Entry, splits: Mapping[str, Sequence[SplitEvent]]) -> None:
        """Add an entry's shares and cash."""
        day = _day(entry)
        cash = self._cash.setdefault(entry.currency, defaultdict(Decimal))
        cash[day] += entry.cash
        if entry.ticker is None:
            return
        held = self._held.setdefault(entry.ticker, _Held())
        if entry.quantity is not None and entry.price is not None:
            factor = _factor(splits.get(entry.ticker, ()), day)
            held.shares[day] += entry.quantity * factor.numerator / factor.denominator
            held.paid.append((day, entry.price * factor.denominator / factor.numerator, entry.currency))

    def values(self, closes: Mapping[str, Closes], *, counts_cash: bool) -> Floats:
        """Return the value at the end of each day; NaN where a price or a rate is not known."""
        total = np.zeros(len(self.grid))
        for ticker, held in self._held.items():
            price = self._price(ticker, held, closes.get(ticker))
            if price is None:
                continue
            self._prices[ticker] = price
            total += _worth(self._on_grid(held.shares), price)
        for currency, moved in self._cash.items() if counts_cash else ():
            rate = self._rate(currency)
            if np.isfinite(rate).any():
                total += _worth(self._on_grid(moved), rate)
            else:
                self.left_out[currency] = f"The exchange rate from {currency} to {self._base_currency} is not known."
        return total

    def flows(
        self, booked: Iterable[Entry], splits: Mapping[str, Sequence[SplitEvent]], *, counts_cash: bool
    ) -> Floats:
        """Return what came on each day, net of what went; after `values`."""
        total = np.zeros(len(self.grid))
        for entry in booked:
            place = bisect_right(self._days, _day(entry)) - 1
            # What was booked up to the first day is in its value.
            if place > 0:
                in_cash = counts_cash and entry.currency not in self.left_out
                flow = self._with_cash(entry, place, splits) if in_cash else self._without_cash(entry, place, splits)
                total[place] += flow
        return total

    def _with_cash(self, entry: Entry, place: int, splits: Mapping[str, Sequence[SplitEvent]]) -> float:
        if entry.type in TRANSFERS:
            return self._worth_of(entry, place, splits)
        if entry.type in EXTERNAL:
            # Its fee is no money that left the portfolio for the owner, but a cost of it.
            return float(entry.cash + entry.fee + entry.tax) * float(self._rate(entry.currency)[place])
        if entry.ticker is not None and entry.ticker not in self._prices:
            return float(entry.cash) * float(self._rate(entry.currency)[place])
        return 0.0

    def _without_cash(self, entry: Entry, place: int, splits: Mapping[str, Sequence[SplitEvent]]) -> float:
        if entry.ticker is None or entry.ticker not in self._prices:
            return 0.0
        rate = float(self._rate(entry.currency)[place])
        if not np.isfinite(rate) and entry.fx_rate is not None:
            rate = float(entry.fx_rate)
        if entry.type in TRANSFERS:
            charges = float(entry.fee + entry.tax)
            return self._worth_of(entry, place, splits) + (charges * rate if charges else 0.0)
        return -float(entry.cash) * rate

    def _worth_of(self, entry: Entry, place: int, splits: Mapping[str, Sequence[SplitEvent]]) -> float:
        if entry.ticker not in self._prices or entry.ticker is None:
            return 0.0
        shares = (entry.quantity or ZERO) * _decimal(_factor(splits.get(entry.ticker, ()), _day(entry)))
        return float(shares) * float(self._prices[entry.ticker][place])

    def _price(self, ticker: str, held: _Held, closes: Closes | None) -> Floats | None:
        if closes is None or not closes.days.size:
            self.left_out[ticker] = f"There is no price of {ticker}."
            return None
        currency, unit = major(closes.currency)
        rate = self._rate(currency)
        if not np.isfinite(rate).any():
            self.left_out[ticker] = f"The exchange rate from {currency} to {self._base_currency} is not known."
            return None
        place = np.searchsorted(closes.days, self.grid, side="right") - 1
        price = np.where(place >= 0, closes.closes[place], np.nan) * float(unit) * rate
        for day, paid, paid_in in held.paid:
            if np.datetime64(day, "D") >= closes.days[0]:
                break
            unpriced = (place < 0) & (self.grid >= np.datetime64(day, "D"))
            price[unpriced] = float(paid) * self._rate(paid_in)[unpriced]
        return price

    def _rate(self, currency: str) -> Floats:
        """Return base currency for one unit on each day, the last known one where there is none of that day."""
        if currency not in self._known_rates:
            found = [self._rates.rate(currency, day) for day in self._days]
            rates = np.array([np.nan if one is None else float(one) for one in found])
            if currency == self._base_currency:
                rates = np.ones(len(self._days))
            newest = np.maximum.accumulate(np.where(np.isfinite(rates), np.arange(len(rates)), 0))
            self._known_rates[currency] = rates[newest]
        return self._known_rates[currency]

    def _on_grid(self, moved: Mapping[date, Decimal]) -> Floats:
        """Return the sum of what moved up to and on each day."""
        days = sorted(moved)
        sums = [to_stored_places(each) for each in accumulate(moved[day] for day in days)]
        held = np.array([0.0, *map(float, sums)])
        on_grid: Floats = held[np.searchsorted(np.array(days, dtype="datetime64[D]"), self.grid, side="right")]
        return on_grid


def _worth(amounts: Floats, prices: Floats) -> Floats:
    # What is not held needs no price.
    worth: Floats = np.where(amounts == 0, 0.0, amounts * prices)
    return worth


def _factor(splits: Sequence[SplitEvent], day: date) -> Fraction:
    """Return how many of today's shares one share of that day has become."""
    factor = Fraction(1)
    for split in splits:
        if split.day > day:
            factor *= split.exact_ratio
    return factor


def _decimal(ratio: Fraction) -> Decimal:
    return Decimal(ratio.numerator) / ratio.denominator
