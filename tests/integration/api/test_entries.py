"""Entries of every type over HTTP: what goes together, what a change leaves in the audit trail."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.integration.api.support import Caller, application, assert_problem

SHARES = {"ticker": "AAPL", "quantity": "3", "price": "12.5"}


@pytest.mark.parametrize(
    ("sent", "type_", "quantity"),
    [
        ({}, "buy", "3"),
        ({"quantity": "-3"}, "sell", "-3"),
        ({"type": "sell"}, "sell", "-3"),
        ({"type": "short", "quantity": "-3"}, "short", "-3"),
        ({"type": "cover"}, "cover", "3"),
        ({"type": "transfer_out"}, "transfer_out", "-3"),
    ],
)
def test_the_type_and_the_sign_go_together(ada: Caller, sent: dict[str, Any], type_: str, quantity: str) -> None:
    portfolio_id = ada.portfolio()
    trade = ada.trade(portfolio_id, **sent)["trade"]
    assert (trade["type"], trade["quantity"], trade["amount"]) == (type_, quantity, None)
    assert ada.get(f"/api/portfolios/{portfolio_id}/trades/{trade['id']}").json == trade


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "deposit", "amount": "1000"},
        {"type": "withdrawal", "amount": "10", "fee": "1"},
        {"type": "dividend", "ticker": "AAPL", "amount": "12.34", "tax": "1.85"},
        {"type": "interest", "amount": "-3"},
        {"type": "fee", "amount": "-2", "ticker": "AAPL"},
        {"type": "tax", "amount": "5", "currency": "EUR", "fx_rate": "1.05", "account": "Broker"},
    ],
)
def test_cash_has_an_amount(ada: Caller, sent: dict[str, Any]) -> None:
    portfolio_id = ada.portfolio()
    booked = ada.post(f"/api/portfolios/{portfolio_id}/trades", sent)
    assert booked.status_code == 201, booked.text
    trade = booked.json["trade"]
    assert (trade["quantity"], trade["price"]) == (None, None)
    assert {name: trade[name] for name in sent} == sent
    assert booked.json["revision"] == 1


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"quantity": "1", "price": "1"}, "ticker"),
        ({"ticker": "AAPL", "price": "1"}, "quantity"),
        ({"ticker": "AAPL", "quantity": "1"}, "price"),
        (SHARES | {"amount": "5"}, "type"),
        (SHARES | {"type": "buy", "amount": "5"}, "amount"),
        (SHARES | {"type": "cover", "quantity": "-1"}, "quantity"),
        ({"amount": "5"}, "type"),
        ({"type": "deposit"}, "amount"),
        ({"type": "deposit", "amount": "0"}, "amount"),
        ({"type": "deposit", "amount": "-5"}, "amount"),
        ({"type": "deposit", "amount": "5", "ticker": "AAPL"}, "ticker"),
        ({"type": "deposit", "amount": "5", "price": "1"}, "price"),
        ({"type": "dividend", "amount": "5"}, "ticker"),
        ({"type": "dividend", "amount": "5", "ticker": "AAPL", "quantity": "1"}, "quantity"),
        ({"type": "gift", "amount": "5"}, "type"),
        (SHARES | {"fx_rate": "0"}, "fx_rate"),
        (SHARES | {"tax": "-1"}, "tax"),
        (SHARES | {"account": ""}, "account"),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_name(ada: Caller, sent: dict[str, Any], field: str) -> None:
    portfolio_id = ada.portfolio()
    assert_problem(ada.post(f"/api/portfolios/{portfolio_id}/trades", sent), 422, "invalid-input", field)
    assert ada.get(f"/api/portfolios/{portfolio_id}/trades").json["items"] == []


def test_a_change_keeps_what_was_there_and_who_changed_it(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}/trades"
    trade = ada.trade(portfolio_id, note="first")["trade"]
    changed = ada.send("PATCH", f"{url}/{trade['id']}", {"quantity": "-5", "note": None, "ticker": "MSFT"}).json
    assert (changed["trade"]["type"], changed["trade"]["quantity"]) == ("sell", "-5")
    assert changed["trade"]["ticker"] == "MSFT"
    # The same again changes nothing, and leaves no trace.
    assert ada.send("PATCH", f"{url}/{trade['id']}", {"quantity": "-5"}).status_code == 200
    assert ada.send("DELETE", f"{url}/{trade['id']}").status_code == 200
    removal, change = ada.get(f"{url}/changes").json["items"]
    assert (change["action"], change["trade_id"]) == ("change", trade["id"])
    assert change["changed_by"] == 'ada@example.org (token "tests")'
    assert (change["before"]["quantity"], change["before"]["ticker"], change["before"]["note"]) == (
        "3",
        "AAPL",
        "first",
    )
    assert (change["after"]["quantity"], change["after"]["ticker"], change["after"]["note"]) == ("-5", "MSFT", None)
    assert (removal["action"], removal["before"], removal["after"]) == ("removal", change["after"], None)
    assert ada.get(f"{url}/{trade['id']}/changes?limit=1").json["items"] == [removal]
    page = ada.get(f"{url}/changes?limit=1").json
    assert ada.get(f"{url}/changes?limit=1&cursor={page['next_cursor']}").json["items"] == [change]


def test_a_purchase_becomes_a_dividend_and_back(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}/trades/{ada.trade(portfolio_id)['trade']['id']}"
    assert_problem(ada.send("PATCH", url, {"type": "dividend"}), 422, "invalid-input", "amount")
    dividend = ada.send("PATCH", url, {"type": "dividend", "amount": "4"}).json["trade"]
    assert (dividend["quantity"], dividend["price"], dividend["amount"]) == (None, None, "4")
    assert_problem(ada.send("PATCH", url, {"ticker": None}), 422, "invalid-input", "ticker")
    again = ada.send("PATCH", url, SHARES | {"type": "buy"}).json["trade"]
    assert (again["type"], again["quantity"], again["amount"]) == ("buy", "3", None)
    sold = ada.send("PATCH", url, {"type": "sell"}).json["trade"]
    assert (sold["type"], sold["quantity"]) == ("sell", "-3")
    bought = ada.send("PATCH", url, {"type": "buy"}).json["trade"]
    assert (bought["type"], bought["quantity"]) == ("buy", "3")


def test_nobody_sees_the_trail_of_another(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    bob = Caller(application(), engine, "bob@example.org")
    assert_problem(bob.get(f"/api/portfolios/{portfolio_id}/trades/changes"), 404, "no-such-portfolio")
    trade = ada.trade(portfolio_id)["trade"]
    url = f"/api/portfolios/{portfolio_id}/trades/{trade['id']}"
    assert_problem(bob.get(f"{url}/changes"), 404, "no-such-portfolio")
    assert_problem(bob.send("DELETE", url), 404, "no-such-trade")


def test_the_rates_that_an_entry_needs_are_fetched(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    ada.post(f"/api/portfolios/{portfolio_id}/trades", {"type": "deposit", "amount": "10", "currency": "EUR"})
    with engine.connect() as connection:
        found = connection.execute(text("SELECT ticker, next_fetch_at IS NOT NULL FROM instruments")).all()
    assert [tuple(row) for row in found] == [("EURUSD=X", True)]
    assert ada.send("PATCH", f"/api/portfolios/{portfolio_id}", {"base_currency": "CHF"}).status_code == 200
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM instruments WHERE ticker = 'EURCHF=X'")) == 1


def test_first_in_first_out_is_a_setting(ada: Caller) -> None:
    portfolio_id = ada.portfolio(cost_basis="fifo", cash_tracking="on")
    for price, quantity in (("50", "10"), ("70", "10"), ("80", "-15")):
        ada.trade(portfolio_id, price=price, quantity=quantity)
    url = f"/api/portfolios/{portfolio_id}"
    holdings = ada.get(f"{url}/holdings").json
    assert (holdings["items"][0]["realised_pnl"], holdings["items"][0]["cost"]) == ("350", "350")
    assert holdings["cash"] == [{"currency": "USD", "amount": "0", "base_amount": "0"}]
    assert holdings["counts_cash"] is True
    assert ada.send("PATCH", url, {"cost_basis": "average", "cash_tracking": "auto"}).json["cost_basis"] == "average"
    holdings = ada.get(f"{url}/holdings").json
    assert (holdings["items"][0]["realised_pnl"], holdings["items"][0]["cost"]) == ("300", "300")
    assert holdings["counts_cash"] is False


def test_the_short_form_takes_cash_too(ada: Caller) -> None:
    ada.portfolio()
    answer = ada.post("/api/trades", {"type": "deposit", "amount": "1000"})
    assert answer.json["message"] == "Booked: deposit of 1000 USD."
