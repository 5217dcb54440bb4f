from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book.entries import Entry, EntryType
from tailwatch.book.ledger import Position
from tailwatch.book.ledger import book as booked
from tailwatch.book.splits import SplitEvent, quantity_today

D = Decimal
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
#: What rounding two amounts to ten places may leave.
LAST_PLACE = D("2e-10")


def trade(
    quantity: str,
    price: str,
    fee: str = "0",
    *,
    number: int = 1,
    at: datetime = NOON,
    ticker: str = "KO",
    currency: str = "USD",
) -> Entry:
    kind = EntryType.BUY if D(quantity) > 0 else EntryType.SELL
    return Entry(kind, at, currency, ticker, D(quantity), D(price), fee=D(fee), id=number)


def positions(trades: Iterable[Entry], splits: Mapping[str, Sequence[SplitEvent]] | None = None) -> list[Position]:
    return booked(trades, splits, base_currency="USD").positions


def book(*trades: Entry, splits: Iterable[SplitEvent] = ()) -> Position:
    [position] = positions(trades, {"KO": list(splits)})
    return position


def test_a_purchase_costs_its_amount_and_its_fee() -> None:
    position = book(trade("10", "62.609", "1.5"))
    assert (position.quantity, position.total_cost, position.fees) == (D(10), D("627.59"), D("1.5"))
    assert position.average_cost == D("62.759")
    assert position.realized_pnl == 0


def test_purchases_average_and_a_sale_leaves_the_average() -> None:
    position = book(trade("10", "60", number=1), trade("30", "64", number=2), trade("-20", "70", "2", number=3))
    assert position.quantity == 20
    assert position.average_cost == 63
    assert position.realized_pnl == 20 * (70 - 63) - 2
    assert position.trades == 3


def test_a_short_sale_brings_its_proceeds_after_fees_and_covering_it_realises_the_rest() -> None:
    short = book(trade("-10", "50", "5"))
    assert (short.quantity, short.total_cost, short.average_cost) == (D(-10), D(-495), D("49.5"))
    covered = book(trade("-10", "50", "5", number=1), trade("10", "40", "5", number=2))
    assert (covered.quantity, covered.total_cost, covered.average_cost) == (D(0), D(0), None)
    assert covered.realized_pnl == 100 - 10


@pytest.mark.parametrize("sign", [1, -1])
def test_a_trade_through_zero_closes_one_side_and_opens_the_other(sign: int) -> None:
    position = book(trade(str(10 * sign), "50", number=1), trade(str(-15 * sign), "60", "3", number=2))
    assert position.quantity == -5 * sign
    # 10 of 15 shares close, with two thirds of the fee; 5 open, with a third.
    assert position.realized_pnl == sign * 100 - 2
    assert position.total_cost == -sign * 300 + 1


def test_a_third_of_a_share_is_sold_without_leaving_dust() -> None:
    thirds = [trade("-0.3333333333", "9", number=number) for number in (2, 3, 4)]
    position = book(trade("0.9999999999", "7", number=1), *thirds)
    assert (position.quantity, position.total_cost, position.average_cost) == (D(0), D(0), None)
    assert position.realized_pnl == D("0.9999999999") * 2


def test_the_largest_amounts_keep_their_last_digit() -> None:
    quantity, price, fee = "999999999999.0000000001", "999999999999.1", "0.0000000001"
    position = book(trade(quantity, "999999999999", fee))
    assert position.total_cost == D("999999999998000000000101")
    closed = book(trade(quantity, price, number=1), trade(f"-{quantity}", price, number=2))
    assert (closed.quantity, closed.total_cost, closed.realized_pnl) == (D(0), D(0), D(0))


def test_time_orders_trades_and_the_id_does_among_equals() -> None:
    bought = [trade("10", "50", number=7), trade("10", "60", number=8, at=NOON + timedelta(hours=1))]
    sold_between = trade("-10", "70", number=9)
    assert book(*bought, sold_between).realized_pnl == 200, "sold before the dearer lot was bought"
    sold_after = trade("-10", "70", number=9, at=NOON + timedelta(hours=2))
    assert book(*bought, sold_after).realized_pnl == 150
    for order in permutations([*bought, sold_between]):
        assert book(*order) == book(*bought, sold_between)


def test_positions_come_by_ticker_and_closed_ones_stay() -> None:
    found = positions([trade("1", "2", ticker="XOM"), trade("1", "2"), trade("-1", "3", number=2)])
    assert [(p.ticker, p.quantity, p.realized_pnl) for p in found] == [("KO", D(0), D(1)), ("XOM", D(1), D(0))]


def test_trades_in_several_currencies_keep_the_quantity_and_say_so() -> None:
    position = book(trade("10", "50", number=1), trade("-4", "45", currency="EUR", number=2))
    assert (position.quantity, position.currency, position.mixed_currencies) == (D(6), "USD", True)
    assert not book(trade("10", "50")).mixed_currencies


def test_a_split_scales_what_was_booked_before_it_once_and_not_what_was_paid() -> None:
    split = SplitEvent(NOON.date() + timedelta(days=10), D(4))
    after = NOON + timedelta(days=10)
    before = [trade("10", "400", number=1), trade("-4", "440", number=2)]
    position = book(*before, trade("6", "110", number=3, at=after), splits=[split])
    assert position.quantity == 4 * 6 + 6
    assert position.total_cost == 2400 + 660
    assert position.realized_pnl == 160
    assert book(*before, splits=[split]).average_cost == 100


def test_a_trade_on_the_day_of_the_split_is_in_new_shares() -> None:
    assert book(trade("10", "100"), splits=[SplitEvent(NOON.date(), D(4))]).quantity == 10


@pytest.mark.parametrize(
    ("ratio", "held", "becomes"),
    [
        ("1.5", "10", "15"),
        ("0.1", "25", "2.5"),
        ("0.3333333333", "300", "100"),
        ("0.6666666667", "3000", "2000"),
        ("1.281", "1000", "1281"),
    ],
)
def test_ratios_that_ten_places_cut_are_taken_for_what_they_were(ratio: str, held: str, becomes: str) -> None:
    split = SplitEvent(NOON.date() + timedelta(days=1), D(ratio))
    assert book(trade(held, "1"), splits=[split]).quantity == D(becomes)


def test_what_was_closed_before_a_split_is_nothing_after_it() -> None:
    split = SplitEvent(NOON.date() + timedelta(days=1), D("0.1428571429"))
    lots = [trade("10", "7", number=1), trade("5", "7", number=2), trade("-15", "8", number=3)]
    position = book(*lots, splits=[split])
    assert (position.quantity, position.total_cost, position.realized_pnl) == (D(0), D(0), D(15))
    assert quantity_today([(line.executed_at.date(), line.quantity or D(0)) for line in lots], [split]) == 0


def test_the_remainder_of_a_split_goes_with_the_last_share_that_can_be_sold() -> None:
    split = SplitEvent(NOON.date() + timedelta(days=1), D("0.3333333333"))
    position = book(
        trade("10", "3", number=1),
        trade("-3.3333333333", "10", number=2, at=NOON + timedelta(days=2)),
        splits=[split],
    )
    assert (position.quantity, position.total_cost) == (D(0), D(0))
    assert position.realized_pnl == D("33.333333333") - 30


# --- what holds for every book ---

amounts = st.decimals("0.01", "10000", places=4)
quantities = st.decimals("-1000", "1000", places=6).filter(lambda quantity: quantity != 0)


@st.composite
def books(draw: st.DrawFn) -> list[Entry]:
    """Trades of two tickers on few days, so that many share their moment."""
    return [
        Entry(
            type=EntryType.BUY if (quantity := draw(quantities)) > 0 else EntryType.SELL,
            ticker=draw(st.sampled_from(["KO", "XOM"])),
            quantity=quantity,
            price=draw(amounts),
            fee=draw(st.decimals("0", "20", places=2)),
            currency="USD",
            executed_at=NOON + timedelta(days=draw(st.integers(0, 5))),
            id=number,
        )
        for number in range(1, draw(st.integers(1, 12)) + 1)
    ]


@given(books())
def test_the_quantity_is_the_sum_of_the_trades(trades: list[Entry]) -> None:
    for position in positions(trades):
        assert position.quantity == sum(t.quantity or 0 for t in trades if t.ticker == position.ticker)


ratios = st.sampled_from(["2", "4", "1.5", "0.1", "0.3333333333", "0.1428571429", "1.281"]).map(D)
split_lists = st.dictionaries(st.integers(-1, 7), ratios, max_size=4).map(
    lambda found: [SplitEvent(NOON.date() + timedelta(days=day), ratio) for day, ratio in found.items()]
)


@given(books(), amounts, split_lists)
def test_profit_is_market_value_less_net_cash_paid(
    trades: list[Entry], price: Decimal, splits: list[SplitEvent]
) -> None:
    """Whatever is split in between: a split moves no money."""
    for position in positions(trades, {"KO": splits, "XOM": splits}):
        paid = -sum(t.cash for t in trades if t.ticker == position.ticker)
        unrealized = position.quantity * price - position.total_cost
        assert abs(position.realized_pnl + unrealized - (position.quantity * price - paid)) <= LAST_PLACE


@given(books())
def test_a_long_position_never_has_a_negative_cost_and_a_closed_one_has_none(trades: list[Entry]) -> None:
    for position in positions(trades):
        if position.quantity > 0:
            assert position.total_cost >= 0
        if position.quantity == 0:
            assert position.total_cost == 0


@given(books(), st.randoms())
def test_the_order_of_reading_does_not_matter(trades: list[Entry], random: Random) -> None:
    shuffled = list(trades)
    random.shuffle(shuffled)
    assert positions(shuffled) == positions(trades)


@given(books(), st.data())
def test_one_lot_in_two_parts_changes_nothing(trades: list[Entry], data: st.DataObject) -> None:
    """Twins of half the quantity and fee in one's place, at the same moment and with neighbouring ids."""
    index = data.draw(st.integers(0, len(trades) - 1))
    spaced = [_with(t, id=2 * t.id) for t in trades]
    lot = spaced[index]
    halves = [
        _with(lot, quantity=(lot.quantity or D(0)) / 2, fee=lot.fee / 2),
        _with(lot, quantity=(lot.quantity or D(0)) / 2, fee=lot.fee / 2, id=lot.id + 1),
    ]
    whole, parts = positions(spaced), positions([*spaced[:index], *halves, *spaced[index + 1 :]])
    for one, other in zip(whole, parts, strict=True):
        assert one.quantity == other.quantity
        assert abs(one.total_cost - other.total_cost) <= LAST_PLACE
        assert abs(one.realized_pnl - other.realized_pnl) <= LAST_PLACE


@given(books(), st.integers(1, 10), st.integers(1, 10))
def test_a_split_scales_every_older_quantity_and_no_money(trades: list[Entry], new: int, old: int) -> None:
    day = date(2024, 6, 1)
    split = SplitEvent(day, D(new) / D(old))
    plain = {p.ticker: p for p in positions(trades)}
    for position in positions(trades, {"KO": [split], "XOM": [split]}):
        unsplit = plain[position.ticker]
        assert abs(position.quantity * old - unsplit.quantity * new) <= D("1e-8")
        assert abs(position.realized_pnl - unsplit.realized_pnl) <= LAST_PLACE


def _with(line: Entry, **changes: object) -> Entry:
    return replace(line, **changes)  # type: ignore[arg-type]
