"""PostgreSQL or Valkey restarted, down or hung, while requests come in."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from tailwatch import accounts
from tailwatch.db import migrate
from tailwatch.db.session import sqlalchemy_url, transaction
from tests.integration.api.support import Caller, application, assert_problem, forget_settings
from tests.support.servers import Servers, start_servers

TRADE = {"ticker": "AAPL", "quantity": "3", "price": "12.5"}


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    with start_servers() as running:
        yield running


@pytest.fixture(scope="module")
def own_engine(own_servers: Servers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(own_servers.create_database("away")), pool_pre_ping=True)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def somebody(own_servers: Servers, own_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.setenv("DATABASE_URL", own_servers.url("away"))
    monkeypatch.setenv("REDIS_URL", own_servers.redis_url)
    forget_settings()
    yield Caller(application(), own_engine, f"{time.monotonic_ns()}@example.org")
    forget_settings()


def trades(engine: Engine, portfolio_id: int) -> int:
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM trades WHERE portfolio_id = :id")
        return int(connection.scalar(query, {"id": portfolio_id}) or 0)


def test_a_restarted_database_is_not_even_noticed(somebody: Caller, own_servers: Servers, own_engine: Engine) -> None:
    portfolio_id = somebody.portfolio()
    url = f"/api/portfolios/{portfolio_id}/trades"

    def post(_: int) -> int:
        return somebody.post(url, TRADE).status_code

    # Several connections in the pool, all of which die.
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(post, range(10))) == [201] * 10
    own_servers.stop_postgres()
    own_servers.start_postgres()
    assert [post(n) for n in range(6)] == [201] * 6
    own_servers.stop_postgres(signal.SIGQUIT)
    own_servers.start_postgres()
    assert somebody.get(url).status_code == 200
    assert trades(own_engine, portfolio_id) == 16


def test_while_the_database_is_down_requests_say_so_and_recover(
    somebody: Caller, own_servers: Servers, own_engine: Engine
) -> None:
    portfolio_id = somebody.portfolio()
    url = f"/api/portfolios/{portfolio_id}/trades"
    client = somebody.app.test_client()
    own_servers.stop_postgres()
    try:
        for answer in (somebody.post(url, TRADE), somebody.get(url), somebody.get("/api/risk")):
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        ready = client.get("/readyz")
        problem = assert_problem(ready, 503, "unavailable")
        assert "The database does not answer" in problem["detail"]
        assert problem["checks"]["database"]["ok"] is False
        assert client.get("/healthz").json == {"status": "ok"}
        assert b"tailwatch_database_up 0.0" in client.get("/metrics").data
    finally:
        own_servers.start_postgres()
    assert somebody.post(url, TRADE).status_code == 201
    assert trades(own_engine, portfolio_id) == 1


def test_trades_do_not_need_valkey(somebody: Caller, own_servers: Servers) -> None:
    url = f"/api/portfolios/{somebody.portfolio()}/trades"
    assert somebody.post(url, TRADE).status_code == 201
    own_servers.stop_valkey()
    try:
        assert somebody.post(url, TRADE).status_code == 201
        assert b"tailwatch_broker_up 0.0" in somebody.app.test_client().get("/metrics").data
        checks = somebody.app.test_client().get("/readyz").json["checks"]
        assert checks["broker"]["ok"] is False
        assert checks["database"]["ok"] is True
    finally:
        own_servers.start_valkey()
    assert somebody.post(url, TRADE).status_code == 201


def test_a_hung_valkey_does_not_slow_trades_down(somebody: Caller, own_servers: Servers) -> None:
    url = f"/api/portfolios/{somebody.portfolio()}/trades"
    assert somebody.post(url, TRADE).status_code == 201
    valkey = own_servers._valkey
    assert valkey is not None
    valkey.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert [somebody.post(url, TRADE).status_code for _ in range(5)] == [201] * 5
        # One request finds out (a tenth of a second); the others count for themselves.
        assert time.monotonic() - started < 1.0
    finally:
        valkey.send_signal(signal.SIGCONT)


def test_a_revoked_token_publishes_nothing_harmful_while_valkey_is_down(
    somebody: Caller, own_servers: Servers, own_engine: Engine
) -> None:
    with transaction(own_engine) as session:
        token, secret = accounts.create_token(session, somebody.user_id, "second", "read", datetime.now(UTC))
    own_servers.stop_valkey()
    try:
        assert somebody.send("DELETE", f"/api/tokens/{token.id}").status_code == 204
    finally:
        own_servers.start_valkey()
    app: Flask = somebody.app
    refused = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {secret}"})
    assert_problem(refused, 401, "not-signed-in")


def test_readiness_asks_for_a_recent_round_trip_and_migrations(somebody: Caller, own_engine: Engine) -> None:
    client = somebody.app.test_client()

    def beat(age: str) -> None:
        with own_engine.begin() as connection:
            connection.execute(text("DELETE FROM worker_heartbeats"))
            connection.execute(
                text(
                    "INSERT INTO worker_heartbeats (queue, answered_at) "
                    "SELECT unnest(ARRAY['interactive', 'nightly', 'prices']), now() - CAST(:age AS interval)"
                ),
                {"age": age},
            )

    beat("10 seconds")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "ready")
    beat("2 minutes")
    problem = assert_problem(client.get("/readyz"), 503, "unavailable")
    assert "worker:interactive: No worker of this queue has answered since" in problem["detail"]
    beat("10 seconds")
    with own_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        problem = assert_problem(client.get("/readyz"), 503, "unavailable")
        assert problem["checks"]["migrations"]["ok"] is False
    finally:
        with own_engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.head()})
