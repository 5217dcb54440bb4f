"""Entries of every type: cash, dividends, transfers, base amounts, and both cost bases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book.entries import OF_SHARES, OUTGOING, TRANSFERS, Entry, EntryType
from tailwatch.book.exact import PRECISION
from tailwatch.book.ledger import Book, CostBasis, Position
from tailwatch.book.ledger import book as booked
from tailwatch.book.splits import SplitEvent

D = Decimal
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
#: What rounding a handful of amounts to ten places may leave.
LAST_PLACES = D("1e-9")


class Rising:
    """A euro that costs a cent more every day, from 1.00 dollars on the first of March."""

    def rate(self, currency: str, day: date) -> Decimal | None:
        return D(1) + D((day - NOON.date()).days) / 100 if currency == "EUR" else None

    def newest(self, currency: str) -> Decimal | None:
        return D("1.5") if currency == "EUR" else None


def entry(kind: str, days: int = 0, *, ticker: str | None = "KO", currency: str = "USD", **amounts: str) -> Entry:
    exact = {name: D(amount) for name, amount in amounts.items()}
    return Entry(EntryType(kind), NOON + timedelta(days=days), currency, ticker, **exact)  # type: ignore[arg-type]


def book(*entries: Entry, cost_basis: CostBasis = CostBasis.AVERAGE, splits: list[SplitEvent] | None = None) -> Book:
    return booked(entries, {"KO": splits or []}, base_currency="USD", cost_basis=cost_basis, rates=Rising())


def only(found: Book) -> Position:
    [position] = found.positions
    return position


def test_what_was_bought_first_is_sold_first_or_a_part_of_everything() -> None:
    entries = [
        entry("buy", 0, quantity="10", price="50"),
        entry("buy", 1, quantity="10", price="70"),
        entry("sell", 2, quantity="-15", price="80"),
    ]
    first = only(book(*entries, cost_basis=CostBasis.FIFO))
    assert (first.realized_pnl, first.total_cost) == (D(10 * 30 + 5 * 10), D(350))
    average = only(book(*entries))
    assert (average.realized_pnl, average.total_cost) == (D(15 * 20), D(300))


def test_shorts_are_covered_in_the_order_in_which_they_were_opened() -> None:
    entries = [
        entry("short", 0, quantity="-10", price="50"),
        entry("short", 1, quantity="-10", price="70"),
        entry("cover", 2, quantity="12", price="40"),
    ]
    position = only(book(*entries, cost_basis=CostBasis.FIFO))
    assert (position.quantity, position.realized_pnl, position.total_cost) == (D(-8), D(10 * 10 + 2 * 30), D(-560))


def test_a_split_scales_every_lot() -> None:
    entries = [
        entry("buy", 0, quantity="10", price="60"),
        entry("buy", 1, quantity="10", price="90"),
        entry("sell", 9, quantity="-15", price="50"),
    ]
    split = [SplitEvent(NOON.date() + timedelta(days=5), D("1.5"))]
    position = only(book(*entries, cost_basis=CostBasis.FIFO, splits=split))
    assert (position.quantity, position.realized_pnl, position.average_cost) == (D(15), D(150), D(60))


def test_taxes_and_fees_cost_and_are_counted() -> None:
    position = only(
        book(
            entry("buy", quantity="10", price="50", fee="2", tax="3"),
            entry("sell", 1, quantity="-10", price="60", fee="1", tax="4"),
            entry("fee", 2, amount="7"),
        )
    )
    assert (position.realized_pnl, position.fees, position.taxes) == (D(100 - 5 - 5), D(10), D(7))


def test_a_dividend_is_income_and_leaves_the_cost_alone() -> None:
    found = book(
        entry("buy", quantity="10", price="50"),
        entry("dividend", 1, amount="20", tax="3", fee="1"),
        entry("dividend", 2, amount="-5"),
    )
    position = only(found)
    assert (position.dividends, position.total_cost, position.realized_pnl) == (D(11), D(500), D(0))
    assert found.cash == {"USD": D(-500 + 11)}


def test_cash_by_currency() -> None:
    found = book(
        entry("deposit", ticker=None, amount="1000"),
        entry("deposit", ticker=None, amount="500", currency="EUR"),
        entry("withdrawal", 1, ticker=None, amount="100", fee="1"),
        entry("interest", 1, ticker=None, amount="-4", currency="EUR"),
        entry("tax", 1, ticker=None, amount="-6"),
        entry("buy", 2, quantity="3", price="100", fee="2", currency="EUR"),
        entry("transfer_in", 3, quantity="5", price="90", fee="2"),
    )
    assert found.cash == {"USD": D(1000 - 101 + 6 - 2), "EUR": D(500 - 4 - 302)}


def test_a_transfer_carries_its_cost_and_earns_nothing() -> None:
    found = only(
        book(
            entry("transfer_in", 0, quantity="10", price="50"),
            entry("transfer_out", 1, quantity="-4", price="80"),
            entry("sell", 2, quantity="-1", price="60"),
        )
    )
    assert (found.quantity, found.total_cost, found.realized_pnl) == (D(5), D(250), D(10))


def test_each_entry_is_worth_its_own_day_in_base_currency() -> None:
    position = only(
        book(
            entry("buy", 0, quantity="10", price="50", currency="EUR"),
            entry("buy", 10, quantity="10", price="50", currency="EUR"),
            entry("dividend", 15, amount="10", currency="EUR"),
            entry("sell", 20, quantity="-10", price="60", currency="EUR", fx_rate="1.3"),
        )
    )
    assert (position.realized_pnl, position.total_cost) == (D(100), D(500))
    assert position.total_cost_base == 250 * D("1.00") + 250 * D("1.10")
    assert position.realized_pnl_base == 600 * D("1.3") - 525
    assert position.dividends_base == D("11.5")


def test_without_a_rate_there_are_no_base_amounts_and_it_says_of_which_currency() -> None:
    found = book(
        entry("buy", quantity="1", price="9", currency="CHF"),
        entry("buy", ticker="XOM", quantity="1", price="9"),
        entry("sell", 1, quantity="-1", price="10", currency="CHF"),
    )
    francs, dollars = found.positions
    assert (francs.realized_pnl, francs.realized_pnl_base) == (D(1), None)
    # What nothing is left of costs nothing, in whatever currency.
    assert (francs.total_cost_base, dollars.total_cost_base) == (D(0), D(9))
    assert found.missing_rates == ("CHF",)


# --- what holds for every book ---

amounts = st.decimals("0.01", "10000", places=4)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    made = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        kind = draw(st.sampled_from(list(EntryType)))
        members: dict[str, Decimal] = {"fee": draw(st.decimals("0", "20", places=2)), "tax": draw(st.just(D("0.5")))}
        if kind in OF_SHARES:
            size = draw(st.decimals("0.000001", "1000", places=6))
            members |= {"quantity": -size if kind in OUTGOING else size, "price": draw(amounts)}
        else:
            members["amount"] = draw(amounts)
        made.append(
            Entry(
                kind,
                NOON + timedelta(days=draw(st.integers(0, 5))),
                draw(st.sampled_from(["USD", "EUR"])),
                "KO",
                id=number,
                **members,  # type: ignore[arg-type]
            )
        )
    return made


bases = st.sampled_from(CostBasis)


@given(entries(), bases)
def test_cash_is_the_sum_of_what_each_entry_did(made: list[Entry], basis: CostBasis) -> None:
    found = book(*made, cost_basis=basis)
    with localcontext(prec=PRECISION):
        for currency, amount in found.cash.items():
            assert abs(amount - sum(one.cash for one in made if one.currency == currency)) <= LAST_PLACES


@given(entries().filter(lambda made: not any(one.type in TRANSFERS for one in made)), bases, amounts)
def test_profit_in_base_currency_is_value_less_what_was_paid(
    made: list[Entry], basis: CostBasis, price: Decimal
) -> None:
    position = only(book(*made, cost_basis=basis))
    assert position.total_cost_base is not None
    assert position.realized_pnl_base is not None
    with localcontext(prec=PRECISION):
        paid = sum(
            one.cash * (D(1) if one.currency == "USD" else Rising().rate("EUR", one.executed_at.date()) or 0)
            for one in made
            if one.type in OF_SHARES
        )
        profit = position.realized_pnl_base - position.total_cost_base
        assert abs(profit - paid) <= LAST_PLACES


@given(entries(), amounts)
def test_both_cost_bases_agree_once_everything_is_closed(made: list[Entry], price: Decimal) -> None:
    open_quantity = only(book(*made)).quantity
    kind = EntryType.SELL if open_quantity > 0 else EntryType.COVER
    if open_quantity:
        made = [*made, Entry(kind, NOON + timedelta(days=9), "USD", "KO", -open_quantity, price, id=99)]
    if any(one.type is EntryType.TRANSFER_OUT or one.type is EntryType.TRANSFER_IN for one in made):
        return
    average, fifo = (only(book(*made, cost_basis=basis)) for basis in CostBasis)
    assert average.quantity == fifo.quantity == 0
    assert abs(average.realized_pnl - fifo.realized_pnl) <= LAST_PLACES


@pytest.mark.parametrize("basis", CostBasis)
def test_ten_thousand_trades_take_no_longer_a_piece_than_ten(basis: CostBasis) -> None:
    """Counted, not timed: what is asked of the lots does not grow with their number."""
    many = [entry("buy", number % 50, quantity="1", price="2") for number in range(10_000)]
    sold = [entry("sell", 60, quantity="-1", price="3") for _ in range(10_000)]
    position = only(book(*many, *sold, cost_basis=basis))
    assert (position.quantity, position.realized_pnl) == (D(0), D(10_000))
