"""A portfolio at other prices says what a whole measurement of the same values says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwatch.measurement.holding import Holding
from tailwatch.measurement.loading import Loaded
from tailwatch.measurement.revaluing import Revaluing
from tailwatch.measurement.series import History
from tailwatch.measurement.snapshot import market_values, risk_inputs_of
from tailwatch.risk import CovarianceEstimator, Method, PriceSeries, RiskReport, measure
from tailwatch.risk.whatif import FIGURES

LAST = date(2026, 11, 20)
DAYS = np.busday_offset(LAST, np.arange(-700, 1), roll="backward")
#: Quantity, stored close and currency of each name.
NAMES = {
    "AAPL": ("12.5", "101.25", "USD"),
    "SAP.DE": ("40", "180.1", "EUR"),
    "VOD.L": ("3000", "151.15", "GBp"),
    "TSLA": ("-7", "210.4", "USD"),
}
RATES = {"EUR": Decimal("1.0831"), "GBP": Decimal("1.2702")}
RATE_IDS = {"EUR": 101, "GBP": 102}


def history(instrument_id: int, ticker: str) -> History:
    moves = np.random.default_rng(abs(instrument_id)).standard_t(5, DAYS.size) * 0.011
    return History(instrument_id, (1,), PriceSeries(ticker, DAYS, 100 * np.exp(np.cumsum(moves))), "")


def holding(instrument_id: int, ticker: str) -> Holding:
    quantity, price, currency = NAMES[ticker]
    unit = Decimal("0.01") if currency == "GBp" else Decimal(1)
    major = {"GBp": "GBP"}.get(currency, currency)
    return Holding(
        instrument_id=instrument_id,
        ticker=ticker,
        currency=currency,
        status="ok",
        status_reason=None,
        source="made up",
        market_revision=1,
        quantity=Decimal(quantity),
        price=Decimal(price),
        price_day=LAST,
        rate=unit * RATES.get(major, Decimal(1)),
        rate_day=LAST if major in RATES else None,
        rate_id=RATE_IDS.get(major),
    )


def loaded(method: Method = Method.FILTERED, covariance: str = "sample", cash: Decimal | None = None) -> Loaded:
    holdings = [holding(number, ticker) for number, ticker in enumerate(NAMES, 1)]
    holdings.append(
        replace(holdings[1], instrument_id=-101, ticker="CASH-EUR", quantity=Decimal("-250.5"), price=Decimal(1))
    )
    return Loaded(
        portfolio_id=1,
        revision=3,
        market_revision=4,
        trigger="trade",
        base_currency="USD",
        method=method.value,
        covariance=covariance,
        window=500,
        confidence=Decimal(95),
        holdings=tuple(holdings),
        benchmark=None,
        histories={one.instrument_id: history(one.instrument_id, one.ticker) for one in holdings},
        cash=cash,
    )


def measured(portfolio: Loaded, prices: dict[str, Decimal]) -> RiskReport:
    """Measure a portfolio whose stored closes and rates are these prices."""
    rates = {"EUR": prices.get("EURUSD=X"), "GBp": prices.get("GBPUSD=X")}
    holdings = []
    for one in portfolio.holdings:
        rate = rates.get(one.currency or "")
        unit = Decimal("0.01") if one.currency == "GBp" else Decimal(1)
        holdings.append(
            replace(one, price=prices.get(one.ticker, one.price), rate=one.rate if rate is None else unit * rate)
        )
    priced = replace(portfolio, holdings=tuple(holdings))
    return measure(risk_inputs_of(priced, market_values(priced), LAST))


LIVE = {
    "AAPL": Decimal("104.11"),
    "SAP.DE": Decimal("171.94"),
    "VOD.L": Decimal("155.02"),
    "TSLA": Decimal("233.08"),
    "EURUSD=X": Decimal("1.0907"),
    "GBPUSD=X": Decimal("1.2555"),
}


def assert_same(portfolio: Loaded, prices: dict[str, Decimal]) -> None:
    report, found = measured(portfolio, prices), Revaluing(portfolio, LAST).at(prices)
    assert float(found.nav) == pytest.approx(report.nav, rel=1e-12)
    assert found.amounts is not None
    for name in FIGURES:
        assert found.amounts[name] == pytest.approx(getattr(report.amounts, name), rel=1e-9), name
        assert found.fractions[name] == pytest.approx(getattr(report.fractions, name), rel=1e-9), name


@pytest.mark.parametrize("covariance", list(CovarianceEstimator))
@pytest.mark.parametrize("method", list(Method))
def test_a_revaluation_is_a_measurement_of_the_same_values(method: Method, covariance: CovarianceEstimator) -> None:
    portfolio = loaded(method, covariance.value, cash=Decimal("1234.56"))
    assert_same(portfolio, LIVE)
    assert_same(portfolio, {})
    assert_same(portfolio, {"TSLA": Decimal("180.5")})


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(sorted(LIVE)), st.decimals(Decimal("0.8"), Decimal("1.25"), places=4)))
def test_whatever_prices_have_come(moves: dict[str, Decimal]) -> None:
    assert_same(PORTFOLIO, {ticker: LIVE[ticker] * move for ticker, move in moves.items()})


PORTFOLIO = loaded()


def test_the_result_counts_from_the_stored_closes_exactly() -> None:
    found = Revaluing(PORTFOLIO, LAST).at({"AAPL": Decimal("102.25"), "EURUSD=X": Decimal("1.0931")})
    # 12.5 shares by 1 dollar, and 40 shares and a debt in euros by one cent a euro.
    assert found.pnl == Decimal("12.5") + (40 * Decimal("180.1") - Decimal("250.5")) * Decimal("0.01")
    before = sum(market_values(PORTFOLIO).values(), Decimal(0))
    assert found.nav == before + found.pnl
    assert found.pnl_fraction == pytest.approx(float(found.pnl / before))
    assert Revaluing(PORTFOLIO, LAST).at({}).pnl == 0


def test_prices_are_held_against_closes_in_their_own_currencies() -> None:
    closes = Revaluing(PORTFOLIO, LAST).closes
    assert set(closes) == {*NAMES, "EURUSD=X", "GBPUSD=X"}
    assert (closes["VOD.L"].price, closes["VOD.L"].currency) == (Decimal("151.15"), "GBp")
    assert (closes["GBPUSD=X"].price, closes["GBPUSD=X"].currency) == (RATES["GBP"], "USD")


def test_a_value_that_is_not_positive_has_figures_in_currency_only() -> None:
    short = replace(PORTFOLIO, cash=Decimal(-20_000))
    found = Revaluing(short, LAST).at(LIVE)
    assert found.nav < 0
    assert found.amounts is not None
    assert found.amounts["var_95_1d"] > 0
    assert set(found.fractions.values()) == {None}
    assert found.pnl_fraction is None


def test_a_portfolio_without_positions_has_no_figures() -> None:
    empty = replace(PORTFOLIO, holdings=(), histories={}, cash=Decimal(50))
    found = Revaluing(empty, LAST).at(LIVE)
    assert (found.nav, found.pnl, found.amounts) == (Decimal(50), Decimal(0), None)
