"""Returns: daily values and flows from entries, and the two rates made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pytest
import pyxirr
from hypothesis import assume, given
from hypothesis import strategies as st

from tailwatch.book.daily import Closes, Daily, daily
from tailwatch.book.entries import Entry, EntryType
from tailwatch.book.performance import annualised, money_weighted, time_weighted
from tailwatch.book.splits import SplitEvent

FIRST = date(2024, 1, 1)
D = Decimal


class Euros:
    """Rates of a book in dollars in which euros have the given ones."""

    def __init__(self, rates: Mapping[date, Decimal] | None = None) -> None:
        self.rates = rates or {}

    def rate(self, currency: str, day: date) -> Decimal | None:
        return D(1) if currency == "USD" else self.rates.get(day)

    def newest(self, currency: str) -> Decimal | None:
        return D(1) if currency == "USD" else None


def days(n: int) -> npt.NDArray[np.datetime64]:
    return np.datetime64(FIRST, "D") + np.arange(n)


def at(n: int) -> datetime:
    return datetime(2024, 1, 1, 15, tzinfo=UTC) + timedelta(days=n)


def closes(*values: float, start: int = 0, currency: str = "USD") -> Closes:
    return Closes(currency, days(start + len(values))[start:], np.array(values, float))


def buy(n: int, quantity: str, price: str, *, fee: str = "0") -> Entry:
    kind = EntryType.BUY if D(quantity) > 0 else EntryType.SELL
    return Entry(kind, at(n), "USD", "A", D(quantity), D(price), fee=D(fee), id=n)


def deposit(n: int, amount: str) -> Entry:
    return Entry(EntryType.DEPOSIT, at(n), "USD", amount=D(amount), id=n)


def measured(
    entries: Sequence[Entry],
    prices: Mapping[str, Closes],
    *,
    splits: Mapping[str, Sequence[SplitEvent]] | None = None,
    cash: bool = False,
    since: date | None = None,
    until: date = FIRST + timedelta(days=400),
    rates: Euros | None = None,
) -> Daily:
    found = daily(
        entries,
        splits or {},
        prices,
        base_currency="USD",
        rates=rates or Euros(),
        counts_cash=cash,
        since=since,
        until=until,
    )
    assert found is not None
    return found


def test_without_cash_the_purchase_is_what_came() -> None:
    found = measured([buy(1, "10", "100"), buy(3, "-4", "130")], {"A": closes(90, 110, 120, 130, 91)})
    assert found.values.tolist() == [0, 1100, 1200, 780, 546]
    assert found.flows.tolist() == [0, 1000, 0, -520, 0]
    assert time_weighted(found.values, found.flows)[-1] == pytest.approx(1.1 * 120 / 110 * 130 / 120 * 91 / 130 - 1)


def test_a_fee_is_a_loss_and_a_dividend_a_gain() -> None:
    dividend = Entry(EntryType.DIVIDEND, at(2), "USD", "A", amount=D(101), id=2)
    found = measured([buy(1, "10", "100", fee="10"), dividend], {"A": closes(100, 100, 90.9)})
    returns = time_weighted(found.values, found.flows)
    assert returns[1] == pytest.approx(1000 / 1010 - 1)
    assert returns[2] == pytest.approx(0)


def test_with_cash_only_deposits_come() -> None:
    entries = [deposit(1, "2000"), buy(2, "10", "100"), buy(3, "-10", "120")]
    found = measured(entries, {"A": closes(100, 100, 110, 120, 60)}, cash=True)
    assert found.values.tolist() == [0, 2000, 2100, 2200, 2200]
    assert found.flows.tolist() == [0, 2000, 0, 0, 0]
    assert time_weighted(found.values, found.flows)[-1] == pytest.approx(0.1)
    assert money_weighted(found.days, found.values, found.flows) == pytest.approx(0.1)


def test_a_split_moves_nothing() -> None:
    four = {"A": [SplitEvent(FIRST + timedelta(days=2), D(4))]}
    found = measured([buy(1, "10", "100")], {"A": closes(25, 25, 25, 26)}, splits=four)
    assert found.values.tolist() == [0, 1000, 1000, 1040]
    assert found.flows.tolist() == [0, 1000, 0, 0]


def test_a_transfer_comes_at_its_value_of_that_day() -> None:
    transfer = Entry(EntryType.TRANSFER_IN, at(1), "USD", "A", D(10), D(1), id=1)
    found = measured([transfer], {"A": closes(100, 100, 110)})
    assert found.flows.tolist() == [0, 1000, 0]
    assert time_weighted(found.values, found.flows)[-1] == pytest.approx(0.1)


def test_what_has_no_price_is_left_out_and_what_it_cost_is_money_that_goes() -> None:
    found = measured([deposit(1, "2000"), buy(2, "10", "100")], {"B": closes(1, 1, 1, 1)}, cash=True)
    assert list(found.left_out) == ["A"]
    assert found.flows.tolist() == [0, 2000, -1000, 0]
    assert time_weighted(found.values, found.flows)[-1] == pytest.approx(0)


def test_before_the_first_close_the_last_price_paid_counts() -> None:
    found = measured([buy(0, "10", "100"), buy(1, "10", "110")], {"A": closes(121, start=3)})
    assert found.values.tolist() == [0, 1000, 2200, 2420]
    assert time_weighted(found.values, found.flows)[-1] == pytest.approx(2200 / 2100 * 1.1 - 1)


def test_a_period_begins_with_its_first_days_value() -> None:
    found = measured(
        [buy(0, "10", "100")],
        {"A": closes(100, 110, 121, 133.1)},
        since=FIRST + timedelta(days=1),
        until=FIRST + timedelta(days=2),
    )
    assert found.values.tolist() == [1100, 1210]
    assert found.flows.tolist() == [0, 0]


def test_pence_are_valued_in_pounds_from_the_first_rate_on() -> None:
    rates = Euros({FIRST + timedelta(days=n): D(2) for n in (2, 3, 4)})
    prices = {"A": closes(100, 100, 100, 110, 121, currency="GBp")}
    found = measured([buy(0, "10", "1")], prices, rates=rates, until=FIRST + timedelta(days=9))
    assert found.values == pytest.approx([20, 22, 24.2])
    assert found.unvalued_until == FIRST + timedelta(days=1)


def test_days_with_nothing_at_work_have_no_return() -> None:
    values = np.array([0, 100, 110, 0, 0, 50, 60.0])
    flows = np.array([0, 100, 0, -121, 0, 50, 0.0])
    assert time_weighted(values, flows)[-1] == pytest.approx(1.1 * 1.1 * 1.2 - 1)


def test_more_than_everything_lost_has_no_return() -> None:
    returns = time_weighted(np.array([100, 120, -5, 80.0]), np.zeros(4))
    assert returns[1] == pytest.approx(0.2)
    assert np.isnan(returns[2:]).all()


def test_everything_lost_is_minus_one_both_ways() -> None:
    assert time_weighted(np.array([100, 0.0]), np.zeros(2))[-1] == -1
    assert money_weighted(days(2), np.array([100, 0.0]), np.zeros(2)) == -1


@given(st.lists(st.tuples(st.integers(-90, 200), st.floats(0.9, 1.1)), min_size=2, max_size=60))
def test_the_money_weighted_return_is_pyxirrs(steps: list[tuple[int, float]]) -> None:
    value, values, flows = 100.0, [100.0], [0.0]
    for wanted, growth in steps:
        flow = max(wanted, -0.8 * value) if abs(wanted) > 20 else 0.0
        value = (value + max(flow, 0)) * growth - max(-flow, 0)
        assume(value > 1)
        values.append(value)
        flows.append(flow)
    n = len(values)
    # pyxirr's amounts are at the ends of periods: what comes at the start of a day came at the end of the one before.
    amounts = np.zeros(n)
    amounts[0] = -100
    for i, flow in enumerate(flows):
        amounts[i - 1 if flow > 0 else i] -= flow
    amounts[-1] += values[-1]
    rate = pyxirr.irr(amounts)
    found = money_weighted(days(n), np.array(values), np.array(flows))
    assume(found is not None and rate is not None)
    assert rate is not None
    assume(abs(float(pyxirr.npv(rate, amounts) or 0.0)) < 1e-6)
    assert found == pytest.approx((1 + rate) ** (n - 1) - 1, rel=1e-6, abs=1e-8)


@given(st.lists(st.floats(0.8, 1.2), min_size=1, max_size=50))
def test_money_that_comes_once_and_stays_has_one_return(growths: list[float]) -> None:
    values = np.concatenate([[0.0], 100 * np.cumprod(growths)])
    flows = np.zeros(len(values))
    flows[1] = 100
    money = money_weighted(days(len(values)), values, flows)
    assert money == pytest.approx(time_weighted(values, flows)[-1], rel=1e-9, abs=1e-9)


def test_only_more_than_a_year_is_annualised() -> None:
    assert annualised(0.21, date(2022, 1, 1), date(2024, 1, 1)) == pytest.approx(0.1, abs=1e-4)
    assert annualised(0.21, date(2023, 6, 1), date(2024, 1, 1)) is None
