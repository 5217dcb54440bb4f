"""What was booked outlives the installation it was booked in: restored into another one, carried over an upgrade."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tailwatch.embedded.environment import ROOT
from tests.compose.stack import Person, Stack, free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

#: The last commit of release 0.1.0.
PREVIOUS = "9420fed3533610f7b9a67edf71dfe8ecb22d7003"
#: What the image is built with; the previous release had none of it.
BUILD_FILES = ("Dockerfile", ".dockerignore", "requirements-flower.lock", "deploy/docker")


def test_a_backup_is_the_same_installation_somewhere_else(
    stack: Stack, person: Person, demo_id: int, tmp_path: Path
) -> None:
    person.post("/api/portfolios", {"name": "Empty one"})
    held = person.everything()
    risk = person.wait_fresh(demo_id, 1)
    backup = stack.tailwatch("backup", "-")
    other = Stack(f"{stack.project}-restored")
    try:
        other.up("--no-build")
        other.tailwatch("restore", "-", stdin=backup)
        other.wait_ready()
        somebody = Person(other)
        assert somebody.everything() == held
        again = somebody.wait_fresh(demo_id, risk["revision"])
        assert {name: again[name] for name in ("var_95_1d", "es_975_1d", "nav", "positions")} == {
            name: risk[name] for name in ("var_95_1d", "es_975_1d", "nav", "positions")
        }
        # It is not a museum piece: the next trade gets the next number and its risk.
        booked = somebody.post(
            f"/api/portfolios/{demo_id}/trades", {"ticker": "AAPL", "quantity": "7", "price": "125"}
        )
        somebody.wait_fresh(demo_id, booked["revision"])
        assert booked["trade"]["id"] > max(trade["id"] for each in held.values() for trade in each["trades"])
    finally:
        other.down()


@pytest.fixture
def previous_image(tmp_path: Path) -> Iterator[None]:
    archive = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("the previous release is not in this clone's history; git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    for name in BUILD_FILES:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    command = ["docker", "build", "-q", "--target", "runtime", "-t", "tailwatch:previous", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    yield
    subprocess.run(["docker", "image", "rm", "tailwatch:previous"], check=False, capture_output=True)


@pytest.mark.usefixtures("previous_image")
def test_an_upgrade_loses_nothing_of_what_was_booked_or_under_way(stack: Stack) -> None:
    given = {"POSTGRES_PASSWORD": "Tw7-upgrade-test-9QzX", "REDIS_PASSWORD": "Tw7-upgrade-test-4LmV"}
    port = free_port()
    project = f"{stack.project}-upgraded"
    files = (ROOT / "docker-compose.yml", ROOT / "tests" / "compose" / "previous.yml")
    before = Stack(project, *files, PREVIOUS_PORT=str(port), **given)
    after = Stack(project, **given)
    try:
        before.compose("up", "-d", "--no-build", "api", "worker", "worker-nightly", "scheduler")
        client = Client(f"http://127.0.0.1:{port}")
        wait_until(client.ready, "the previous release is ready", 120)
        client.sign_in(before.tailwatch("token").decode().strip())
        done, waiting = client.create("Done"), client.create("Waiting")
        client.trade(done, "done", 5)
        client.wait_fresh(done, 5)
        # Nobody computes any more, so these are under way when the new version comes.
        before.compose("kill", "worker", "worker-nightly", "scheduler")
        client.trade(waiting, "waiting", 5)
        held = {portfolio: client.trades(portfolio) for portfolio in (done, waiting)}
        assert client.risk(waiting)["state"] in {"stale", "computing"}

        after.up("--no-build", "--remove-orphans")
        client.url = after.url
        after.wait_ready()
        for portfolio, trades in held.items():
            assert as_before(client.trades(portfolio), trades) == trades
        client.wait_fresh(waiting, 5)
        assert len(client.risk(waiting)["positions"]) == 1
        # A repeat of what was booked before the upgrade is still known as one.
        client.trade(waiting, "waiting", 5)
        assert as_before(client.trades(waiting), held[waiting]) == held[waiting]
    finally:
        after.down()
        before.down()


def as_before(trades: list[dict[str, Any]], older: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trades without members that the previous release did not know."""
    known = older[0].keys()
    return [{name: value for name, value in trade.items() if name in known} for trade in trades]


class Client:
    """A program with an API token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def sign_in(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"

    def create(self, name: str) -> int:
        answer = self._http.post(f"{self.url}/api/portfolios", json={"name": name}, timeout=10)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def trade(self, portfolio_id: int, key: str, count: int) -> None:
        for number in range(count):
            answer = self._http.post(
                f"{self.url}/api/portfolios/{portfolio_id}/trades",
                json={"ticker": "AAPL", "quantity": str(number + 1), "price": "125"},
                headers={"Idempotency-Key": f"{key}-{number}"},
                timeout=10,
            )
            assert answer.status_code == 201, answer.text

    def trades(self, portfolio_id: int) -> list[dict[str, Any]]:
        answer = self._http.get(f"{self.url}/api/portfolios/{portfolio_id}/trades", timeout=10)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def risk(self, portfolio_id: int) -> dict[str, Any]:
        answer = self._http.get(f"{self.url}/api/portfolios/{portfolio_id}/risk", timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_fresh(self, portfolio_id: int, revision: int) -> None:
        def fresh() -> bool:
            found = self.risk(portfolio_id)
            return found["state"] == "fresh" and found["revision"] >= revision

        wait_until(fresh, f"portfolio {portfolio_id} is fresh at revision {revision}", 90)
