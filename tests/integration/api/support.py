"""The application in this process, and people who call it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from api import edge_cache, health
from api.app import create_app
from api.auth import CSRF_HEADER, SESSION_COOKIE
from tailwatch import accounts, live
from tailwatch.db.session import get_engine, transaction
from tailwatch.settings import get_settings


def forget_settings() -> None:
    """Have the next question for a setting or a connection look at the environment again."""
    if get_engine.cache_info().currsize:
        get_engine().dispose()
        get_engine(autocommit=True).dispose()
    for cached in (get_settings, get_engine, live.client, health.broker, edge_cache.marks):
        cached.cache_clear()


def application() -> Flask:
    """Return the application of this process for the servers that the settings in force name."""
    return _application(get_settings().redis_url)


# The limiters are made with the address of their Valkey: another Valkey takes another application.
@lru_cache(maxsize=1)
def _application(redis_url: str) -> Flask:
    return create_app()


class Caller:
    """Somebody with an account, who sends requests with a token."""

    def __init__(self, app: Flask, engine: Engine, email: str, scope: accounts.Scope = "write") -> None:
        self.app = app
        self.engine = engine
        self.email = email
        with transaction(engine) as session:
            user = accounts.create_owner(session, email)
            self.user_id = user.id
            token, self.secret = accounts.create_token(session, user.id, "tests", scope, datetime.now(UTC))
            self.token_id = token.id
        self.client = app.test_client(use_cookies=False)

    def send(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}"} | options.pop("headers", {})
        return self.client.open(path, method=method, json=json, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("POST", path, json, **options)

    def portfolio(self, name: str = "Main", **settings: Any) -> int:
        answer = self.post("/api/portfolios", {"name": name, **settings})
        assert answer.status_code == 201, answer.text
        return int(answer.json["id"])

    def trade(self, portfolio_id: int, **more: Any) -> dict[str, Any]:
        body = {"ticker": "AAPL", "quantity": "3", "price": "12.5"} | more
        answer = self.post(f"/api/portfolios/{portfolio_id}/trades", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json)


class Browser:
    """A signed-in browser: a session cookie, and the CSRF token with every write."""

    def __init__(self, app: Flask, engine: Engine, user_id: int, lifetime: timedelta = timedelta(days=1)) -> None:
        with transaction(engine) as session:
            self.opened = accounts.open_session(session, user_id, datetime.now(UTC), lifetime)
        self.client: FlaskClient = app.test_client()
        self.client.set_cookie(SESSION_COOKIE, self.opened.token)

    def send(self, method: str, path: str, json: Any = None, *, csrf: str | None = "right") -> TestResponse:
        token = self.opened.principal.csrf_token if csrf == "right" else csrf
        headers = {CSRF_HEADER: token} if token else {}
        return self.client.open(path, method=method, json=json, headers=headers)


def assert_problem(answer: TestResponse, status: int, slug: str, *fields: str) -> dict[str, Any]:
    """Check that `answer` is the problem `slug`, naming exactly these members; return it."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["detail"].endswith((".", "?", ")")), problem["detail"]
    assert {error["field"] for error in problem["errors"]} == set(fields)
    return problem
