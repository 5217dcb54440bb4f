"""A whole installation under Docker Compose, of this checkout's images, apart from every other on the machine."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import requests
import socketio

from tailwatch.embedded.environment import ROOT
from tests.support.waiting import wait_until

#: Every service that stays, as `docker compose up` starts them.
LASTING = ("postgres", "redis", "api", "worker", "worker-nightly", "scheduler", "frontend")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """One Compose project; commands raise with what they printed."""

    def __init__(self, project: str, *files: Path, **environment: str) -> None:
        self.project = project
        self.port, self.https_port = free_port(), free_port()
        self.url = self.plain_url = f"http://localhost:{self.port}"
        self._files = [argument for file in files for argument in ("-f", str(file))]
        settings = {
            "BIND_ADDRESS": "127.0.0.1",
            "HTTP_PORT": str(self.port),
            "HTTPS_PORT": str(self.https_port),
            "TAILWATCH_TAG": "tests",
            # The same prices everywhere, without a network.
            "PRICE_SOURCES": "sample",
        } | environment
        self._env_file = Path(tempfile.mkstemp(prefix="tailwatch-", suffix=".env")[1])
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "DOCKER_HOST", "LANG"}}
        self._environment = kept | {"ENV_FILE": str(self._env_file)}

    @property
    def _command(self) -> list[str]:
        return ["docker", "compose", "-p", self.project, "--env-file", str(self._env_file), *self._files]

    def compose(self, *arguments: str, stdin: bytes | None = None, check: bool = True) -> bytes:
        command = [*self._command, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, input=stdin or b"", capture_output=True, check=False
        )
        if check and done.returncode:
            said = done.stderr.decode(errors="replace")[-3000:]
            raise AssertionError(f"{' '.join(command)} failed:\n{said}\n{self.logs()[-6000:]}")
        return done.stdout

    def up(self, *arguments: str) -> None:
        self.compose("up", "-d", "--wait", "--wait-timeout", "240", *arguments)

    def down(self) -> None:
        self.compose("down", "-v", "--remove-orphans", "--timeout", "10", check=False)
        self._env_file.unlink(missing_ok=True)

    def tailwatch(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Run a command of Tailwatch in the api container, as the operator does."""
        return self.compose("exec", "-T", "api", "tailwatch", *arguments, stdin=stdin)

    def logs(self, *services: str) -> str:
        command = [*self._command, "logs", "--no-color", *services]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, check=False)
        return done.stdout.decode(errors="replace")

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what Docker knows about each container of the project, by service."""
        ids = self.compose("ps", "-aq").decode().split()
        if not ids:
            return {}
        found = json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout)
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def healthy(self, *services: str) -> bool:
        found = self.containers()
        return all(
            found[name]["State"]["Running"] and found[name]["State"]["Health"]["Status"] == "healthy"
            for name in services or LASTING
        )

    def kill_main_process(self, service: str) -> None:
        """Kill what the container is there for, from inside, as a crash or the kernel's out-of-memory killer does."""
        before = self.containers()[service]["RestartCount"]
        # The first process is the init; its child is the service.
        script = "read child _ < /proc/1/task/1/children; kill -9 $child"
        self.compose("exec", "-T", service, "sh", "-c", script)
        wait_until(
            lambda: self.containers()[service]["RestartCount"] > before, f"{service} is started again", seconds=60
        )

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self) -> None:
        wait_until(lambda: self.healthy() and self.ready(), "every service is healthy and a trade can be booked", 180)


class Person:
    """Somebody signed in through the web server, by the one-time link that the operator hands out."""

    def __init__(self, stack: Stack, public_url: str | None = None) -> None:
        self.stack = stack
        self.http = requests.Session()
        link = stack.tailwatch("sign-in-link").decode().strip()
        address, _, token = link.partition("/sign-in#")
        assert address == (public_url or stack.url)
        answer = self.http.post(f"{stack.url}/api/session/link", json={"token": token}, timeout=10)
        assert answer.status_code == 200, answer.text
        self.http.headers["X-CSRF-Token"] = answer.json()["csrf_token"]

    def get(self, path: str) -> Any:
        answer = self.http.get(f"{self.stack.url}{path}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.http.post(f"{self.stack.url}{path}", json=body, timeout=15)
        assert answer.status_code in {201, 202}, answer.text
        return answer.json()

    def trade_until_booked(self, portfolio_id: int, key: str, quantity: str) -> int:
        """Book one trade, however often the server is away meanwhile; return the revision that holds it."""
        booked: list[int] = []

        def try_once() -> bool:
            try:
                answer = self.http.post(
                    f"{self.stack.url}/api/portfolios/{portfolio_id}/trades",
                    json={"ticker": "AAPL", "quantity": quantity, "price": "100"},
                    headers={"Idempotency-Key": key},
                    timeout=15,
                )
            except requests.RequestException:
                return False
            if answer.status_code >= 500:
                assert answer.headers["Content-Type"] == "application/problem+json", answer.text
                return False
            assert answer.status_code == 201, answer.text
            booked.append(answer.json()["revision"])
            return True

        wait_until(try_once, f"trade {key} is booked", seconds=120)
        return booked[0]

    def wait_fresh(self, portfolio_id: int, revision: int, seconds: float = 90.0) -> dict[str, Any]:
        newest: dict[str, Any] = {}

        def fresh() -> bool:
            try:
                newest.update(self.get(f"/api/portfolios/{portfolio_id}/risk"))
            except (requests.RequestException, AssertionError):
                return False
            return newest["state"] == "fresh" and newest["revision"] >= revision

        wait_until(fresh, f"portfolio {portfolio_id} is fresh at revision {revision}", seconds)
        return newest

    def everything(self) -> dict[str, Any]:
        """Return all that this person sees: what must be the same after a restore and an upgrade."""
        seen: dict[str, Any] = {}
        for portfolio in self.get("/api/portfolios")["items"]:
            path = f"/api/portfolios/{portfolio['id']}"
            seen[portfolio["name"]] = {
                "settings": {name: portfolio[name] for name in ("base_currency", "is_default")},
                "trades": self.get(f"{path}/trades?limit=200")["items"],
                "holdings": self.get(f"{path}/holdings"),
            }
        return seen


class LiveEvents:
    """A live connection of a signed-in person, through the web server."""

    def __init__(self, person: Person, portfolio_id: int) -> None:
        self._news = threading.Condition()
        self.events: list[dict[str, Any]] = []
        self._client = socketio.Client(http_session=person.http)
        self._client.on("risk", self._keep)
        self._client.connect(person.stack.url, transports=["websocket"])
        self.state = self._client.call("subscribe", {"portfolio_id": portfolio_id})

    def _keep(self, event: dict[str, Any]) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def wait_for(self, revision: int, seconds: float = 20.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        with self._news:
            while not (found := [event for event in self.events if event["revision"] >= revision]):
                left = deadline - time.monotonic()
                assert left > 0, f"no event of revision {revision}; got {self.events}"
                self._news.wait(left)
        return found[-1]

    def close(self) -> None:
        self._client.disconnect()


def restart_engine() -> str | None:
    """Restart the Docker engine; return why that cannot be done here, or None when it answers again."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if subprocess.run(["systemctl", "is-active", "-q", "docker"], check=False, capture_output=True).returncode == 0:
        done = subprocess.run([*sudo, "systemctl", "restart", "docker"], check=False, capture_output=True)
        if done.returncode:
            return f"systemctl restart docker: {done.stderr.decode(errors='replace').strip()}"
    else:
        # An engine that somebody started by hand: stopped, and started with the words it was started with.
        found = [path for path in Path("/proc").glob("[0-9]*") if _program(path) == "dockerd"]
        if sudo or len(found) != 1:
            return "the engine is neither a systemd service nor a process of this user's"
        words = (found[0] / "cmdline").read_bytes().split(b"\0")[:-1]
        os.kill(int(found[0].name), 15)
        wait_until(lambda: _gone(found[0]), "the engine has stopped", 120)
        subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(
        lambda: subprocess.run(["docker", "info"], check=False, capture_output=True).returncode == 0,
        "the engine answers again",
        120,
    )
    return None


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _gone(process: Path) -> bool:
    try:
        return re.search(r"^State:\s+Z", (process / "status").read_text(), re.MULTILINE) is not None
    except OSError:
        return True
