"""One trade's way through all processes can be followed by its request's id, and no secret of anybody's is on it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import simple_websocket
import socketio
from sqlalchemy import text

from tailwatch import accounts
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tailwatch.queue import INTERACTIVE, REFRESH_RISK, make_celery
from tests.support.product import Product, running_product
from tests.support.waiting import wait_until

DATABASE_PASSWORD = "q8-kestrel-under-glass-41"
PROCESSES = {"web": "web", "interactive": "worker", "background": "worker", "scheduler": "scheduler"}


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    # In every detail: what is said only for debugging holds no secrets either.
    with running_product(LOG_FORMAT="json", LOG_LEVEL="DEBUG", DATABASE_PASSWORD=DATABASE_PASSWORD) as product:
        yield product


def lines(product: Product) -> list[dict[str, Any]]:
    """Every line of every process; one that is no JSON object fails here."""
    found = []
    for name, process in PROCESSES.items():
        for line in (product.servers.folder / f"{name}.log").read_text().splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                raise AssertionError(f"not JSON, from {name}: {line!r}") from None
            assert {"timestamp", "level", "process", "event"} <= parsed.keys(), line
            assert parsed["process"] == process, line
            found.append(parsed)
    return found


def of_request(product: Product, request_id: str) -> dict[str, dict[str, Any]]:
    return {line["event"]: line for line in lines(product) if line.get("request_id") == request_id}


def test_a_trade_is_followed_from_the_request_to_the_push(product: Product) -> None:
    portfolio_id = product.create_portfolio("Followed")
    page = socketio.Client()
    page.connect(product.url, transports=["websocket"], auth={"token": product.token})
    page.call("subscribe", {"portfolio_id": portfolio_id})
    answer = product.api.post(
        f"{product.url}/api/portfolios/{portfolio_id}/trades",
        json={"ticker": "AAPL", "quantity": "1", "price": "100"},
        headers={"X-Request-ID": "from-the-proxy.1"},
        timeout=10,
    )
    assert answer.headers["X-Request-ID"] == "from-the-proxy.1"
    wanted = {"computation sent", "snapshot stored", "task ended", "live event pushed"}
    wait_until(lambda: wanted <= of_request(product, "from-the-proxy.1").keys(), "all of its lines are there")
    page.disconnect()
    found = of_request(product, "from-the-proxy.1")
    sent, stored, ended, pushed = (found[event] for event in sorted(wanted, key=list(found).index))
    by_event = {line["event"]: line for line in (sent, stored, ended, pushed)}
    assert {event: line["process"] for event, line in by_event.items()} == {
        "computation sent": "scheduler",
        "snapshot stored": "worker",
        "task ended": "worker",
        "live event pushed": "web",
    }
    assert len({by_event[event]["task_id"] for event in ("computation sent", "snapshot stored", "task ended")}) == 1
    told = [by_event[event] for event in ("computation sent", "snapshot stored", "live event pushed")]
    assert {line["portfolio_id"] for line in told} == {portfolio_id}
    newest = product.wait_fresh(portfolio_id, answer.json()["revision"])
    assert by_event["snapshot stored"]["snapshot_id"] <= newest["snapshot_id"]
    assert by_event["snapshot stored"]["revision"] == answer.json()["revision"]


def test_requests_at_the_same_time_keep_their_own_ids(product: Product) -> None:
    portfolios = {f"at-once-{number}": product.create_portfolio(f"At once {number}") for number in range(8)}

    def book(request_id: str) -> str:
        answer = requests.post(
            f"{product.url}/api/portfolios/{portfolios[request_id]}/trades",
            json={"ticker": "AAPL", "quantity": "1", "price": "100"},
            headers={"X-Request-ID": request_id, "Authorization": f"Bearer {product.token}"},
            timeout=15,
        )
        return answer.headers["X-Request-ID"]

    with ThreadPoolExecutor(len(portfolios)) as callers:
        assert list(callers.map(book, portfolios)) == list(portfolios)
    wait_until(
        lambda: all("snapshot stored" in of_request(product, request_id) for request_id in portfolios),
        "all are stored",
    )
    for request_id, portfolio_id in portfolios.items():
        found = of_request(product, request_id)
        assert {found[event]["portfolio_id"] for event in ("computation sent", "snapshot stored")} == {portfolio_id}
        assert found["request"]["route"] == "/api/portfolios/<int:portfolio_id>/trades"


def test_what_an_open_page_does_is_logged_under_its_connection(product: Product) -> None:
    page = socketio.Client()
    page.connect(product.url, transports=["websocket"], auth={"token": product.token})
    page.disconnect()
    wait_until(
        lambda: [
            opened
            for opened in lines(product)
            for closed in lines(product)
            if opened["event"] == "live connection opened"
            and closed["event"] == "live connection closed"
            and opened["connection_id"] == closed["connection_id"]
        ],
        "both lines are there",
    )
    assert not any("request_id" in line for line in lines(product) if line["event"].startswith("live connection"))


def test_what_the_night_sets_off_names_the_night(product: Product) -> None:
    with product.engine.begin() as connection:
        connection.execute(text("INSERT INTO nightly_runs (business_day, instruments) VALUES ('2031-05-06', 0)"))
        # More than count as somebody's own.
        connection.execute(
            text(
                """
                INSERT INTO portfolios (user_id, name, market_revision)
                SELECT :owner, 'Night ' || number, nextval('market_revision') FROM generate_series(1, 300) AS number
                """
            ),
            {"owner": product.owner.id},
        )
    wait_until(lambda: of_night(product, "snapshot stored"), "the worker names the night")
    assert of_night(product, "batch sent")
    wait_until(lambda: of_night(product, "task ended"), "the batch ends")
    assert not any("request_id" in line for line in lines(product) if line.get("run_id"))
    with product.engine.begin() as connection:
        connection.execute(text("DELETE FROM portfolios WHERE name LIKE 'Night %'"))


def of_night(product: Product, event: str) -> list[dict[str, Any]]:
    return [line for line in lines(product) if line.get("run_id") == "2031-05-06" and line["event"] == event]


@pytest.mark.parametrize("given", ["", "with space", "x" * 65, 'quote"d', "päth"])
def test_an_id_that_does_not_belong_into_a_log_is_replaced(product: Product, given: str) -> None:
    headers = {"X-Request-ID": given.encode()} if given else {}
    answer = requests.get(f"{product.url}/healthz", headers=headers, timeout=5)
    assert len(answer.headers["X-Request-ID"]) == 16
    assert answer.headers["X-Request-ID"] != given


def test_new_prices_are_nobodys_request(product: Product) -> None:
    portfolio_id = product.create_portfolio("Priced")
    booked = product.trade(portfolio_id, "MSFT")
    before = product.wait_fresh(portfolio_id, booked["revision"])
    with product.engine.begin() as connection:
        connection.execute(
            text("UPDATE portfolios SET market_revision = nextval('market_revision') WHERE id = :id"),
            {"id": portfolio_id},
        )
    wait_until(lambda: product.risk(portfolio_id)["snapshot_id"] > before["snapshot_id"], "a new snapshot is there")
    newest = product.risk(portfolio_id)["snapshot_id"]
    wait_until(lambda: any(line.get("snapshot_id") == newest for line in lines(product)), "its line is there")
    (stored,) = [line for line in lines(product) if line.get("snapshot_id") == newest]
    assert "request_id" not in stored
    assert "run_id" not in stored


def test_a_computation_that_fails_is_logged_once_with_its_traceback(product: Product) -> None:
    portfolio_id = product.create_portfolio("Broken")
    with product.engine.begin() as connection:
        # No such method can be asked for through the API; one that nobody implements makes the kernel raise.
        connection.execute(text("ALTER TABLE portfolios DROP CONSTRAINT ck_portfolios_risk_method"))
        connection.execute(text("UPDATE portfolios SET risk_method = 'no such' WHERE id = :id"), {"id": portfolio_id})
    product.trade(portfolio_id)
    wait_until(lambda: product.risk(portfolio_id)["state"] == "failed", "the failure is noted")

    def errors() -> list[dict[str, Any]]:
        return [
            line for line in lines(product) if line["level"] == "error" and line.get("portfolio_id") == portfolio_id
        ]

    wait_until(errors, "it is logged")
    (error,) = errors()
    assert error["exception"][0]["exc_type"] == "ValueError"
    assert {"task_id", "request_id"} <= error.keys()
    with product.engine.begin() as connection:
        connection.execute(text("DELETE FROM portfolios WHERE id = :id"), {"id": portfolio_id})


def test_a_task_that_breaks_is_logged_once_with_its_traceback(product: Product) -> None:
    celery = make_celery(product.servers.redis_url)
    task_id = celery.send_task(REFRESH_RISK, args=(["no number"],), queue=INTERACTIVE).id

    def of_task() -> list[dict[str, Any]]:
        return [line for line in lines(product) if line.get("task_id") == task_id and line["level"] != "debug"]

    wait_until(lambda: len(of_task()) >= 2, "it is logged")
    error, ended = of_task()
    assert error["level"] == "error"
    assert error["exception"][0]["exc_type"] == "DataError"
    assert "data" not in error
    assert (ended["event"], ended["outcome"], ended["level"]) == ("task ended", "FAILURE", "info")


def test_a_request_that_breaks_is_one_line_that_its_problem_names(product: Product) -> None:
    portfolio_id = product.create_portfolio("Unlucky")
    with product.engine.begin() as connection:
        connection.execute(text("ALTER TABLE trades RENAME TO trades_away"))
    try:
        path = f"/api/portfolios/{portfolio_id}/trades"
        answer = product.api.get(f"{product.url}{path}?limit=7", timeout=10)
    finally:
        with product.engine.begin() as connection:
            connection.execute(text("ALTER TABLE trades_away RENAME TO trades"))
    assert answer.status_code == 500
    request_id = answer.json()["request_id"]
    assert answer.headers["X-Request-ID"] == request_id
    wait_until(lambda: of_request(product, request_id), "it is logged")
    (line,) = [line for line in lines(product) if line.get("request_id") == request_id]
    assert (line["level"], line["event"], line["method"], line["status"]) == ("error", "request failed", "GET", 500)
    assert line["route"] == "/api/portfolios/<int:portfolio_id>/trades"
    assert line["ms"] > 0
    assert "limit=7" not in json.dumps(line)
    assert any("UndefinedTable" in each["exc_type"] for each in line["exception"])


def test_what_a_page_sends_that_is_no_message_leaves_no_lines_of_another_form(product: Product) -> None:
    with closing(
        simple_websocket.Client(f"{product.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket")
    ) as raw:
        raw.receive(timeout=5)
        raw.send("40" + json.dumps({"token": product.token}))
        raw.receive(timeout=5)
        raw.send("42[not json")
        raw.send("9nonsense")
        raw.send(b"\x00\xff")
    product.create_portfolio("Afterwards")
    assert lines(product)


def test_a_greenlet_that_nobody_waits_for_is_one_line(product: Product) -> None:
    breaks = "import api.gunicorn_config, gevent\ndef f(): raise ValueError('lost')\ngevent.spawn(f).join()"
    ended = subprocess.run(
        [sys.executable, "-c", breaks], cwd=ROOT, env=product.environment, capture_output=True, text=True, check=True
    )
    (line,) = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (line["level"], line["event"], line["process"]) == ("critical", "uncaught exception", "web")
    assert line["exception"][0]["exc_value"] == "lost"


@pytest.mark.parametrize("name", ["interactive", "background"])
def test_a_worker_says_in_the_same_form_that_it_stops(product: Product, name: str) -> None:
    product.kill(name, signal.SIGTERM)
    product.start(name)
    product.wait_ready()
    assert any(line["event"] == "worker: Warm shutdown (MainProcess)" for line in lines(product))


def test_no_secret_that_was_used_is_in_any_log(product: Product) -> None:
    password = "correct-horse-battery-7"
    with transaction(product.engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        accounts.set_password(session, owner, password)
        link = accounts.create_sign_in_link(session, owner, datetime.now(UTC))
    with requests.Session() as browser:
        signed_in = browser.post(f"{product.url}/api/session/link", json={"token": link}, timeout=5)
        csrf = signed_in.json()["csrf_token"]
        assert browser.post(f"{product.url}/api/session/link", json={"token": link}, timeout=5).status_code == 401
        browser.post(
            f"{product.url}/api/session", json={"email": owner.email, "password": password}, timeout=5
        ).raise_for_status()
        csrf_second = browser.get(f"{product.url}/api/me", timeout=5).json()["csrf_token"]
        cookie = browser.cookies["tailwatch_session"]
        made = browser.post(
            f"{product.url}/api/tokens",
            json={"name": "mine", "scope": "read"},
            headers={"X-CSRF-Token": csrf_second},
            timeout=5,
        )
        assert made.status_code == 201, made.text
        token = made.json()["token"]
        # Requests that are refused, with the secrets in places where they do not belong.
        browser.get(f"{product.url}/api/portfolios?token={token}", timeout=5)
        browser.post(f"{product.url}/api/session", data=f'{{"password": "{password}"', timeout=5)
        requests.get(f"{product.url}/api/me", headers={"Authorization": f"Bearer {token}x"}, timeout=5)
        # What Celery cannot place it logs in full.
        make_celery(product.servers.redis_url).send_task(
            "no.such.task",
            args=[f"Bearer {token}", f"{product.url}/sign-in#{link}", product.environment["DATABASE_URL"]],
            kwargs={"password": password, "headers": {"X-CSRF-Token": csrf, "csrf": csrf_second, "Cookie": cookie}},
            queue=INTERACTIVE,
        )
        wait_until(lambda: any("no.such.task" in line["event"] for line in lines(product)), "it is logged")
    used = [DATABASE_PASSWORD, password, link, csrf, csrf_second, cookie, token, product.token]
    product.servers.stop_postgres()
    try:
        down = requests.get(f"{product.url}/api/portfolios", headers={"Authorization": f"Bearer {token}"}, timeout=15)
        assert down.status_code == 503
        assert down.json()["request_id"] == down.headers["X-Request-ID"]
        wait_until(
            lambda: any(line.get("request_id") == down.headers["X-Request-ID"] for line in lines(product)), "a line"
        )
    finally:
        product.servers.start_postgres()
    product.wait_ready()
    written = "".join((product.servers.folder / f"{name}.log").read_text() for name in PROCESSES)
    assert [secret for secret in used if secret in written] == []
