"""The installation as its users and its operator meet it: through nginx, in a browser, while parts of it die."""

from __future__ import annotations

import json
import re
import subprocess
from decimal import Decimal

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.compose.stack import LASTING, LiveEvents, Person, Stack, restart_engine
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]


def test_only_the_web_server_can_be_reached(stack: Stack) -> None:
    published = {
        name: [port for port in found["NetworkSettings"]["Ports"].values() if port]
        for name, found in stack.containers().items()
    }
    assert [name for name, ports in published.items() if ports] == ["frontend"]


def test_every_service_runs_with_as_few_rights_as_it_can(stack: Stack) -> None:
    for name, found in stack.containers().items():
        assert found["HostConfig"]["ReadonlyRootfs"], name
        assert found["HostConfig"]["CapDrop"] == ["ALL"], name
        assert found["HostConfig"]["Memory"] > 0, name
        assert found["Config"]["User"] not in {"", "root", "0"}, name
        if name in LASTING:
            status = stack.compose("exec", "-T", name, "cat", "/proc/1/status").decode()
            assert re.search(r"^Uid:\s+(?!0\s)", status, re.MULTILINE), name
            assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), name


def test_the_python_image_has_no_compiler(stack: Stack) -> None:
    script = "command -v gcc cc g++ c++ clang make || true"
    assert stack.compose("exec", "-T", "api", "sh", "-c", script) == b""


def test_every_secret_is_this_installations_own_and_in_no_environment(stack: Stack) -> None:
    folder = "/run/tailwatch-secrets"
    names = ("postgres_password", "redis_password", "metrics_token")
    secrets = [stack.compose("exec", "-T", "api", "cat", f"{folder}/{name}").decode() for name in names]
    assert len(set(secrets)) == len(names)
    shown = json.dumps(list(stack.containers().values())) + stack.logs()
    assert not [secret for secret in secrets if len(secret) < 40 or secret in shown]


def test_the_doctor_finds_nothing_wrong(stack: Stack) -> None:
    said = stack.compose("exec", "-T", "worker-nightly", "tailwatch", "doctor").decode()
    assert "Everything is in order" in said
    assert "Workers: answer through every queue" in said


def test_a_trade_through_the_web_server_comes_back_live(stack: Stack, person: Person, demo_id: int) -> None:
    live = LiveEvents(person, demo_id)
    assert live.state["state"] == "fresh"
    before = person.get(f"/api/portfolios/{demo_id}/risk")
    booked = person.post(f"/api/portfolios/{demo_id}/trades", {"ticker": "MSFT", "quantity": "500", "price": "240"})
    event = live.wait_for(booked["revision"])
    assert event["var_95_1d"] != before["var_95_1d"]
    # What was kept in memory before the event is not served after it.
    after = person.get(f"/api/portfolios/{demo_id}/risk")
    assert (after["snapshot_id"], after["var_95_1d"]) == (event["snapshot_id"], event["var_95_1d"])
    live.close()


def test_reads_are_answered_from_memory_until_something_changes(person: Person, demo_id: int) -> None:
    url = f"{person.stack.url}/api/portfolios/{demo_id}/risk"
    person.wait_fresh(demo_id, 1)
    wait_until(lambda: person.http.get(url, timeout=5).headers["X-Cache"] == "HIT", "an answer comes from memory")
    booked = person.post(f"/api/portfolios/{demo_id}/trades", {"ticker": "KO", "quantity": "10", "price": "60"})
    at_once = person.http.get(url, timeout=5)
    assert at_once.headers["X-Cache"] == "BYPASS"
    assert at_once.json()["wanted_revision"] >= booked["revision"]


def test_a_session_that_was_ended_is_refused_at_once(stack: Stack, demo_id: int) -> None:
    leaving = Person(stack)
    leaving.wait_fresh(demo_id, 1)
    url = f"{stack.url}/api/portfolios/{demo_id}/risk"
    cookies = leaving.http.cookies.get_dict()
    wait_until(lambda: requests.get(url, cookies=cookies, timeout=5).headers["X-Cache"] == "HIT", "a kept answer")
    assert leaving.http.delete(f"{stack.url}/api/session", timeout=5).status_code == 204
    assert requests.get(url, cookies=cookies, timeout=5).status_code == 401


def test_the_page_shows_the_portfolio_and_follows_it(stack: Stack, person: Person, demo_id: int, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(stack.tailwatch("sign-in-link").decode().strip())
    page.get_by_test_id("freshness").filter(has_text="Fresh").wait_for(timeout=20_000)
    shown = page.get_by_test_id("figure-var").inner_text()
    person.post(f"/api/portfolios/{demo_id}/trades", {"ticker": "AAPL", "quantity": "4000", "price": "125"})
    expect(page.get_by_test_id("figure-var")).not_to_have_text(shown, timeout=20_000)
    page.reload()
    page.get_by_test_id("freshness").filter(has_text="Fresh").wait_for(timeout=20_000)
    assert complaints == []


def test_files_come_compressed_and_are_kept_for_good(stack: Stack) -> None:
    page = requests.get(f"{stack.url}/", timeout=5)
    assert page.headers["Cache-Control"] == "no-store"
    script = re.search(r'src="(main-[^"]+\.js)"', page.text)
    assert script is not None
    sizes = {}
    for encoding in ("br", "gzip", "identity"):
        # Streamed, so that nothing is unpacked before its size is known.
        with requests.get(
            f"{stack.url}/{script[1]}", headers={"Accept-Encoding": encoding}, stream=True, timeout=5
        ) as answer:
            assert answer.status_code == 200
            assert answer.headers.get("Content-Encoding", "identity") == encoding
            assert answer.headers["Content-Type"].startswith("text/javascript")
            assert "immutable" in answer.headers["Cache-Control"]
            sizes[encoding] = len(answer.raw.read(decode_content=False))
    assert sizes["br"] < sizes["gzip"] < sizes["identity"] / 2


def test_two_answers_have_two_marks_for_inline_styles(stack: Stack) -> None:
    policies = []
    for _ in range(2):
        answer = requests.get(f"{stack.url}/", timeout=5)
        nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert nonce is not None
        assert f'ngcspnonce="{nonce[1]}"' in answer.text.lower()
        assert "__CSP_NONCE__" not in answer.text
        policies.append(nonce[1])
    assert policies[0] != policies[1]


@pytest.mark.parametrize("service", LASTING)
def test_a_killed_service_comes_back_with_nothing_lost(
    service: str, stack: Stack, person: Person, demo_id: int
) -> None:
    revisions = [person.trade_until_booked(demo_id, f"{service}-before-{n}", "1") for n in range(3)]
    held = shares(person, demo_id)
    stack.kill_main_process(service)
    revisions += [person.trade_until_booked(demo_id, f"{service}-after-{n}", "1") for n in range(3)]
    stack.wait_ready()
    person.wait_fresh(demo_id, max(revisions))
    assert shares(person, demo_id) == held + 3


def test_a_new_api_container_needs_no_new_web_server(stack: Stack, person: Person, demo_id: int) -> None:
    started = stack.containers()["frontend"]["State"]["StartedAt"]
    stack.up("--force-recreate", "--no-deps", "api")
    person.wait_fresh(demo_id, 1, seconds=30)
    assert stack.containers()["frontend"]["State"]["StartedAt"] == started


def test_after_a_restart_of_the_engine_everything_is_there_again(stack: Stack, person: Person, demo_id: int) -> None:
    revision = person.trade_until_booked(demo_id, "before-the-engine", "1")
    held = shares(person, demo_id)
    why_not = restart_engine()
    if why_not is not None:
        pytest.skip(f"the engine cannot be restarted here: {why_not}")
    stack.wait_ready()
    revision = max(revision, person.trade_until_booked(demo_id, "after-the-engine", "1"))
    person.wait_fresh(demo_id, revision)
    assert shares(person, demo_id) == held + 1


def test_down_leaves_nothing_behind(stack: Stack) -> None:
    other = Stack(f"{stack.project}-short")
    try:
        other.up("--no-build")
    finally:
        other.down()
    for kind in ("container", "volume", "network"):
        command = ["docker", kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={other.project}"]
        if kind == "container":
            command.insert(3, "-a")
        assert subprocess.run(command, check=True, capture_output=True).stdout == b""


def shares(person: Person, portfolio_id: int) -> Decimal:
    holdings = person.get(f"/api/portfolios/{portfolio_id}/holdings")["items"]
    return next(Decimal(item["quantity"]) for item in holdings if item["ticker"] == "AAPL")
