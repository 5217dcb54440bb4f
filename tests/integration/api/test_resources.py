"""Portfolios, trades, holdings, risk: what they answer when all is well."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pytest
from sqlalchemy import Engine, insert, text

from tailwatch.db.models import Instrument, PriceBar, RiskSnapshot
from tailwatch.db.session import transaction
from tailwatch.snapshots import empty_body
from tests.integration.api.support import Caller, assert_problem

TRADE = {"ticker": "AAPL", "quantity": "3", "price": "12.5"}


def revision(engine: Engine, portfolio_id: int) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT revision FROM portfolios WHERE id = :id"), {"id": portfolio_id}))


def test_a_portfolio_lives(ada: Caller) -> None:
    made = ada.post("/api/portfolios", {"name": " Main ", "benchmark": "^gspc", "risk_confidence": "97.5"}).json
    assert made["name"] == "Main"
    assert (made["benchmark"], made["risk_confidence"], made["is_default"]) == ("^GSPC", "97.5", True)
    url = f"/api/portfolios/{made['id']}"
    assert ada.get(url).json == made

    changed = ada.send("PATCH", url, {"name": "Core", "benchmark": None, "risk_window": 250}).json
    assert (changed["name"], changed["benchmark"], changed["risk_window"]) == ("Core", None, 250)
    assert changed["revision"] == made["revision"] + 1
    assert ada.send("PATCH", url, {"name": "Kern"}).json["revision"] == changed["revision"]
    assert ada.send("PATCH", url, {}).json["name"] == "Kern"

    assert ada.send("DELETE", url).status_code == 204
    assert_problem(ada.get(url), 404, "no-such-portfolio")


def test_the_first_portfolio_is_the_default_until_another_is_made_so(ada: Caller) -> None:
    first, second, third = ada.portfolio("1"), ada.portfolio("2"), ada.portfolio("3")

    def default() -> list[int]:
        return [p["id"] for p in ada.get("/api/portfolios").json["items"] if p["is_default"]]

    assert default() == [first]
    assert ada.send("PATCH", f"/api/portfolios/{third}", {"is_default": True}).json["is_default"] is True
    assert default() == [third]
    ada.send("DELETE", f"/api/portfolios/{third}")
    assert default() == [first]
    assert second != first


def test_two_first_portfolios_at_once_make_one_default(ada: Caller) -> None:
    start = threading.Barrier(4)

    def make(number: int) -> int:
        start.wait()
        return ada.post("/api/portfolios", {"name": f"P{number}"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == [201] * 4
    assert sum(p["is_default"] for p in ada.get("/api/portfolios").json["items"]) == 1


def test_lists_page_to_their_end(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    days = ["2024-01-03", "2024-01-01", "2024-01-02", "2024-01-02", "2024-01-05"]
    booked = [ada.trade(portfolio_id, executed_at=day)["trade"] for day in days]
    expected = [t["id"] for t in sorted(booked, key=lambda t: (t["executed_at"], t["id"]), reverse=True)]
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ada.get(
            f"/api/portfolios/{portfolio_id}/trades?limit=2" + (f"&cursor={cursor}" if cursor else "")
        ).json
        seen += [t["id"] for t in page["items"]]
        cursor = page["next_cursor"]
    assert seen == expected
    for number in range(3):
        ada.portfolio(f"P{number}")
    page = ada.get("/api/portfolios?limit=3").json
    rest = ada.get(f"/api/portfolios?limit=3&cursor={page['next_cursor']}").json
    assert [p["name"] for p in page["items"] + rest["items"]] == ["Main", "P0", "P1", "P2"]
    assert rest["next_cursor"] is None


def test_a_trade_lives_and_every_change_raises_the_revision(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio(base_currency="EUR")
    url = f"/api/portfolios/{portfolio_id}/trades"
    answer = ada.post(url, TRADE | {"note": "first", "external_id": "x1"})
    booked = answer.json
    assert booked["revision"] == revision(engine, portfolio_id) == 1
    assert booked["trade"]["currency"] == "EUR"
    one = f"{url}/{booked['trade']['id']}"
    assert ada.get(one).json == booked["trade"]

    changed = ada.send("PATCH", one, {"quantity": "-2.5", "ticker": "msft", "note": None}).json
    assert changed["revision"] == revision(engine, portfolio_id) == 2
    trade = changed["trade"]
    assert (trade["quantity"], trade["ticker"], trade["note"], trade["external_id"]) == ("-2.5", "MSFT", None, "x1")
    assert trade["updated_at"] > trade["created_at"]

    assert ada.send("DELETE", one).json == {"revision": 3}
    assert_problem(ada.get(one), 404, "no-such-trade")
    assert ada.get(url).json["items"] == []


def test_a_repeat_with_the_same_key_books_nothing(ada: Caller, eve: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}/trades"
    key = {"Idempotency-Key": "order-1"}
    first = ada.post(url, TRADE, headers=key)
    again = ada.post(url, TRADE, headers=key)
    assert again.status_code == first.status_code == 201
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert_problem(ada.post(url, TRADE | {"price": 1}, headers=key), 409, "idempotency-key-reused", "Idempotency-Key")
    assert revision(engine, portfolio_id) == 1
    assert eve.post(f"/api/portfolios/{eve.portfolio()}/trades", TRADE, headers=key).status_code == 201


def test_a_refused_request_does_not_use_up_its_key(ada: Caller) -> None:
    url = f"/api/portfolios/{ada.portfolio()}/trades"
    key = {"Idempotency-Key": "order-1"}
    assert ada.post(url, TRADE | {"quantity": 0}, headers=key).status_code == 422
    assert ada.post("/api/portfolios/999/trades", TRADE, headers=key).status_code == 404
    assert ada.post(url, TRADE, headers=key).status_code == 201


def test_twins_at_the_same_time_book_one_trade(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    start = threading.Barrier(6)

    def send(_: int) -> tuple[int, int]:
        start.wait()
        answer = ada.post(f"/api/portfolios/{portfolio_id}/trades", TRADE, headers={"Idempotency-Key": "twin"})
        return answer.status_code, answer.json["trade"]["id"]

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(send, range(6)))
    assert len(answers) == 1
    assert revision(engine, portfolio_id) == 1


def test_many_at_once_are_all_booked(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()

    def send(number: int) -> int:
        body = TRADE | {"ticker": f"NEW{number % 5}"}
        return int(ada.post(f"/api/portfolios/{portfolio_id}/trades", body).json["revision"])

    with ThreadPoolExecutor(8) as pool:
        revisions = list(pool.map(send, range(40)))
    assert sorted(revisions) == list(range(1, 41))
    assert revision(engine, portfolio_id) == 40


def priced(engine: Engine, ticker: str, close: str) -> None:
    with transaction(engine) as session:
        instrument = session.query(Instrument).filter_by(ticker=ticker).one()
        instrument.status, instrument.currency, instrument.name = "ok", "USD", ticker.title()
        session.execute(
            insert(PriceBar),
            [
                {
                    "instrument_id": instrument.id,
                    "day": day,
                    "close": Decimal(price),
                    "adjusted_close": Decimal(price),
                    "source": "sample",
                }
                for day, price in ((date(2024, 1, 2), "1"), (date(2024, 1, 3), close))
            ],
        )


def test_holdings_add_up(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="AAPL", quantity="10", price="100", fee="5")
    ada.trade(portfolio_id, ticker="AAPL", quantity="-4", price="130")
    ada.trade(portfolio_id, ticker="MSFT", quantity="2", price="50")
    ada.trade(portfolio_id, ticker="XYZ", quantity="1", price="7")
    priced(engine, "AAPL", "120")
    priced(engine, "MSFT", "40")
    holdings = ada.get(f"/api/portfolios/{portfolio_id}/holdings").json
    aapl, msft, xyz = holdings["items"]
    assert (aapl["quantity"], aapl["average_cost"], aapl["cost"]) == ("6", "100.5", "603")
    assert (aapl["price"], aapl["price_date"], aapl["price_source"]) == ("120", "2024-01-03", "sample")
    assert (aapl["market_value"], aapl["unrealised_pnl"], aapl["realised_pnl"]) == ("720", "117", "118")
    assert float(aapl["weight"]) == pytest.approx(0.9)
    assert msft["unrealised_pnl"] == "-20"
    assert (xyz["status"], xyz["market_value"], xyz["weight"]) == ("pending", None, None)
    assert holdings["totals"] == {
        "cost": "703",
        "market_value": "800",
        "unrealised_pnl": "97",
        "realised_pnl": "118",
        "dividends": "0",
        "cash": "-592",
        "value": "800",
        "incomplete": [],
    }
    assert holdings["counts_cash"] is False
    assert holdings["as_of"] == "2024-01-03"
    short = ada.get("/api/portfolio").json
    assert short["AAPL"]["quantity"] == "6"
    assert short["AAPL"]["total_cost"] == "603"
    assert list(short) == ["AAPL", "MSFT", "XYZ"]


def test_short_forms_speak_of_the_default_portfolio(ada: Caller) -> None:
    for answer in (ada.post("/api/trades", TRADE), ada.get("/api/portfolio"), ada.get("/api/risk")):
        problem = assert_problem(answer, 404, "no-default-portfolio")
        assert "POST /api/portfolios" in problem["detail"]
    portfolio_id = ada.portfolio()
    answer = ada.post("/api/trades", TRADE, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert answer.json["message"] == "Bought 3 AAPL at 12.5 USD."
    assert answer.json["id"] == answer.json["trade"]["id"]
    assert ada.post("/api/trades", TRADE, headers={"Idempotency-Key": "k"}).json == answer.json
    assert len(ada.get(f"/api/portfolios/{portfolio_id}/trades").json["items"]) == 1
    assert ada.get("/api/risk").json["wanted_revision"] == 1


def snapshot(engine: Engine, portfolio_id: int, number: int, computed_at: datetime) -> int:
    body = orjson.loads(empty_body(portfolio_id, number)) | {"nav": "100.5", "annualized_volatility": 0.2}
    row = {
        "portfolio_id": portfolio_id,
        "revision": number,
        "market_revision": 0,
        "trigger": "trade",
        "as_of": date(2024, 1, 3),
        "computed_at": computed_at,
        "duration_ms": 1.5,
        "method": "historical",
        "base_currency": "USD",
        "nav": Decimal("100.50"),
        "gross": Decimal("100.50"),
        "annualized_volatility": 0.2,
        "positions": 1,
        "pending_positions": 0,
        "inputs_hash": "x",
        "body": orjson.dumps(body),
    }
    with transaction(engine) as session:
        made = session.execute(insert(RiskSnapshot).values(**row).returning(RiskSnapshot.id)).scalar_one()
        session.execute(
            text("UPDATE portfolios SET snapshot_id = :s, done_revision = :r WHERE id = :id"),
            {"s": made, "r": number, "id": portfolio_id},
        )
        return made


def test_risk_is_the_stored_snapshot_with_its_live_state(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}/risk"
    empty = ada.get(url)
    assert (empty.json["state"], empty.json["nav"]) == ("empty", None)
    ada.trade(portfolio_id)
    assert ada.get(url).json["state"] == "stale"
    made = snapshot(engine, portfolio_id, 1, datetime.now(UTC))

    answer = ada.get(url)
    assert (answer.json["state"], answer.json["snapshot_id"], answer.json["nav"]) == ("fresh", made, "100.5")
    assert "private" in answer.headers["Cache-Control"]
    tag = answer.headers["ETag"]
    assert answer.headers["ETag"] != empty.headers["ETag"]
    same = ada.get(url, headers={"If-None-Match": tag})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    assert ada.get(url, headers={"If-None-Match": f"W/{tag}"}).status_code == 304

    ada.trade(portfolio_id)
    changed = ada.get(url, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json["state"], changed.json["wanted_revision"]) == (200, "stale", 2)
    assert changed.json["snapshot_id"] == made


def test_recompute_pressed_twice_is_one_computation(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}/risk/recompute"
    first = ada.post(url)
    assert (first.status_code, first.json) == (202, {"revision": 1, "state": "stale"})
    assert ada.post(url).json["revision"] == 1
    snapshot(engine, portfolio_id, 1, datetime.now(UTC))
    assert ada.post(url).json["revision"] == 2


def test_history_has_a_row_for_each_snapshot(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    for number in range(1, 6):
        ada.trade(portfolio_id)
        snapshot(engine, portfolio_id, number, datetime(2024, 1, number, 23, 59, 59, tzinfo=UTC))
    url = f"/api/portfolios/{portfolio_id}/risk/history"

    def revisions(query: str) -> list[int]:
        return [row["revision"] for row in ada.get(f"{url}?{query}").json["items"]]

    assert revisions("") == [5, 4, 3, 2, 1]
    assert revisions("from=2024-01-02&to=2024-01-04") == [4, 3, 2]
    assert revisions("to=2024-01-01") == [1]
    assert revisions("from=0001-01-01&to=9999-12-31") == [5, 4, 3, 2, 1]
    page = ada.get(f"{url}?limit=2").json
    assert [row["revision"] for row in page["items"]] == [5, 4]
    assert [row["revision"] for row in ada.get(f"{url}?limit=9&cursor={page['next_cursor']}").json["items"]] == [
        3,
        2,
        1,
    ]
    row = page["items"][0]
    assert (row["nav"], row["annualized_volatility"], row["var_95_1d"]) == ("100.5", Decimal("0.2"), None)
    assert row["computed_at"] == "2024-01-05T23:59:59Z"


def test_every_answer_says_where_its_time_went(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    answer = ada.post(f"/api/portfolios/{portfolio_id}/trades", TRADE)
    stages = dict(part.split(";dur=") for part in answer.headers["Server-Timing"].split(", "))
    assert {"auth", "commit", "total"} <= stages.keys()
    assert 0 < float(stages["auth"]) + float(stages["commit"]) < float(stages["total"])
