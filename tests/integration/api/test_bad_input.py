"""Whatever a caller sends wrongly is its own clear problem, and books nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.integration.api.support import Browser, Caller, assert_problem

GOOD = {"ticker": "AAPL", "quantity": "3", "price": "12.5"}
NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).isoformat()


def booked(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM trades")) or 0)


@pytest.fixture
def url(ada: Caller) -> str:
    return f"/api/portfolios/{ada.portfolio()}/trades"


WRONG: list[tuple[str, object]] = [
    ("ticker", ""),
    ("ticker", "   "),
    ("ticker", "A B"),
    ("ticker", "A" * 25),
    ("ticker", "ẞAP"),
    ("ticker", "AA\u0000PL"),
    ("ticker", "../etc"),
    ("ticker", 5),
    ("ticker", None),
    ("quantity", 0),
    ("quantity", "0.000"),
    ("quantity", "-0"),
    ("quantity", "NaN"),
    ("quantity", "Infinity"),
    ("quantity", "1e999"),
    ("quantity", "123456789012345678901234567890"),
    ("quantity", "0.12345678901"),
    ("quantity", "1.123456789012345678901234567890"),
    ("quantity", "12 3"),
    ("quantity", "1_000"),
    ("quantity", "٣"),
    ("quantity", True),
    ("quantity", None),
    ("quantity", [1]),
    ("quantity", {"value": 1}),
    ("price", -1),
    ("price", "-0.01"),
    ("price", "twelve"),
    ("price", "1,5"),
    ("fee", -1),
    ("fee", None),
    ("currency", "usd"),
    ("currency", "DOLLAR"),
    ("executed_at", "1800-01-01T00:00:00Z"),
    ("executed_at", "0001-01-01T00:00:00+14:00"),
    ("executed_at", NEXT_YEAR),
    ("executed_at", "9999-12-31T23:59:59-14:00"),
    ("executed_at", "yesterday"),
    ("executed_at", "2026-02-30"),
    ("executed_at", 1_700_000_000),
    ("note", "x" * 1001),
    ("note", "a\u0000b"),
    ("note", 5),
    ("external_id", ""),
    ("external_id", "x" * 201),
    ("external_id", "a\u0000b"),
    ("quantitty", "3"),
]


def test_a_member_that_cannot_be_used_is_named(
    ada: Caller, engine: Engine, url: str, subtests: pytest.Subtests
) -> None:
    for field, wrong in WRONG:
        with subtests.test(field=field, wrong=wrong):
            problem = assert_problem(ada.post(url, GOOD | {field: wrong}), 422, "invalid-input", field)
            assert all(error["message"] for error in problem["errors"])
    assert booked(engine) == 0


BEYOND_BOUNDS = [
    "NaN",
    "123456789012345678901234567890",
    "Infinity",
    "-Infinity",
    "1e400",
    "1E+99999",
    "0." + "0" * 400 + "1",
]


def test_numbers_beyond_all_bounds_are_the_members_fault(ada: Caller, url: str, subtests: pytest.Subtests) -> None:
    for constant in BEYOND_BOUNDS:
        with subtests.test(constant=constant):
            body = '{"ticker": "AAPL", "quantity": ' + constant + ', "price": 1}'
            assert_problem(send_raw(ada, url, body), 422, "invalid-input", "quantity")


def send_raw(who: Caller, url: str, body: str | bytes, content_type: str = "application/json") -> Any:
    return who.send("POST", url, data=body, content_type=content_type)


NOT_JSON: list[str | bytes] = [
    "",
    "{",
    "{'ticker': 'AAPL'}",
    '{"ticker": "AAPL",}',
    b"\xff\xfe",
    '{"ticker": "\\ud800"}',
    '{"\\udfff": 1}',
    "[" * 100_000,
    '{"quantity": ' + "9" * 5000 + "}",
    '{"quantity": 1e99999999999999999999}',
]


def test_what_is_not_json_is_refused(ada: Caller, engine: Engine, url: str, subtests: pytest.Subtests) -> None:
    for body in NOT_JSON:
        with subtests.test(body=body[:40]):
            assert_problem(send_raw(ada, url, body), 400, "bad-json")
    assert booked(engine) == 0


def test_json_that_is_no_object_is_refused(ada: Caller, url: str, subtests: pytest.Subtests) -> None:
    for body in ("[]", '"x"', "5", "true", "null"):
        with subtests.test(body=body):
            answer = send_raw(ada, url, body)
            assert answer.status_code == 422
            assert answer.json["type"] == "/problems/invalid-input"


def test_a_body_must_say_that_it_is_json(ada: Caller, url: str, subtests: pytest.Subtests) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        with subtests.test(content_type=content_type):
            assert_problem(send_raw(ada, url, '{"ticker": "AAPL"}', content_type), 415, "not-json")


def test_ten_megabytes_are_too_much(ada: Caller, engine: Engine, url: str) -> None:
    assert_problem(send_raw(ada, url, '{"note": "' + "x" * 10_000_000 + '"}'), 413, "too-large")
    assert booked(engine) == 0


def test_numbers_are_read_exactly_as_strings_or_numbers(ada: Caller, url: str) -> None:
    body = '{"ticker": " aapl ", "quantity": 0.1234567891, "price": 1.10, "fee": 1e-2}'
    trade = send_raw(ada, url, body).json["trade"]
    assert (trade["quantity"], trade["price"], trade["fee"]) == ("0.1234567891", "1.1", "0.01")
    assert trade["ticker"] == "AAPL"
    largest = ada.post(url, GOOD | {"quantity": "-1000000000000", "price": 0}).json["trade"]
    assert (largest["quantity"], largest["price"]) == ("-1000000000000", "0")
    assert [t["quantity"] for t in ada.get(url).json["items"]] == ["-1000000000000", "0.1234567891"]


def test_the_largest_amounts_can_be_shown(ada: Caller, url: str) -> None:
    for _ in range(3):
        assert ada.post(url, GOOD | {"quantity": "999999999999.0000000001", "price": 10**12}).status_code == 201
    holdings = ada.get(url.replace("/trades", "/holdings"))
    assert holdings.status_code == 200
    assert holdings.json["items"][0]["quantity"] == "2999999999997.0000000003"


def test_a_well_formed_ticker_that_nobody_knows_is_accepted(ada: Caller, url: str) -> None:
    assert ada.post(url, GOOD | {"ticker": "NOSUCHTICKER"}).status_code == 201
    [holding] = ada.get(url.replace("/trades", "/holdings")).json["items"]
    assert (holding["ticker"], holding["status"], holding["market_value"]) == ("NOSUCHTICKER", "pending", None)


def test_dates_without_an_offset_are_utc_and_a_day_of_grace_is_given(ada: Caller, url: str) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    assert ada.post(url, GOOD | {"executed_at": tomorrow}).status_code == 201
    answer = ada.post(url, GOOD | {"executed_at": "2024-03-05"})
    assert answer.json["trade"]["executed_at"] == "2024-03-05T00:00:00Z"
    answer = ada.post(url, GOOD | {"executed_at": "2024-03-05T10:00:00+02:00"})
    assert answer.json["trade"]["executed_at"] == "2024-03-05T08:00:00Z"


@pytest.mark.parametrize(
    "change", [{"quantity": 0}, {"quantity": None}, {"ticker": None}, {"price": "-1"}, {"id": 5}]
)
def test_changes_are_held_to_the_same_rules(ada: Caller, url: str, change: dict[str, Any]) -> None:
    trade_id = ada.post(url, GOOD).json["trade"]["id"]
    assert_problem(ada.send("PATCH", f"{url}/{trade_id}", change), 422, "invalid-input", *change)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=9999999999999999999999",
        "cursor=%00",
        "cursor=zzz",
        "cursor=é",
        "page=2",
    ],
)
def test_queries_are_checked(ada: Caller, url: str, query: str) -> None:
    answer = ada.get(f"{url}?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("query", ["from=2026-13-01", "from=1", "to=tomorrow", "to=0000-00-00", "from=%F0%9F%92%A9"])
def test_history_takes_days(ada: Caller, url: str, query: str) -> None:
    answer = ada.get(url.replace("/trades", f"/risk/history?{query}"))
    assert_problem(answer, 422, "invalid-input", query.partition("=")[0])


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": " "}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "a\u0007b"}, "name"),
    ({"name": "M", "base_currency": "US"}, "base_currency"),
    ({"name": "M", "benchmark": "no good"}, "benchmark"),
    ({"name": "M", "risk_method": "astrology"}, "risk_method"),
    ({"name": "M", "risk_window": 59}, "risk_window"),
    ({"name": "M", "risk_window": 2501}, "risk_window"),
    ({"name": "M", "risk_window": 500.5}, "risk_window"),
    ({"name": "M", "risk_confidence": "90"}, "risk_confidence"),
]


def test_portfolio_settings_are_checked(ada: Caller, subtests: pytest.Subtests) -> None:
    for settings, field in WRONG_SETTINGS:
        with subtests.test(settings=settings):
            assert_problem(ada.post("/api/portfolios", settings), 422, "invalid-input", field)


def test_unknown_paths_and_methods(ada: Caller) -> None:
    assert_problem(ada.get("/api/nothing"), 404, "no-such-path")
    assert_problem(ada.post("/api/nothing", {}), 404, "no-such-path")
    answer = ada.send("PUT", "/api/me")
    assert_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]
    assert_problem(ada.post("/not/of/the/api", {}), 404, "no-such-path")


def test_ids_that_are_none(ada: Caller, subtests: pytest.Subtests) -> None:
    for bad_id in ("0", "99999999999999999999999", "-1", "x", "1.5", "%00", "٣"):
        with subtests.test(bad_id=bad_id):
            assert ada.get(f"/api/portfolios/{bad_id}").status_code == 404
            assert ada.get(f"/api/portfolios/{bad_id}/risk").status_code == 404


def test_a_trade_with_a_known_external_id_is_refused(ada: Caller, engine: Engine, url: str) -> None:
    assert ada.post(url, GOOD | {"external_id": "broker-1"}).status_code == 201
    assert_problem(ada.post(url, GOOD | {"external_id": "broker-1"}), 409, "trade-exists", "external_id")
    assert booked(engine) == 1
    other = ada.portfolio("Other")
    assert ada.post(f"/api/portfolios/{other}/trades", GOOD | {"external_id": "broker-1"}).status_code == 201


def test_names_of_portfolios_are_unique_for_each_user(ada: Caller, eve: Caller) -> None:
    ada.portfolio("Main")
    assert_problem(ada.post("/api/portfolios", {"name": "Main"}), 409, "portfolio-exists", "name")
    eve.portfolio("Main")


def test_headers_that_make_no_sense(ada: Caller, browser: Browser, url: str) -> None:
    for header in ("Basic YTpi", "Bearer", "Bearer  ", "Bearer \xff\xfe", "nonsense"):
        answer = ada.send("GET", "/api/me", headers={"Authorization": header})
        assert_problem(answer, 401, "not-signed-in")
    answer = browser.send("POST", "/api/portfolios", {"name": "x"}, csrf="\xff")
    assert_problem(answer, 403, "csrf")
    assert_problem(ada.post(url, GOOD, headers={"Idempotency-Key": "a b"}), 422, "invalid-input", "Idempotency-Key")
    assert_problem(ada.post(url, GOOD, headers={"Idempotency-Key": ""}), 422, "invalid-input", "Idempotency-Key")
    assert ada.get(url.replace("trades", "risk"), headers={"If-None-Match": "\xff, nonsense"}).status_code == 200
