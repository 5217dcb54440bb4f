"""What-if and stress over HTTP, on stored prices."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text

from tailwatch.settings import get_settings
from tests.integration.api.support import Caller, assert_problem
from tests.support.work import newest, snapshot_id, work_off

pytestmark = pytest.mark.usefixtures("worker_process")

FIGURES = ("annualized_volatility", "var_95_1d", "es_95_1d", "var_975_1d", "es_975_1d", "var_99_1d", "es_99_1d")


@pytest.fixture
def portfolio_id(ada: Caller, engine: Engine) -> int:
    made = ada.portfolio(benchmark="^GSPC")
    for ticker, quantity in (("AAPL", "300"), ("XOM", "400"), ("KO", "500"), ("JPM", "-100")):
        ada.trade(made, ticker=ticker, quantity=quantity)
    work_off(engine)
    return made


def url(portfolio_id: int, path: str = "preview") -> str:
    return f"/api/portfolios/{portfolio_id}/risk/{path}"


def preview(ada: Caller, portfolio_id: int, *trades: tuple[str, str], **more: Any) -> dict[str, Any]:
    wanted = [{"ticker": ticker, "quantity": quantity} for ticker, quantity in trades]
    answer = ada.post(url(portfolio_id), {"trades": wanted, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = orjson.loads(answer.data)
    return found


def test_after_is_what_the_snapshot_says_once_it_is_booked(ada: Caller, engine: Engine, portfolio_id: int) -> None:
    # Another portfolio's ticker: its prices are stored, and it is held in none of ada's.
    other = ada.portfolio("Other")
    ada.trade(other, ticker="MSFT", quantity="1")
    work_off(engine)
    trades = [("MSFT", "150"), ("AAPL", "-300"), ("KO", "12.5")]
    seen = preview(ada, portfolio_id, *trades)
    standing = orjson.loads(ada.get(url(portfolio_id).removesuffix("/preview")).data)
    for name in FIGURES:
        assert seen["before"][name] == standing[name]
        assert seen["before"]["amounts"][name] == standing["amounts"][name]
    with engine.connect() as connection:
        assert (
            connection.scalar(text("SELECT count(*) FROM trades WHERE portfolio_id = :id"), {"id": portfolio_id}) == 4
        )
    for ticker, quantity in trades:
        ada.trade(portfolio_id, ticker=ticker, quantity=quantity)
    work_off(engine)
    booked = orjson.loads(ada.get(url(portfolio_id).removesuffix("/preview")).data)
    for name in FIGURES:
        assert seen["after"][name] == booked[name]
        assert seen["after"]["amounts"][name] == booked["amounts"][name]
        assert seen["incremental"][name] == seen["after"][name] - seen["before"][name]
    assert seen["after"]["nav"] == pytest.approx(float(booked["nav"]))
    by_ticker = {one["ticker"]: one for one in seen["trades"]}
    assert by_ticker["MSFT"]["status"] == "modelled"
    assert by_ticker["AAPL"]["incremental_var_95_1d"] < 0


def test_a_ticker_without_stored_prices_changes_nothing_and_says_why(ada: Caller, portfolio_id: int) -> None:
    seen = preview(ada, portfolio_id, ("NOSUCH", "5"))
    (trade,) = seen["trades"]
    assert (trade["status"], trade["price"], trade["incremental_var_95_1d"]) == ("unknown", None, None)
    assert "fetched" in trade["reason"]
    assert seen["after"] == seen["before"]


def test_a_trade_is_sized_to_the_limit(ada: Caller, portfolio_id: int) -> None:
    limit = 0.95 * preview(ada, portfolio_id)["before"]["var_95_1d"]
    wanted = {"figure": "var_95_1d", "value": limit}
    sized = preview(ada, portfolio_id, limit=wanted, ticker="AAPL")["limit"]
    assert sized["reached"] <= limit
    assert float(sized["trade_quantity"]) == pytest.approx(float(sized["quantity"]) - 300)
    after = preview(ada, portfolio_id, ("AAPL", sized["trade_quantity"]))["after"]
    assert after["var_95_1d"] == pytest.approx(sized["reached"], rel=1e-9)
    assert after["var_95_1d"] <= limit
    out_of_reach = preview(ada, portfolio_id, limit=wanted | {"value": 1e-6}, ticker="AAPL")["limit"]
    assert out_of_reach["trade_quantity"] is None
    assert out_of_reach["reached"] > 1e-6
    assert "No trade in AAPL" in out_of_reach["message"]
    unknown = preview(ada, portfolio_id, limit=wanted, ticker="NOSUCH")["limit"]
    assert (unknown["trade_quantity"], unknown["reached"]) == (None, None)


def test_the_hedge_lowers_the_shortfall_as_it_says(ada: Caller, portfolio_id: int) -> None:
    hedge = preview(ada, portfolio_id, hedge=True)["hedge"]
    assert hedge["figure"] == "es_975_1d"
    assert hedge["after"] < hedge["before"]
    with_it = preview(ada, portfolio_id, (hedge["ticker"], hedge["quantity"]))
    assert with_it["after"]["amounts"]["es_975_1d"] == pytest.approx(hedge["amounts"]["after"], rel=1e-4)
    # Fractions are of the value before the hedge, which a short sale does not take away.
    assert hedge["before"] == pytest.approx(with_it["before"]["es_975_1d"], rel=1e-9)
    assert hedge["after"] == pytest.approx(hedge["amounts"]["after"] / with_it["before"]["nav"], rel=1e-9)


def test_an_empty_portfolio_has_figures_after_its_first_trade(ada: Caller, portfolio_id: int) -> None:
    empty = ada.portfolio("Empty")
    assert portfolio_id != empty
    seen = preview(ada, empty, ("AAPL", "10"), limit={"figure": "var_95_1d", "value": 0.02}, hedge=True)
    assert seen["before"]["var_95_1d"] is None
    assert seen["incremental"]["var_95_1d"] is None
    assert seen["after"]["var_95_1d"] > 0
    assert "no positive value" in seen["limit"]["message"]
    assert preview(ada, empty)["after"]["nav"] == 0


def test_a_program_that_may_only_read_may_ask(engine: Engine, ada: Caller, portfolio_id: int) -> None:
    assert portfolio_id
    reader = Caller(ada.app, engine, "reader@example.org", scope="read")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE portfolios SET user_id = :user WHERE id = :id"), {"user": reader.user_id, "id": portfolio_id}
        )
    assert reader.post(url(portfolio_id), {"trades": []}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"trades": [{"ticker": "AAPL", "quantity": "0"}]}, "trades.0.quantity"),
        ({"trades": [{"ticker": "AAPL", "quantity": "1", "price": "-1"}]}, "trades.0.price"),
        ({"trades": [{"ticker": "AAPL", "quantity": "1"}] * 51}, "trades"),
        ({"trades": [], "limit": {"figure": "var_95_1d", "value": 0}}, "limit.value"),
        ({"trades": [], "limit": {"figure": "beauty", "value": 1}}, "limit.figure"),
        ({"hedge": True}, "trades"),
    ],
)
def test_bad_input_names_its_field(ada: Caller, portfolio_id: int, body: dict[str, Any], field: str) -> None:
    answer = ada.post(url(portfolio_id), body)
    assert answer.status_code == 422, answer.text
    assert field in answer.text


def test_a_limit_without_anything_to_size_is_refused(ada: Caller, portfolio_id: int) -> None:
    answer = ada.post(url(portfolio_id), {"trades": [], "limit": {"figure": "var_95_1d", "value": 0.1}})
    assert answer.status_code == 422
    assert "ticker" in answer.text


@pytest.mark.parametrize("path", ["preview", "stress"])
def test_nobody_looks_at_somebody_elses(eve: Caller, portfolio_id: int, path: str) -> None:
    method = eve.get if path == "stress" else lambda where: eve.post(where, {"trades": []})
    assert_problem(method(url(portfolio_id, path)), 404, "no-such-portfolio")


@pytest.fixture
def history_since_1990(worker_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICE_HISTORY_DAYS", "12000")
    get_settings.cache_clear()


def test_stress_is_what_is_stored(history_since_1990: None, ada: Caller, engine: Engine, portfolio_id: int) -> None:
    answer = ada.get(url(portfolio_id, "stress"))
    found = orjson.loads(answer.data)
    assert found == newest(engine, portfolio_id, "stress") | {"snapshot_id": snapshot_id(engine, portfolio_id)}
    assert {one["key"] for one in found["episodes"]} >= {"1998-ltcm", "2008-crisis", "2020-covid"}
    for episode in found["episodes"]:
        assert (episode["own"], episode["missing"]) == (pytest.approx(1), pytest.approx(0))
        assert episode["pnl"] == pytest.approx(sum(one["pnl"] for one in episode["positions"]))
    tag = answer.headers["ETag"]
    assert ada.get(url(portfolio_id, "stress"), headers={"If-None-Match": tag}).status_code == 304
    empty = ada.portfolio("Empty")
    nothing = ada.get(url(empty, "stress")).json
    assert set(nothing) == set(found)
    assert nothing["episodes"] == []
