"""Socket.IO on the real web server: who gets which events, and who no longer does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import requests
import socketio
from sqlalchemy import text

from api.auth import SESSION_COOKIE
from tailwatch import accounts, live
from tailwatch.db.session import transaction
from tests.integration.api.support import forget_settings
from tests.support.product import Product
from tests.support.servers import Servers
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def product(servers: Servers) -> Iterator[Product]:
    servers.create_database("live")
    product = Product(servers, "live", WEB_CONCURRENCY="2")
    product.start("web")

    valkey = redis.Redis.from_url(servers.redis_url)

    def listening() -> bool:
        [(_, processes)] = valkey.pubsub_numsub(live.CHANNEL)
        return bool(processes == 2)

    try:
        wait_until(listening, "both web processes listen for live messages")
        yield product
    finally:
        product.stop()
        servers.drop_database("live")


@pytest.fixture(autouse=True)
def publishing(product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REDIS_URL", product.servers.redis_url)
    forget_settings()
    yield
    forget_settings()


class Page:
    def __init__(self, product: Product, origin: str | None = None, **how: Any) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.gone = threading.Event()
        self.client = socketio.Client(reconnection=False, websocket_extra_options={"origin": origin or product.url})
        for event in ("risk", "progress"):
            self.client.on(event, lambda payload, event=event: self.events.append((event, payload)))
        self.client.on("disconnect", lambda *_: self.gone.set())
        self.client.connect(product.url, transports=["websocket"], **how)

    def subscribe(self, message: object) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.call("subscribe", message, timeout=10)
        return answer


@contextmanager
def page(product: Product, **how: Any) -> Iterator[Page]:
    opened = Page(product, **how)
    try:
        yield opened
    finally:
        opened.client.disconnect()


def refused(product: Product, **how: Any) -> bool:
    try:
        with page(product, **how):
            return False
    except socketio.exceptions.ConnectionError:
        return True


def risk(portfolio_id: int, revision: int = 1) -> live.RiskMessage:
    return {
        "kind": "risk",
        "portfolio_id": portfolio_id,
        "snapshot_id": revision,
        "revision": revision,
        "state": "fresh",
        "annualized_volatility": 0.2,
        "var_95_1d": 0.02,
        "es_95_1d": 0.03,
        "nav": 1000.0,
        "computed_at": "2026-11-23T12:00:00Z",
        "timing": {"published": datetime.now(UTC).timestamp()},
    }


def publish(message: live.Message, arrived: Callable[[], object]) -> None:
    assert live.publish(message)
    wait_until(arrived, "the event arrives", 10)


def test_a_subscriber_gets_the_state_at_once_and_events_as_they_come(product: Product) -> None:
    portfolio_id = product.create_portfolio("Events")
    product.trade(portfolio_id)
    with page(product, auth={"token": product.token}) as opened:
        state = opened.subscribe({"portfolio_id": portfolio_id})
        assert (state["state"], state["wanted_revision"], state["snapshot_id"]) == ("stale", 1, None)
        publish(risk(portfolio_id), lambda: opened.events)
        event, payload = opened.events[0]
        assert event == "risk"
        assert payload["revision"] == 1
        assert "kind" not in payload
        assert {"nav", "var_95_1d", "computed_at", "timing"} <= payload.keys()
        opened.events.clear()
        live.publish({"kind": "progress", "portfolio_id": portfolio_id, "stage": "prices", "fraction": 0.5})
        wait_until(lambda: opened.events, "progress arrives")
        assert opened.events == [("progress", {"portfolio_id": portfolio_id, "stage": "prices", "fraction": 0.5})]
        assert opened.client.call("unsubscribe", {"portfolio_id": portfolio_id}) == {}
        assert opened.subscribe({"portfolio_id": product.create_portfolio("Marker")})["state"] == "empty"
        opened.events.clear()
        live.publish(risk(portfolio_id, 2))
        live.publish(risk(portfolio_id + 1, 3))
        wait_until(lambda: opened.events, "the other portfolio's event arrives")
        assert [payload["revision"] for _, payload in opened.events] == [3]


def test_nobody_connects_without_a_credential_that_holds(product: Product) -> None:
    assert refused(product)
    assert refused(product, auth={"token": "tw_wrong"})
    assert refused(product, auth={"token": 5})
    assert refused(product, headers={"Cookie": f"{SESSION_COOKIE}=wrong"})


def test_a_browser_connects_by_its_cookie_and_only_from_this_host(product: Product) -> None:
    with transaction(product.engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        opened = accounts.open_session(session, owner.id, datetime.now(UTC), timedelta(hours=1))
    cookie = {"Cookie": f"{SESSION_COOKIE}={opened.token}"}
    with page(product, headers=cookie, origin=product.url) as ours:
        assert ours.client.connected
    assert refused(product, headers=cookie, origin="https://evil.example")


def test_what_cannot_be_subscribed_to_is_a_problem(product: Product) -> None:
    with transaction(product.engine) as session:
        eve = accounts.create_owner(session, "eve@example.org")
        _, secret = accounts.create_token(session, eve.id, "eve", "write", datetime.now(UTC))
    theirs = product.create_portfolio("Not yours")
    with page(product, auth={"token": secret}) as opened:
        assert opened.subscribe({"portfolio_id": theirs})["type"] == "/problems/no-such-portfolio"
        assert opened.subscribe({"portfolio_id": 2**62})["status"] == 404
        for nonsense in ({}, "x", None, {"portfolio_id": "1"}, {"portfolio_id": 2**70}, {"portfolio_id": True}):
            assert opened.subscribe(nonsense)["type"] == "/problems/invalid-input"
        with page(product, auth={"token": product.token}) as owner:
            owner.subscribe({"portfolio_id": theirs})
            publish(risk(theirs), lambda: owner.events)
        assert opened.events == []


def test_revoking_a_token_ends_its_connections_at_once(product: Product) -> None:
    with transaction(product.engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        token, secret = accounts.create_token(session, owner.id, "short", "read", datetime.now(UTC))
    portfolio_id = product.create_portfolio("Revoked")
    with page(product, auth={"token": secret}) as opened, page(product, auth={"token": product.token}) as other:
        opened.subscribe({"portfolio_id": portfolio_id})
        other.subscribe({"portfolio_id": portfolio_id})
        publish(risk(portfolio_id), lambda: opened.events and other.events)
        assert product.api.delete(f"{product.url}/api/tokens/{token.id}", timeout=5).status_code == 204
        assert opened.gone.wait(5)
        assert not other.gone.is_set()


def test_an_event_is_only_delivered_to_whom_may_still_see_it(product: Product) -> None:
    """Access that ended without anybody saying so: the database is asked before every event."""
    with transaction(product.engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        token, secret = accounts.create_token(session, owner.id, "silent", "read", datetime.now(UTC))
    portfolio_id = product.create_portfolio("Silent")
    with page(product, auth={"token": secret}) as opened, page(product, auth={"token": product.token}) as other:
        opened.subscribe({"portfolio_id": portfolio_id})
        other.subscribe({"portfolio_id": portfolio_id})
        publish(risk(portfolio_id), lambda: opened.events and other.events)
        opened.events.clear()
        with product.engine.begin() as connection:
            connection.execute(
                text("UPDATE api_tokens SET expires_at = now() - interval '1 second' WHERE id = :id"),
                {"id": token.id},
            )
        live.publish(risk(portfolio_id, 2))
        assert opened.gone.wait(5)
        wait_until(lambda: other.events[-1][1]["revision"] == 2, "the other one gets it")
        assert opened.events == []


def test_a_deleted_portfolio_drops_its_watchers(product: Product) -> None:
    portfolio_id = product.create_portfolio("Deleted")
    with page(product, auth={"token": product.token}) as opened:
        opened.subscribe({"portfolio_id": portfolio_id})
        publish(risk(portfolio_id), lambda: opened.events)
        assert product.api.delete(f"{product.url}/api/portfolios/{portfolio_id}", timeout=5).status_code == 204
        assert opened.gone.wait(5)


def test_both_processes_measure_into_one_answer(product: Product) -> None:
    for _ in range(8):
        assert requests.get(f"{product.url}/healthz", timeout=5).ok
    wanted = 'tailwatch_http_request_seconds_count{method="GET",route="/healthz",status="200"}'
    line = next(
        line
        for line in requests.get(f"{product.url}/metrics", timeout=5).text.splitlines()
        if line.startswith(wanted)
    )
    assert float(line.rpartition(" ")[2]) >= 8
