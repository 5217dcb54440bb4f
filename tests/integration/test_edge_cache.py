"""Risk reads through a real nginx with the repository's configuration: kept for moments, never after a change."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import socketio
from sqlalchemy import text

from api.auth import CSRF_HEADER, SESSION_COOKIE
from api.edge_cache import MARK_SECONDS
from tailwatch import accounts, live
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tailwatch.embedded.prepare import OWNER
from tests.integration.api.support import forget_settings
from tests.support import nginx
from tests.support.product import Product
from tests.support.servers import start_servers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not nginx.available(), reason=nginx.MISSING)


@dataclass
class Stack:
    product: Product
    url: str

    def path(self, portfolio_id: int) -> str:
        return f"{self.url}/api/portfolios/{portfolio_id}/risk"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with start_servers() as servers, nginx.Nginx(servers.folder / "nginx") as front:
        servers.create_database("edge")
        product = Product(servers, "edge", WEB_CONCURRENCY="2", **front.environment)
        try:
            product.start()
            product.wait_ready()
            front.start()
            yield Stack(product, front.url)
        except BaseException:
            sys.stderr.write(product.logs() + front.log.read_text())
            raise
        finally:
            product.stop()


class Reader:
    """Somebody with a credential, over one connection to nginx."""

    def __init__(self, stack: Stack, portfolio_id: int, secret: str, *, cookie: bool = False) -> None:
        self.url = stack.path(portfolio_id)
        self.session = requests.Session()
        if cookie:
            self.session.headers["Cookie"] = f"{SESSION_COOKIE}={secret}"
        else:
            self.session.headers["Authorization"] = f"Bearer {secret}"

    def read(self, **headers: str) -> requests.Response:
        return self.session.get(self.url, headers=headers, timeout=10)

    def warm(self) -> dict[str, Any]:
        """Read until nginx answers by itself; return that answer."""
        answers: list[requests.Response] = []

        def kept() -> bool:
            answers.append(self.read())
            return answers[-1].headers["X-Cache"] == "HIT"

        wait_until(kept, "nginx answers by itself", 15)
        assert answers[-1].status_code == 200
        found: dict[str, Any] = answers[-1].json()
        return found


@pytest.fixture
def portfolio_id(stack: Stack, request: pytest.FixtureRequest) -> int:
    made = stack.product.create_portfolio(request.node.name[:90])
    stack.product.wait_fresh(made, stack.product.trade(made)["revision"])
    return made


@pytest.fixture
def owner(stack: Stack, portfolio_id: int) -> Reader:
    return Reader(stack, portfolio_id, stack.product.token)


def new_token(stack: Stack, email: str = "owner@example.org") -> tuple[int, str]:
    with transaction(stack.product.engine) as session:
        user = accounts.create_owner(session, email)
        token, secret = accounts.create_token(session, user.id, "reader", "read", datetime.now(UTC))
        return token.id, secret


def new_session(stack: Stack, email: str = "owner@example.org") -> accounts.OpenedSession:
    with transaction(stack.product.engine) as session:
        user = accounts.create_owner(session, email)
        return accounts.open_session(session, user.id, datetime.now(UTC), timedelta(hours=1))


@contextmanager
def published_to(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REDIS_URL", stack.product.servers.redis_url)
    forget_settings()
    yield
    forget_settings()


def test_a_read_is_answered_from_memory_with_its_headers_and_conditionally(owner: Reader) -> None:
    kept = owner.warm()
    direct = owner.read()
    assert direct.json() == kept
    assert direct.headers["Cache-Control"] == "private, no-cache"
    assert "X-Accel-Expires" not in direct.headers
    unchanged = owner.read(**{"If-None-Match": direct.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert owner.read(**{"If-None-Match": '"another"'}).status_code == 200


def test_an_answer_is_kept_for_less_than_a_second(stack: Stack, portfolio_id: int, owner: Reader) -> None:
    """A change that nobody speaks of is seen within that second."""
    for _ in range(4):
        new = new_snapshot(stack, portfolio_id, owner.warm()["snapshot_id"])
        changed_at = time.monotonic()
        wait_until(lambda new=new: owner.read().json()["snapshot_id"] == new, "the change is seen", 5)
        assert time.monotonic() - changed_at < 1.1


def test_who_writes_and_then_reads_sees_the_write(stack: Stack, portfolio_id: int, owner: Reader) -> None:
    for _ in range(8):
        owner.warm()
        revision = stack.product.trade(portfolio_id)["revision"]
        assert owner.read().json()["wanted_revision"] == revision


def test_a_new_snapshot_is_read_as_soon_as_its_event_is_there(
    stack: Stack, portfolio_id: int, owner: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that no write of the API came before, as after a night's prices."""
    events: list[dict[str, Any]] = []
    client = socketio.Client(reconnection=False, websocket_extra_options={"origin": stack.url})
    read: list[int] = []

    def on_risk(event: dict[str, Any]) -> None:
        read.append(owner.read().json()["snapshot_id"])
        events.append(event)

    client.on("risk", on_risk)
    client.connect(stack.url, transports=["websocket"], auth={"token": stack.product.token})
    try:
        client.call("subscribe", {"portfolio_id": portfolio_id}, timeout=10)
        for number in range(1, 6):
            old = owner.warm()["snapshot_id"]
            new = new_snapshot(stack, portfolio_id, old)
            with published_to(stack, monkeypatch):
                live.publish({"kind": "risk", "portfolio_id": portfolio_id, "snapshot_id": new})  # type: ignore[typeddict-item]
            wait_until(lambda number=number: len(events) == number, "the event is there")
            assert read[-1] == new
    finally:
        client.disconnect()


def new_snapshot(stack: Stack, portfolio_id: int, old: int) -> int:
    """Store what a worker stores when prices have changed; nobody is told. Return its id."""
    with stack.product.engine.begin() as connection:
        return int(connection.execute(_NEW_SNAPSHOT, {"id": portfolio_id, "snapshot_id": old}).scalar_one())


_COPIED = (
    "portfolio_id, revision, trigger, duration_ms, method, base_currency, nav, gross, positions, inputs_hash, body"
)
_NEW_SNAPSHOT = text(
    f"""
    WITH made AS (
      INSERT INTO risk_snapshots ({_COPIED}, market_revision, pending_positions, computed_at)
      SELECT {_COPIED}, market_revision + 1, 0, now() FROM risk_snapshots WHERE id = :snapshot_id
      RETURNING id, market_revision)
    UPDATE portfolios p SET snapshot_id = made.id, market_revision = made.market_revision,
           done_market_revision = made.market_revision
    FROM made WHERE p.id = :id RETURNING made.id
    """
)


def test_a_session_that_was_signed_out_is_refused_at_once(stack: Stack, portfolio_id: int) -> None:
    for _ in range(5):
        opened = new_session(stack)
        browser = Reader(stack, portfolio_id, opened.token, cookie=True)
        browser.warm()
        csrf = {CSRF_HEADER: str(opened.principal.csrf_token), "Cookie": f"{SESSION_COOKIE}={opened.token}"}
        assert requests.delete(f"{stack.url}/api/session", headers=csrf, timeout=10).status_code == 204
        assert browser.read().status_code == 401


def test_a_token_that_was_revoked_is_refused_at_once(stack: Stack, portfolio_id: int) -> None:
    for _ in range(5):
        token_id, secret = new_token(stack)
        reader = Reader(stack, portfolio_id, secret)
        reader.warm()
        assert stack.product.api.delete(f"{stack.url}/api/tokens/{token_id}", timeout=10).status_code == 204
        assert reader.read().status_code == 401


@pytest.fixture
def owned_by_the_command_line(stack: Stack) -> Iterator[None]:
    """The commands are about the one account that `./run` makes."""
    rename = text("UPDATE users SET email = :new WHERE email = :old")
    with stack.product.engine.begin() as connection:
        connection.execute(rename, {"old": "owner@example.org", "new": OWNER})
    yield
    with stack.product.engine.begin() as connection:
        connection.execute(rename, {"old": OWNER, "new": "owner@example.org"})


@pytest.mark.parametrize(
    "command", [["token", "revoke"], ["user", "set-password", "--password", "correct horse it is"]]
)
def test_access_taken_away_on_the_command_line_is_gone_when_the_command_is_done(
    stack: Stack, portfolio_id: int, owned_by_the_command_line: None, command: list[str]
) -> None:
    if command[0] == "token":
        token_id, secret = new_token(stack, OWNER)
        reader, command = Reader(stack, portfolio_id, secret), [*command, str(token_id)]
    else:
        reader = Reader(stack, portfolio_id, new_session(stack, OWNER).token, cookie=True)
    reader.warm()
    environment = stack.product.environment | {"PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(
        [sys.executable, "-m", "tailwatch.cli", *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    hits = 0
    while started.poll() is None:
        hits += reader.read().headers["X-Cache"] == "HIT"
    assert started.returncode == 0
    assert reader.read().status_code == 401
    assert hits > 0


def test_a_deleted_portfolio_is_gone_at_once(stack: Stack, portfolio_id: int, owner: Reader) -> None:
    owner.warm()
    gone = stack.product.api.delete(f"{stack.url}/api/portfolios/{portfolio_id}", timeout=10)
    assert gone.status_code == 204
    assert owner.read().status_code == 404


def test_nobody_gets_what_was_kept_for_somebody_else(stack: Stack, portfolio_id: int, owner: Reader) -> None:
    _, secret = new_token(stack, "eve@example.org")
    strangers = [
        Reader(stack, portfolio_id, secret),
        Reader(stack, portfolio_id, "x"),
        Reader(stack, portfolio_id, ""),
    ]
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        owner.warm()
        assert [stranger.read().status_code for stranger in strangers] == [404, 401, 401]


@pytest.mark.parametrize(
    "cookies",
    [
        f"{SESSION_COOKIE.upper()}={{planted}}; {SESSION_COOKIE}={{victim}}",
        f"{SESSION_COOKIE}={{planted}}; {SESSION_COOKIE}={{victim}}",
        f"{SESSION_COOKIE}={{victim}}; {SESSION_COOKIE}={{planted}}",
    ],
)
def test_a_cookie_planted_beside_the_real_one_opens_nothing(
    stack: Stack, portfolio_id: int, owner: Reader, cookies: str
) -> None:
    """nginx and the API may each take another cookie for the session; nothing may be kept under the planted one."""
    opened = new_session(stack)
    planted = "planted-by-somebody-who-knows-it"
    victim, thief = Reader(stack, portfolio_id, ""), Reader(stack, portfolio_id, "")
    for reader in (victim, thief):
        del reader.session.headers["Authorization"]
    victim.session.headers["Cookie"] = cookies.format(planted=planted, victim=opened.token)
    # No mark is there any more that would keep everything from being kept.
    owner.warm()
    for name in (SESSION_COOKIE, SESSION_COOKIE.upper()):
        thief.session.headers["Cookie"] = f"{name}={planted}"
        for _ in range(20):
            victim.read()
            assert thief.read().status_code == 401


def test_a_path_written_in_another_way_is_no_way_around_the_marks(
    stack: Stack, portfolio_id: int, owner: Reader
) -> None:
    owner.url = owner.url.replace(f"/{portfolio_id}/", f"/00{portfolio_id}/")
    assert {owner.read().headers["X-Cache"] for _ in range(20)} == {"MISS"}
    owner.url = owner.url.replace(f"/00{portfolio_id}/", f"/%3{str(portfolio_id)[0]}{str(portfolio_id)[1:]}/")
    owner.warm()
    revision = stack.product.trade(portfolio_id)["revision"]
    assert owner.read().json()["wanted_revision"] == revision


def test_while_valkey_is_away_nothing_is_kept(stack: Stack, owner: Reader) -> None:
    owner.warm()
    stack.product.servers.stop_valkey()
    try:
        # Both processes notice, and what was kept before has run out.
        gone = time.monotonic() + MARK_SECONDS
        wait_until(lambda: time.monotonic() > gone and owner.read().headers["X-Cache"] != "HIT", "nothing is kept")
        answers = [owner.read() for _ in range(40)]
        assert {answer.status_code for answer in answers} == {200}
        assert "HIT" not in {answer.headers["X-Cache"] for answer in answers}
    finally:
        stack.product.servers.start_valkey()
    owner.warm()


def test_readers_that_hammer_never_see_a_revision_go_back_or_miss_a_booked_trade(
    stack: Stack, portfolio_id: int
) -> None:
    booked = [1]
    problems: list[str] = []
    hits = [0] * 4
    done = threading.Event()

    def hammer(number: int) -> None:
        reader = Reader(stack, portfolio_id, stack.product.token)
        last = (0, 0)
        while not done.is_set():
            at_least = booked[0]
            answer = reader.read()
            hits[number] += answer.headers["X-Cache"] == "HIT"
            body = answer.json()
            seen = (body["wanted_revision"], body["revision"])
            if seen[0] < at_least:
                problems.append(f"revision {at_least} was booked, and {seen[0]} was read ({answer.headers})")
            if seen < last:
                problems.append(f"{last}, and then {seen} ({answer.headers})")
            last = seen

    readers = [threading.Thread(target=hammer, args=(number,)) for number in range(len(hits))]
    for reader in readers:
        reader.start()
    try:
        writer = Reader(stack, portfolio_id, stack.product.token)
        # Bursts, and quiet times in which answers are kept again.
        for _ in range(4):
            for _ in range(10):
                booked[0] = stack.product.trade(portfolio_id)["revision"]
            before = sum(hits)
            wait_until(lambda before=before: sum(hits) > before + 20 or problems, "answers are kept again")
            writer.read()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert problems == []
    assert min(hits) > 0
