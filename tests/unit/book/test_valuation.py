from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book.ledger import Position
from tailwatch.book.valuation import Quote, value

D = Decimal


def position(ticker: str = "KO", quantity: str = "10", cost: str = "600", currency: str = "USD") -> Position:
    return Position(ticker, currency, D(quantity), D(cost), realized_pnl=D(5), trades=1)


def quote(
    price: str | None = "62.609",
    day: date = date(2022, 12, 28),
    currency: str | None = "USD",
    status: str = "ok",
    reason: str | None = None,
) -> Quote:
    known = price is not None
    return Quote(
        name="Coca-Cola",
        currency=currency,
        price=D(price) if price else None,
        price_date=day if known else None,
        price_source="sample" if known else None,
        status=status,  # type: ignore[arg-type]
        reason=reason,
    )


def test_a_holding_is_quantity_times_price() -> None:
    found = value([position()], {"KO": quote()}, "USD")
    [holding] = found.items
    assert holding.market_value == D("626.09")
    assert holding.unrealized_pnl == D("26.09")
    assert (holding.weight, holding.status, holding.reason) == (D(1), "ok", None)
    assert found.as_of == date(2022, 12, 28)
    assert (found.totals.cost, found.totals.market_value) == (D(600), D("626.09"))
    assert (found.totals.unrealized_pnl, found.totals.realized_pnl) == (D("26.09"), D(5))
    assert found.totals.missing == ()


def test_weights_are_shares_of_the_net_value_and_a_short_weighs_less_than_nothing() -> None:
    held = [position("KO", "30"), position("XOM", "-10", "-900")]
    found = value(held, {"KO": quote("100"), "XOM": quote("100")}, "USD")
    assert [holding.weight for holding in found.items] == [D("1.5"), D("-0.5")]
    assert found.items[1].unrealized_pnl == -100


def test_without_a_positive_total_there_are_no_weights() -> None:
    found = value([position(quantity="-10", cost="-600")], {"KO": quote()}, "USD")
    assert found.items[0].weight is None
    assert found.totals.market_value == D("-626.09")


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("pending", None, "Its prices are being fetched."),
        ("unknown", "No price source knows KO.", "No price source knows KO."),
        ("failed", "Yahoo could not be reached.", "Yahoo could not be reached."),
    ],
)
def test_a_position_without_a_price_is_there_without_a_value(status: str, reason: str | None, told: str) -> None:
    held = [position(), position("XOM")]
    quotes = {"KO": quote(None, currency=None, status=status, reason=reason), "XOM": quote("100")}
    found = value(held, quotes, "USD")
    missing, valued = found.items
    assert (missing.market_value, missing.unrealized_pnl, missing.weight) == (None, None, None)
    assert missing.position.total_cost == 600
    assert (missing.status, missing.reason) == (status, told)
    assert valued.weight == 1
    assert (found.totals.market_value, found.totals.cost, found.totals.missing) == (D(1000), D(600), ("KO",))


def test_old_prices_of_a_failed_fetch_stay_in_use_and_say_why() -> None:
    [holding] = value([position()], {"KO": quote(status="failed", reason="Yahoo refused.")}, "USD").items
    assert (holding.status, holding.reason, holding.market_value) == ("failed", "Yahoo refused.", D("626.09"))


def test_another_currency_is_valued_in_its_own_and_out_of_the_totals() -> None:
    found = value([position(currency="EUR")], {"KO": quote(currency="EUR")}, "USD")
    [holding] = found.items
    assert holding.market_value == D("626.09")
    assert (holding.status, holding.weight) == ("excluded", None)
    assert "EUR" in (holding.reason or "")
    assert (found.totals.market_value, found.totals.cost, found.totals.realized_pnl) == (D(0), D(0), D(0))
    assert found.totals.missing == ("KO",)


def test_booked_in_one_currency_and_priced_in_another_has_no_value() -> None:
    [holding] = value([position(currency="EUR")], {"KO": quote()}, "USD").items
    assert (holding.market_value, holding.unrealized_pnl, holding.status) == (None, None, "excluded")
    assert holding.reason == "Booked in EUR, but its prices are in USD."


def test_mixed_currencies_have_no_profit_and_are_out_of_the_totals() -> None:
    mixed = Position("KO", "USD", D(10), D(600), D(5), mixed_currencies=True)
    found = value([mixed], {"KO": quote()}, "USD")
    [holding] = found.items
    assert (holding.unrealized_pnl, holding.weight, holding.status) == (None, None, "excluded")
    assert (found.totals.market_value, found.totals.realized_pnl, found.totals.missing) == (D(0), D(0), ("KO",))


def test_a_closed_position_is_worth_nothing_and_needs_no_price() -> None:
    found = value([position(quantity="0", cost="0")], {"KO": quote(None, status="unknown", reason="?")}, "USD")
    [holding] = found.items
    assert (holding.market_value, holding.unrealized_pnl) == (D(0), D(0))
    assert (found.totals.realized_pnl, found.totals.missing, found.as_of) == (D(5), (), None)


held = st.builds(
    Position,
    ticker=st.just(""),
    currency=st.sampled_from(["USD", "EUR"]),
    quantity=st.decimals("-1e6", "1e6", places=10),
    total_cost=st.decimals("-1e9", "1e9", places=10),
    realized_pnl=st.decimals("-1e9", "1e9", places=10),
    mixed_currencies=st.booleans(),
)
prices = st.one_of(st.none(), st.decimals("0.01", "1e6", places=8).map(str))


@given(st.lists(st.tuples(held, prices, st.sampled_from(["USD", "EUR"])), max_size=8))
def test_the_totals_are_the_sums_of_what_is_shown(drawn: list[tuple[Position, str | None, str]]) -> None:
    book = [replace(p, ticker=f"T{number}") for number, (p, _, _) in enumerate(drawn)]
    quotes = {
        f"T{number}": quote(price, currency=currency, status="ok" if price else "pending")
        for number, (_, price, currency) in enumerate(drawn)
    }
    found = value(book, quotes, "USD")
    assert [holding.position for holding in found.items] == book, "nothing is left out"
    counted = [h for h in found.items if h.status != "excluded" and h.market_value is not None]
    in_base = [h for h in counted if h.position.currency == "USD"]
    assert found.totals.market_value == sum(h.market_value or 0 for h in in_base)
    assert found.totals.unrealized_pnl == found.totals.market_value - found.totals.cost
    weights = [h.weight for h in found.items if h.weight is not None]
    assert not weights or abs(sum(weights, D(0)) - 1) < D("1e-8")
    for holding in found.items:
        assert holding.market_value is not None or holding.reason, "no value without a reason"
    valued = {h.position.ticker for h in in_base}
    assert set(found.totals.missing) == {p.ticker for p in book if p.quantity and p.ticker not in valued}
