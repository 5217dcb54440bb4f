"""Positions and cash in other currencies: values and scenarios with the exchange rate's leg, end to end."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from tailwatch.book.entries import Entry, EntryType
from tailwatch.db.models import Trade
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.rates import Rates, ensure_rates, load_rates
from tailwatch.measurement import book
from tailwatch.measurement.replay import replay
from tests.integration.api.support import Caller, application, forget_settings
from tests.support.markets import store, walk, weekdays
from tests.support.work import work_off

#: London rests on days on which currencies do not; New York's days are the rate's.
DAYS = weekdays(620)
LONDON = [day for place, day in enumerate(DAYS) if place % 97 != 50]
POUNDS = walk(1, len(DAYS), 1.25, 0.006)
VODAFONE = walk(2, len(LONDON), 90.0)
APPLE = walk(3, len(DAYS), 130.0)
EUROS = walk(4, len(DAYS), 1.05, 0.005)


@pytest.fixture
def ada(worker_process: None, engine: Engine) -> Caller:
    forget_settings()
    store(engine, "VOD.L", "GBp", LONDON, VODAFONE)
    store(engine, "AAPL", "USD", DAYS, APPLE)
    store(engine, "GBPUSD=X", "USD", DAYS, POUNDS)
    store(engine, "EURUSD=X", "USD", DAYS, EUROS)
    return Caller(application(), engine, "ada@example.org")


def entry(engine: Engine, portfolio_id: int, **members: Any) -> None:
    """Book an entry of cash as the API does."""
    with transaction(engine) as session:
        ticker = members.pop("ticker", None)
        if ticker is not None:
            members["instrument_id"] = ensure_instruments(session, [ticker])[ticker].id
        session.add(Trade(portfolio_id=portfolio_id, executed_at=datetime(2022, 7, 1, tzinfo=UTC), **members))
        session.flush()
        ensure_rates(session, [portfolio_id])
        session.execute(text("UPDATE portfolios SET revision = revision + 1 WHERE id = :id"), {"id": portfolio_id})


def risk(ada: Caller, engine: Engine, portfolio_id: int) -> dict[str, Any]:
    work_off(engine)
    found: dict[str, Any] = json.loads(ada.get(f"/api/portfolios/{portfolio_id}/risk").data)
    return found


def weibull(outcomes: np.ndarray, alpha: float) -> float:
    ordered = np.sort(outcomes)
    place = (len(ordered) + 1) * alpha
    below = int(place)
    return float(-(ordered[below - 1] + (place - below) * (ordered[below] - ordered[below - 1])))


def floats(values: list[Decimal]) -> np.ndarray:
    return np.array([float(value) for value in values])


def test_a_share_in_pence_is_worth_its_pounds_in_dollars(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio(risk_method="historical")
    ada.trade(portfolio_id, ticker="VOD.L", quantity="10000", currency="GBP")
    ada.trade(portfolio_id, ticker="AAPL", quantity="50")
    served = risk(ada, engine, portfolio_id)
    worth = Decimal(10000) * VODAFONE[-1] * Decimal("0.01") * POUNDS[-1]
    assert Decimal(served["nav"]) == worth + 50 * APPLE[-1]
    position = next(one for one in served["positions"] if one["ticker"] == "VOD.L")
    assert (position["currency"], Decimal(position["rate"])) == ("GBp", POUNDS[-1] / 100)
    assert served["coverage"]["modelled"] == 1.0
    assert {one["label"] for one in served["by_currency"]} == {"GBP", "USD"}
    # By hand: carried London prices on New York's days, times the rate, as returns.
    known = dict(zip(LONDON, floats(VODAFONE), strict=True))
    carried = np.array([known.get(day, np.nan) for day in DAYS])
    pounds = floats(POUNDS)
    for place in np.flatnonzero(np.isnan(carried)):
        # The price of the day before at its own rate: no price was made that day.
        carried[place], pounds[place] = carried[place - 1], pounds[place - 1]
    dollars = carried * pounds
    apple = floats(APPLE)
    pnl = float(worth) * (dollars[1:] / dollars[:-1] - 1) + 50 * apple[-1] * (apple[1:] / apple[:-1] - 1)
    expected = weibull(pnl[-500:], 0.05) / (float(worth) + 50 * apple[-1])
    assert served["methods"]["historical"]["var_95_1d"] == pytest.approx(expected, rel=1e-9)


def test_new_rates_wake_the_portfolios_that_rest_on_them_and_no_others(ada: Caller, engine: Engine) -> None:
    abroad, home = ada.portfolio(name="abroad"), ada.portfolio(name="home")
    ada.trade(abroad, ticker="VOD.L", quantity="1")
    ada.trade(home, ticker="AAPL", quantity="1")
    first = {each: risk(ada, engine, each)["snapshot_id"] for each in (abroad, home)}
    store(engine, "GBPUSD=X", "USD", [date(2022, 12, 29)], [Decimal("1.5")])
    second = {each: risk(ada, engine, each) for each in (abroad, home)}
    assert second[home]["snapshot_id"] == first[home]
    assert Decimal(second[abroad]["nav"]) == VODAFONE[-1] * Decimal("0.015")


def test_cash_counts_once_there_is_a_deposit(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio(risk_method="historical")
    ada.trade(portfolio_id, ticker="AAPL", quantity="50", price="100", fee="5")
    before = risk(ada, engine, portfolio_id)
    assert (Decimal(before["nav"]), before["cash"]) == (50 * APPLE[-1], "0")
    entry(engine, portfolio_id, type="deposit", amount=Decimal(20000), currency="USD")
    entry(engine, portfolio_id, type="deposit", amount=Decimal(3000), currency="EUR")
    entry(engine, portfolio_id, type="dividend", ticker="AAPL", amount=Decimal(20), tax=Decimal(3), currency="USD")
    entry(engine, portfolio_id, type="withdrawal", amount=Decimal(1000), currency="EUR", fee=Decimal(1))
    served = risk(ada, engine, portfolio_id)
    # 20,000 less 50 at 100 and 5 of fees, and a dividend of 20 less 3 of taxes.
    assert served["cash"] == "15012"
    assert Decimal(served["nav"]) == 50 * APPLE[-1] + 15012 + 1999 * EUROS[-1]
    euros = next(one for one in served["positions"] if one["ticker"] == "CASH-EUR")
    assert (euros["quantity"], euros["price"], Decimal(euros["rate"])) == ("1999", "1", EUROS[-1])
    rates, apple = floats(EUROS), floats(APPLE)
    pnl = 1999 * rates[-1] * (rates[1:] / rates[:-1] - 1) + 50 * apple[-1] * (apple[1:] / apple[:-1] - 1)
    expected = weibull(pnl[-500:], 0.01) / float(served["nav"])
    assert served["methods"]["historical"]["var_99_1d"] == pytest.approx(expected, rel=1e-9)
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET cash_tracking = 'off', revision = revision + 1"))
    assert Decimal(risk(ada, engine, portfolio_id)["nav"]) == 50 * APPLE[-1]


def test_cash_is_what_the_entries_say(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    members: list[dict[str, Any]] = [
        {"type": "buy", "ticker": "AAPL", "quantity": Decimal("1.5"), "price": Decimal("7.25"), "fee": Decimal(1)},
        {"type": "short", "ticker": "AAPL", "quantity": Decimal(-4), "price": Decimal(8), "tax": Decimal(2)},
        {"type": "transfer_in", "ticker": "AAPL", "quantity": Decimal(9), "price": Decimal(8), "fee": Decimal(3)},
        {"type": "dividend", "ticker": "AAPL", "amount": Decimal(10), "tax": Decimal("1.5")},
        {"type": "interest", "amount": Decimal(-4)},
        {"type": "deposit", "amount": Decimal(100)},
        {"type": "withdrawal", "amount": Decimal(30), "fee": Decimal("0.5")},
        {"type": "fee", "amount": Decimal(7)},
        {"type": "tax", "amount": Decimal(-6)},
    ]
    for one in members:
        entry(engine, portfolio_id, currency="USD", **one)
    then = datetime(2022, 7, 1, tzinfo=UTC)
    entries = [Entry(**(one | {"type": EntryType(one["type"])}), currency="USD", executed_at=then) for one in members]
    with engine.connect() as connection:
        assert book.cash(connection, [portfolio_id])[portfolio_id] == {"USD": sum(one.cash for one in entries)}


def test_without_a_rate_a_position_is_left_out_and_says_so(ada: Caller, engine: Engine) -> None:
    store(engine, "NESN.SW", "CHF", DAYS, walk(5, len(DAYS), 110.0))
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="AAPL", quantity="1")
    ada.trade(portfolio_id, ticker="NESN.SW", quantity="1")
    served = risk(ada, engine, portfolio_id)
    assert Decimal(served["nav"]) == APPLE[-1]
    left_out = next(one for one in served["positions"] if one["ticker"] == "NESN.SW")
    assert left_out["market_value"] is None
    assert "exchange rate from CHF to USD" in left_out["reason"]


def test_a_snapshot_with_currencies_and_cash_is_replayed_to_the_last_bit(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio(benchmark="VOD.L")
    ada.trade(portfolio_id, ticker="VOD.L", quantity="10000")
    entry(engine, portfolio_id, type="deposit", amount=Decimal(3000), currency="EUR")
    served = risk(ada, engine, portfolio_id)
    with engine.connect() as connection:
        again = replay(connection, served["snapshot_id"])
        assert (again.same, again.causes) == (True, ())
    store(engine, "GBPUSD=X", "USD", DAYS[300:301], [Decimal("2.5")])
    with engine.connect() as connection:
        other = replay(connection, served["snapshot_id"])
    assert not other.same
    assert any("GBPUSD=X" in cause.message for cause in other.causes)


def test_what_a_rate_did_is_among_the_prices(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="VOD.L", quantity="10000")
    entry(engine, portfolio_id, type="deposit", amount=Decimal(3000), currency="EUR")
    before = risk(ada, engine, portfolio_id)
    next_day = [date(2022, 12, 29)]
    store(engine, "VOD.L", "GBp", next_day, [VODAFONE[-1]])
    store(engine, "GBPUSD=X", "USD", next_day, [POUNDS[-1] * 2])
    after = risk(ada, engine, portfolio_id)
    explained = json.loads(ada.get(f"/api/portfolios/{portfolio_id}/risk/explain").data)
    nav = explained["figures"]["nav"]
    assert nav["previous"] == pytest.approx(float(before["nav"]))
    assert nav["current"] == pytest.approx(float(after["nav"]))
    assert nav["parts"]["prices"] == pytest.approx(float(100 * VODAFONE[-1] * POUNDS[-1]))
    assert nav["parts"]["trades"] == pytest.approx(0, abs=1e-6)
    stress = json.loads(ada.get(f"/api/portfolios/{portfolio_id}/risk/stress").data)
    assert stress["nav"] == pytest.approx(float(after["nav"]))


def test_rates_by_day(ada: Caller, engine: Engine) -> None:
    with engine.connect() as connection:
        rates: Rates = load_rates(connection, ["EUR", "USD", "GBP"], "USD")
    assert rates.rate("USD", date(1990, 1, 1)) == 1
    assert rates.rate("EUR", DAYS[5]) == EUROS[5]
    saturday = date(2022, 12, 24)
    assert rates.rate("EUR", saturday) == EUROS[DAYS.index(date(2022, 12, 23))]
    assert rates.rate("EUR", date(2023, 1, 30)) is None
    assert rates.newest("EUR") == EUROS[-1]
    assert rates.rate("EUR", DAYS[0].replace(year=2000)) is None
