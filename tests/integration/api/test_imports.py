"""Files over HTTP: a dry run, booking, the same file twice, twins, picked rows, taking back, out and in again."""

from __future__ import annotations

import io
import json
import threading
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from tests.integration.api.support import Caller, assert_problem

HEADER = "external_id,account,date,type,symbol,isin,quantity,price,amount,currency,fee,tax,fx_rate,note\n"
TWIN = ",Broker,2023-01-03,buy,AAPL,,10,125.5,,USD,1,,,\n"
FILE = (
    HEADER
    + TWIN
    + TWIN
    + "t-9,Broker,2023-01-04,sell,AAPL,,5,130,,USD,1,,,\n"
    + ",Broker,2023-01-05,deposit,,,,,1000,EUR,,,1.07,\n"
    + ",Broker,2023-02-01,split,MSFT,,2,,,,,,,\n"
)
BROKEN = FILE + ",Broker,2023-01-06,buy,AAPL,,ten,1,,USD,,,,\n"


def send(caller: Caller, portfolio_id: int, content: str | bytes, query: str = "", **fields: Any) -> TestResponse:
    raw = content.encode() if isinstance(content, str) else content
    data: dict[str, Any] = {"file": (io.BytesIO(raw), "broker.csv")}
    data |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return caller.client.post(
        f"/api/portfolios/{portfolio_id}/trades/import{query}",
        data=data,
        headers={"Authorization": f"Bearer {caller.secret}"},
        content_type="multipart/form-data",
    )


def trades(caller: Caller, portfolio_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(f"/api/portfolios/{portfolio_id}/trades?limit=500").json["items"]
    return found


def test_a_dry_run_shows_every_row_and_books_nothing(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    found = send(ada, portfolio_id, BROKEN, "?dry_run=true")
    assert found.status_code == 200, found.text
    answer = found.json
    assert answer["format"] == "generic"
    assert [row["status"] for row in answer["rows"]] == ["new", "new", "new", "new", "split", "error"]
    assert answer["rows"][5]["errors"] == ["quantity: “ten” is no number."]
    assert answer["rows"][2]["entry"]["quantity"] == "-5"
    assert answer["rows"][4]["split"] == {"ticker": "MSFT", "day": "2023-02-01", "ratio": "2"}
    assert answer["counts"] == {
        "new": 4,
        "duplicate": 0,
        "possible_duplicate": 0,
        "error": 1,
        "ignored": 0,
        "split": 1,
        "booked": 0,
    }
    assert (answer["import_id"], answer["revision"]) == (None, None)
    assert trades(ada, portfolio_id) == []


def test_twins_are_both_booked_and_the_same_file_again_books_nothing(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    first = send(ada, portfolio_id, FILE).json
    assert (first["counts"]["booked"], first["revision"]) == (4, 1)
    booked = trades(ada, portfolio_id)
    assert len(booked) == 4
    assert {trade["import_id"] for trade in booked} == {first["import_id"]}
    # Of the same day, in the order of the file.
    assert [trade["quantity"] for trade in booked] == [None, "-5", "10", "10"]
    again = send(ada, portfolio_id, FILE).json
    assert {row["status"] for row in again["rows"]} == {"duplicate", "known_split"}
    assert (again["counts"]["booked"], again["import_id"], again["revision"]) == (0, None, None)
    # A third twin, and a file that has grown.
    third = send(ada, portfolio_id, FILE + TWIN).json
    assert [row["status"] for row in third["rows"]].count("new") == 1
    assert len(trades(ada, portfolio_id)) == 5
    with engine.connect() as connection:
        splits = connection.execute(text("SELECT day, ratio, source FROM splits")).all()
        tickers = set(connection.scalars(text("SELECT ticker FROM instruments")))
    assert [tuple(split) for split in splits] == [(date(2023, 2, 1), Decimal(2), "user")]
    assert tickers == {"AAPL", "MSFT", "EURUSD=X"}


def test_all_rows_or_none_unless_some_are_picked(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    problem = assert_problem(send(ada, portfolio_id, BROKEN), 409, "rows-in-error")
    assert "line 7" in problem["detail"]
    assert trades(ada, portfolio_id) == []
    picked = send(ada, portfolio_id, BROKEN, rows=[2, 4, 7]).json
    assert picked["counts"]["booked"] == 2
    assert sorted(trade["quantity"] for trade in trades(ada, portfolio_id)) == ["-5", "10"]


def test_what_was_booked_by_hand_is_asked_about_and_booked_only_if_picked(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, quantity="10", price="125.5", executed_at="2023-01-03T16:00:00Z")
    found = send(ada, portfolio_id, FILE).json
    # One trade by hand can be the twin of one row.
    assert [row["status"] for row in found["rows"]][:2] == ["possible_duplicate", "new"]
    assert found["counts"]["booked"] == 3
    assert send(ada, portfolio_id, FILE, rows=[2]).json["counts"]["booked"] == 1


def test_an_import_is_taken_back_with_a_trace(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    kept = ada.trade(portfolio_id)["trade"]
    done = send(ada, portfolio_id, FILE).json
    listed = ada.get(f"/api/portfolios/{portfolio_id}/imports").json["items"]
    assert [(one["id"], one["booked"], one["file_name"], one["format"]) for one in listed] == [
        (done["import_id"], 4, "broker.csv", "generic")
    ]
    taken = ada.send("DELETE", f"/api/portfolios/{portfolio_id}/imports/{done['import_id']}")
    assert taken.json == {"removed": 4, "revision": 3}
    assert trades(ada, portfolio_id) == [kept]
    trail = ada.get(f"/api/portfolios/{portfolio_id}/trades/changes").json["items"]
    assert [one["action"] for one in trail] == ["removal"] * 4
    assert_problem(
        ada.send("DELETE", f"/api/portfolios/{portfolio_id}/imports/{done['import_id']}"), 404, "no-such-import"
    )
    assert send(ada, portfolio_id, FILE).json["counts"]["booked"] == 4


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_goes_out_comes_back_to_the_same_book(ada: Caller, kind: str) -> None:
    portfolio_id = ada.portfolio(cost_basis="fifo")
    send(ada, portfolio_id, FILE)
    ada.trade(portfolio_id, note='=1+1; "quoted", ünï', executed_at="2023-03-01T15:30:00.25Z")
    exported = ada.get(f"/api/portfolios/{portfolio_id}/trades/export?format={kind}")
    assert exported.status_code == 200
    assert f'filename="tailwatch-{portfolio_id}.{kind}"' in exported.headers["Content-Disposition"]
    copy = ada.portfolio(name="Copy", cost_basis="fifo")
    taken = send(ada, copy, exported.data).json
    assert taken["counts"]["booked"] == 5
    ours = ("id", "created_at", "updated_at", "import_id")
    plain = [
        [{k: v for k, v in t.items() if k not in ours} for t in trades(ada, each)] for each in (portfolio_id, copy)
    ]
    assert plain[0] == plain[1]
    holdings = [ada.get(f"/api/portfolios/{each}/holdings").json for each in (portfolio_id, copy)]
    assert holdings[0]["items"] == holdings[1]["items"]
    assert holdings[0]["cash"] == holdings[1]["cash"]


def test_columns_and_symbols_are_mapped(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    unknown = "When;What;Pieces;At\n31.01.2023;US0378331005;2,5;130,25\n"
    problem = assert_problem(send(ada, portfolio_id, unknown), 422, "invalid-input", "file")
    assert "When, What, Pieces, At" in problem["errors"][0]["message"]
    mapping = {
        "columns": {"date": "When", "symbol": "What", "quantity": "Pieces", "price": "At"},
        "symbols": {"US0378331005": "AAPL"},
    }
    assert send(ada, portfolio_id, unknown, mapping=mapping).json["counts"]["booked"] == 1
    [trade] = trades(ada, portfolio_id)
    assert (trade["ticker"], trade["quantity"], trade["price"]) == ("AAPL", "2.5", "130.25")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"mapping": "["}, "mapping"),
        ({"mapping": "[]"}, "mapping"),
        ({"mapping": {"columns": {"when": "x"}}}, "mapping"),
        ({"mapping": {"columns": {"date": 1}}}, "mapping"),
        ({"mapping": {"other": {}}}, "mapping"),
        ({"rows": "2,3"}, "rows"),
        ({"rows": ["2"]}, "rows"),
        ({"rows": [True]}, "rows"),
    ],
)
def test_what_is_said_of_a_file_is_checked(ada: Caller, fields: dict[str, Any], field: str) -> None:
    assert_problem(send(ada, ada.portfolio(), FILE, **fields), 422, "invalid-input", field)


def test_what_is_no_file_is_refused(ada: Caller, eve: Caller) -> None:
    portfolio_id = ada.portfolio()
    assert_problem(send(ada, portfolio_id, b"PK\x03\x04"), 422, "invalid-input", "file")
    assert_problem(ada.post(f"/api/portfolios/{portfolio_id}/trades/import", {}), 415, "not-a-form")
    without = ada.client.post(
        f"/api/portfolios/{portfolio_id}/trades/import",
        data={"mapping": "{}"},
        headers={"Authorization": f"Bearer {ada.secret}"},
        content_type="multipart/form-data",
    )
    assert_problem(without, 422, "invalid-input", "file")
    assert send(ada, portfolio_id, b"x" * 33_000_000).status_code == 413
    for answer in (
        send(eve, portfolio_id, FILE),
        eve.get(f"/api/portfolios/{portfolio_id}/trades/export"),
        eve.get(f"/api/portfolios/{portfolio_id}/imports"),
        eve.send("DELETE", f"/api/portfolios/{portfolio_id}/imports/1"),
    ):
        assert_problem(answer, 404, "no-such-portfolio")


def test_two_who_import_the_same_file_at_once_book_it_once(ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    start = threading.Barrier(4)
    booked: list[int] = []

    def one() -> None:
        start.wait()
        booked.append(send(ada, portfolio_id, FILE).json["counts"]["booked"])

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(booked) == [0, 0, 0, 4]
    assert len(trades(ada, portfolio_id)) == 4
