"""Who may do what: credentials, scopes, CSRF, owners; and that taking access away works at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from api.auth import CSRF_HEADER, SESSION_COOKIE
from tailwatch import accounts
from tailwatch.db.models import User
from tailwatch.db.session import transaction
from tests.integration.api.support import Browser, Caller, assert_problem

PASSWORD = "correct horse battery"


@pytest.fixture
def password(ada: Caller, engine: Engine) -> str:
    with transaction(engine) as session:
        accounts.set_password(session, session.get_one(User, ada.user_id), PASSWORD)
    return PASSWORD


def test_signing_in_gives_a_cookie_that_scripts_cannot_read(app: Flask, ada: Caller, password: str) -> None:
    client = app.test_client()
    answer = client.post("/api/session", json={"email": " ADA@example.org ", "password": password})
    assert answer.status_code == 200
    assert answer.json["user"] == {"id": ada.user_id, "email": "ada@example.org"}
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert answer.headers["Cache-Control"] == "no-store"
    me = client.get("/api/me").json
    assert me == answer.json

    assert_problem(client.delete("/api/session"), 403, "csrf")
    assert client.delete("/api/session", headers={CSRF_HEADER: me["csrf_token"]}).status_code == 204
    client.set_cookie(SESSION_COOKIE, cookie.partition("=")[2].partition(";")[0])
    assert_problem(client.get("/api/me"), 401, "not-signed-in")


def test_wrong_passwords_and_unknown_accounts_look_the_same(app: Flask, ada: Caller, password: str) -> None:
    client = app.test_client()
    wrong = client.post("/api/session", json={"email": "ada@example.org", "password": "x"})
    unknown = client.post("/api/session", json={"email": "bob@example.org", "password": "x"})
    assert assert_problem(wrong, 401, "wrong-password") == assert_problem(unknown, 401, "wrong-password")
    without_password = Caller(app, ada.engine, "carl@example.org")
    answer = client.post("/api/session", json={"email": without_password.email, "password": "x"})
    assert_problem(answer, 401, "wrong-password")


def test_signing_in_with_nonsense_is_refused_by_field(app: Flask, ada: Caller) -> None:
    for email in ("a\u0000@example.org", "x", "x" * 255, 5, None):
        answer = app.test_client().post("/api/session", json={"email": email, "password": "x"})
        assert_problem(answer, 422, "invalid-input", "email")


def test_guessing_passwords_is_limited_by_account(app: Flask, ada: Caller, password: str) -> None:
    def guess(number: int) -> int:
        answer = app.test_client().post(
            "/api/session",
            json={"email": "ada@example.org", "password": "x"},
            environ_overrides={"REMOTE_ADDR": f"10.0.0.{number}"},
        )
        return answer.status_code

    refused_at = next(number for number in range(1, 20) if guess(number) == 429)
    # The window slides: at the turn of a minute one more may pass.
    assert 11 <= refused_at <= 13


def test_a_sign_in_link_works_once(app: Flask, ada: Caller, engine: Engine) -> None:
    now = datetime.now(UTC)
    with transaction(engine) as session:
        user = session.get_one(User, ada.user_id)
        token = accounts.create_sign_in_link(session, user, now)
        old = accounts.create_sign_in_link(session, user, now - timedelta(days=2))
    client = app.test_client()
    assert client.post("/api/session/link", json={"token": token}).status_code == 200
    assert client.get("/api/me").status_code == 200
    for used in (token, old, "nonsense"):
        assert_problem(app.test_client().post("/api/session/link", json={"token": used}), 401, "not-signed-in")


def test_tokens_are_shown_once_and_stop_working_when_revoked(app: Flask, browser: Browser) -> None:
    made = browser.send("POST", "/api/tokens", {"name": "bot", "scope": "read", "expires_in_days": 5})
    assert made.status_code == 201
    secret = made.json["token"]
    bearer = {"Authorization": f"Bearer {secret}"}
    client = app.test_client()
    assert client.get("/api/me", headers=bearer).json["csrf_token"] is None
    listed = browser.send("GET", "/api/tokens").json["items"]
    assert [token["name"] for token in listed] == ["bot", "tests"]
    assert secret not in str(listed)
    assert browser.send("DELETE", f"/api/tokens/{made.json['id']}").status_code == 204
    assert_problem(client.get("/api/me", headers=bearer), 401, "not-signed-in")
    assert_problem(browser.send("DELETE", f"/api/tokens/{made.json['id']}"), 404, "no-such-token")


def test_expired_tokens_and_sessions_are_refused(app: Flask, ada: Caller, engine: Engine) -> None:
    ended = Browser(app, engine, ada.user_id, timedelta(seconds=-1))
    assert_problem(ended.send("GET", "/api/me"), 401, "not-signed-in")
    with transaction(engine) as session:
        session.execute(text("UPDATE api_tokens SET expires_at = now() - interval '1 second'"))
    assert_problem(ada.get("/api/me"), 401, "not-signed-in")


def test_the_use_of_a_token_is_noted_once_a_minute(ada: Caller, engine: Engine) -> None:
    def last_used() -> datetime | None:
        with engine.connect() as connection:
            found: datetime | None = connection.scalar(
                text("SELECT last_used_at FROM api_tokens WHERE id = :id"), {"id": ada.token_id}
            )
            return found

    assert last_used() is None
    ada.get("/api/me").close()
    first = last_used()
    assert first is not None
    ada.get("/api/me").close()
    assert last_used() == first


def test_a_read_token_reads_and_does_not_write(app: Flask, engine: Engine, ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    reader = Caller(app, engine, ada.email, scope="read")
    assert reader.get(f"/api/portfolios/{portfolio_id}/risk").status_code == 200
    for method, path, body in (
        ("POST", "/api/portfolios", {"name": "x"}),
        ("POST", f"/api/portfolios/{portfolio_id}/trades", {"ticker": "A", "quantity": 1, "price": 1}),
        ("POST", "/api/trades", {"ticker": "A", "quantity": 1, "price": 1}),
        ("POST", f"/api/portfolios/{portfolio_id}/risk/recompute", None),
        ("PATCH", f"/api/portfolios/{portfolio_id}", {"name": "x"}),
        ("DELETE", f"/api/portfolios/{portfolio_id}", None),
        ("POST", "/api/tokens", {"name": "x"}),
    ):
        assert_problem(reader.send(method, path, body), 403, "read-only-token")
    assert [p["name"] for p in reader.get("/api/portfolios").json["items"]] == ["Main"]


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_cookie_writes_need_the_csrf_token(browser: Browser, token: str | None) -> None:
    assert_problem(browser.send("POST", "/api/portfolios", {"name": "x"}, csrf=token), 403, "csrf")
    assert browser.send("GET", "/api/portfolios", csrf=token).json["items"] == []
    assert browser.send("POST", "/api/portfolios", {"name": "x"}).status_code == 201


def test_without_a_credential_nothing_is_told(app: Flask, ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    nobody = app.test_client()
    for path in ("/api/me", "/api/portfolios", f"/api/portfolios/{portfolio_id}", "/api/risk", "/api/tokens"):
        assert_problem(nobody.get(path), 401, "not-signed-in")
    assert_problem(nobody.post("/api/trades", json={}), 401, "not-signed-in")


def test_what_belongs_to_somebody_else_is_not_there(ada: Caller, eve: Caller) -> None:
    portfolio_id = ada.portfolio()
    trade_id = ada.trade(portfolio_id)["trade"]["id"]
    own = eve.portfolio("Own")
    mine = f"/api/portfolios/{portfolio_id}"
    body = {"ticker": "AAPL", "quantity": 1, "price": 1}
    for method, path, sent in (
        ("GET", mine, None),
        ("PATCH", mine, {"name": "x"}),
        ("PATCH", mine, {"is_default": True}),
        ("DELETE", mine, None),
        ("GET", f"{mine}/trades", None),
        ("POST", f"{mine}/trades", body),
        ("POST", f"{mine}/trades", body | {"ticker": "NEVERSEEN"}),
        ("GET", f"{mine}/holdings", None),
        ("GET", f"{mine}/risk", None),
        ("GET", f"{mine}/risk/history", None),
        ("POST", f"{mine}/risk/recompute", None),
    ):
        assert_problem(eve.send(method, path, sent), 404, "no-such-portfolio")
    for path in (f"{mine}/trades/{trade_id}", f"/api/portfolios/{own}/trades/{trade_id}"):
        assert_problem(eve.get(path), 404, "no-such-trade")
        assert_problem(eve.send("PATCH", path, {"quantity": 5}), 404, "no-such-trade")
        assert_problem(eve.send("DELETE", path), 404, "no-such-trade")
    assert_problem(eve.send("DELETE", f"/api/tokens/{ada.token_id}"), 404, "no-such-token")
    assert ada.get(f"{mine}/trades").json["items"][0]["quantity"] == "3"
    assert ada.get("/api/portfolios").json["items"][0]["is_default"] is True


def test_metrics_are_for_this_machine_or_a_credential(app: Flask, ada: Caller) -> None:
    client = app.test_client()
    assert b"tailwatch_portfolios_behind 0.0" in client.get("/metrics").data
    elsewhere = {"REMOTE_ADDR": "203.0.113.5"}
    assert_problem(client.get("/metrics", environ_overrides=elsewhere), 401, "not-signed-in")
    proxied = client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert_problem(proxied, 401, "not-signed-in")
    assert ada.get("/metrics", environ_overrides=elsewhere).status_code == 200
