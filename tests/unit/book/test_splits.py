from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book.entries import Entry, EntryType
from tailwatch.book.ledger import book
from tailwatch.book.splits import SplitEvent, quantity_today, split_adjusted

D = Decimal
FIRST = date(2020, 1, 1)

days = st.integers(0, 40).map(lambda number: FIRST + timedelta(days=number))
ratios = st.sampled_from(["2", "4", "1.5", "0.1", "0.3333333333", "0.1428571429", "1.281"]).map(D)
all_splits = st.lists(st.builds(SplitEvent, days, ratios), max_size=3, unique_by=lambda split: split.day)
all_lots = st.lists(st.tuples(days, st.decimals("-1000", "1000", places=6).filter(bool)), max_size=10)


def test_only_later_splits_count_and_each_once() -> None:
    splits = [SplitEvent(date(2020, 8, 31), D(4)), SplitEvent(date(2014, 6, 9), D(7))]
    assert split_adjusted(D(1), date(2014, 6, 8), splits) == 28
    assert split_adjusted(D(1), date(2014, 6, 9), splits) == 4
    assert split_adjusted(D(1), date(2020, 8, 31), splits) == 1
    assert split_adjusted(D("0.25"), date(2020, 8, 31), []) == D("0.25")


@given(all_lots, all_splits)
def test_the_worker_and_the_ledger_hold_the_same_quantity(
    lots: list[tuple[date, Decimal]], splits: list[SplitEvent]
) -> None:
    trades = [
        Entry(
            EntryType.BUY if quantity > 0 else EntryType.SELL,
            datetime.combine(day, time(15), UTC),
            "USD",
            "KO",
            quantity,
            D(1),
            id=number,
        )
        for number, (day, quantity) in enumerate(lots)
    ]
    in_ledger = sum(
        (position.quantity for position in book(trades, {"KO": splits}, base_currency="USD").positions), D(0)
    )
    assert abs(quantity_today(lots, splits) - in_ledger) <= D("1e-9")


@given(all_lots, all_splits)
def test_what_is_closed_before_a_split_stays_closed(
    lots: list[tuple[date, Decimal]], splits: list[SplitEvent]
) -> None:
    last = FIRST + timedelta(days=50)
    closing = (last, -sum((quantity for _, quantity in lots), D(0)))
    later = [SplitEvent(last + timedelta(days=1 + number), split.ratio) for number, split in enumerate(splits)]
    assert quantity_today([*lots, closing], later) == 0
