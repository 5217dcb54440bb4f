from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book.exact import PRECISION
from tailwatch.book.ledger import Book, Position
from tailwatch.book.valuation import Holdings, Quote
from tailwatch.book.valuation import value as valued

D = Decimal


def position(ticker: str = "KO", quantity: str = "10", cost: str = "600", currency: str = "USD") -> Position:
    return Position(
        ticker,
        currency,
        D(quantity),
        D(cost),
        realized_pnl=D(5),
        trades=1,
        total_cost_base=D(cost),
        realized_pnl_base=D(5),
    )


class Fixed:
    """The same rates on every day."""

    def __init__(self, **rates: str) -> None:
        self.rates = {currency: D(rate) for currency, rate in rates.items()}

    def rate(self, currency: str, day: date) -> Decimal | None:  # noqa: ARG002
        return self.rates.get(currency)

    def newest(self, currency: str) -> Decimal | None:
        return self.rates.get(currency)


def value(
    positions: list[Position], quotes: dict[str, Quote], rates: Fixed | None = None, **more: object
) -> Holdings:
    cash = more.pop("cash", {})
    return valued(Book(positions, cash), quotes, base_currency="USD", rates=rates, **more)  # type: ignore[arg-type]


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
    found = value([position()], {"KO": quote()})
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
    found = value(held, {"KO": quote("100"), "XOM": quote("100")})
    assert [holding.weight for holding in found.items] == [D("1.5"), D("-0.5")]
    assert found.items[1].unrealized_pnl == -100


def test_without_a_positive_total_there_are_no_weights() -> None:
    found = value([position(quantity="-10", cost="-600")], {"KO": quote()})
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
    found = value(held, quotes)
    missing, valued = found.items
    assert (missing.market_value, missing.unrealized_pnl, missing.weight) == (None, None, None)
    assert missing.position.total_cost == 600
    assert (missing.status, missing.reason) == (status, told)
    assert valued.weight == 1
    assert (found.totals.market_value, found.totals.cost, found.totals.missing) == (D(1000), D(600), ("KO",))


def test_old_prices_of_a_failed_fetch_stay_in_use_and_say_why() -> None:
    [holding] = value([position()], {"KO": quote(status="failed", reason="Yahoo refused.")}).items
    assert (holding.status, holding.reason, holding.market_value) == ("failed", "Yahoo refused.", D("626.09"))


def test_another_currency_counts_at_its_rate() -> None:
    euros = replace(position(currency="EUR"), total_cost_base=D(660))
    found = value([euros], {"KO": quote(currency="EUR")}, Fixed(EUR="1.05"))
    [holding] = found.items
    assert (holding.market_value, holding.unrealized_pnl) == (D("626.09"), D("26.09"))
    # 26.09 euros of profit, and what the euro lost since they were bought at 1.10.
    assert holding.market_value_base == D("626.09") * D("1.05")
    assert holding.unrealized_pnl_base == D("626.09") * D("1.05") - 660
    assert (holding.status, holding.weight) == ("ok", D(1))
    assert found.totals.market_value == holding.market_value_base


def test_a_price_in_pence_is_hundredths_of_pounds() -> None:
    [holding] = value([position(currency="GBP")], {"KO": quote("80", currency="GBp")}, Fixed(GBP="1.25")).items
    assert (holding.market_value, holding.market_value_base) == (D(8), D(10))


def test_booked_in_one_currency_and_priced_in_another_has_both_values() -> None:
    [holding] = value([position(currency="EUR")], {"KO": quote("84")}, Fixed(EUR="1.05")).items
    assert (holding.market_value, holding.market_value_base) == (D(800), D(840))


def test_without_a_rate_it_is_out_of_the_totals_and_says_so() -> None:
    foreign = replace(position(currency="EUR"), total_cost_base=None, realized_pnl_base=None)
    found = value([foreign], {"KO": quote(currency="EUR")})
    [holding] = found.items
    assert (holding.market_value, holding.market_value_base, holding.weight) == (D("626.09"), None, None)
    assert (holding.status, holding.reason) == ("excluded", "The exchange rate from EUR to USD is not known yet.")
    assert (found.totals.market_value, found.totals.missing) == (D(0), ("KO",))
    assert found.totals.incomplete == ("KO",)


def test_cash_is_part_of_the_value_only_if_it_counts() -> None:
    cash = {"EUR": D(-100), "USD": D(500)}
    rates = Fixed(EUR="1.05")
    for counts, total in ((False, D("626.09")), (True, D("626.09") + 500 - 105)):
        found = value([position()], {"KO": quote()}, rates, cash=cash, counts_cash=counts)
        assert found.totals.value == total
        assert found.totals.cash == 395
        assert found.items[0].weight == pytest.approx(D("626.09") / total, abs=D("1e-10"))


def test_mixed_currencies_have_profit_in_base_currency_only() -> None:
    mixed = Position("KO", "USD", D(10), D(600), D(5), mixed_currencies=True, total_cost_base=D(620))
    [holding] = value([mixed], {"KO": quote()}).items
    assert (holding.unrealized_pnl, holding.unrealized_pnl_base) == (None, D("6.09"))


def test_a_closed_position_is_worth_nothing_and_needs_no_price() -> None:
    found = value([position(quantity="0", cost="0")], {"KO": quote(None, status="unknown", reason="?")})
    [holding] = found.items
    assert (holding.market_value, holding.unrealized_pnl) == (D(0), D(0))
    assert (found.totals.realized_pnl, found.totals.missing, found.as_of) == (D(5), (), None)


held = st.builds(
    Position,
    ticker=st.just(""),
    currency=st.sampled_from(["USD", "EUR", "CHF"]),
    quantity=st.decimals("-1e6", "1e6", places=10),
    total_cost=st.decimals("-1e9", "1e9", places=10),
    realized_pnl=st.decimals("-1e9", "1e9", places=10),
    mixed_currencies=st.booleans(),
    total_cost_base=st.one_of(st.none(), st.decimals("-1e9", "1e9", places=10)),
)
prices = st.one_of(st.none(), st.decimals("0.01", "1e6", places=8).map(str))


@given(st.lists(st.tuples(held, prices, st.sampled_from(["USD", "EUR", "CHF"])), max_size=8))
def test_the_totals_are_the_sums_of_what_is_shown(drawn: list[tuple[Position, str | None, str]]) -> None:
    book = [replace(p, ticker=f"T{number}") for number, (p, _, _) in enumerate(drawn)]
    quotes = {
        f"T{number}": quote(price, currency=currency, status="ok" if price else "pending")
        for number, (_, price, currency) in enumerate(drawn)
    }
    # There is no rate of the franc.
    found = value(book, quotes, Fixed(EUR="1.05"))
    assert [holding.position for holding in found.items] == book, "nothing is left out"
    with localcontext(prec=PRECISION):
        assert found.totals.market_value == sum(h.market_value_base or 0 for h in found.items)
        assert found.totals.unrealized_pnl == sum(
            h.unrealized_pnl_base for h in found.items if h.unrealized_pnl_base is not None
        )
    weights = [h.weight for h in found.items if h.weight is not None]
    assert not weights or abs(sum(weights, D(0)) - 1) < D("1e-8")
    for holding in found.items:
        assert holding.market_value_base is not None or holding.reason, "no value without a reason"
    valued_ones = {h.position.ticker for h in found.items if h.market_value_base is not None}
    assert set(found.totals.missing) == {p.ticker for p in book if p.quantity and p.ticker not in valued_ones}
