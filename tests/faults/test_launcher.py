"""`./run` from outside: one address, one instance, everything watched, and nothing left behind however it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tailwatch import __version__
from tailwatch.embedded import instance, layout
from tailwatch.embedded.environment import ROOT
from tailwatch.embedded.supervision import is_alive
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

#: A start builds the page if nobody has; `./run test` builds it before.
START_SECONDS = 240
OF_THE_LAUNCHER = {"DATABASE_URL", "REDIS_URL", "TAILWATCH_PORT", "TAILWATCH_HOST", "TAILWATCH_DATA_DIR"}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in OF_THE_LAUNCHER} | {
    "PRICE_SOURCES": "sample",
    "PYTHONPATH": str(ROOT),
}


def tailwatch(*arguments: str, timeout: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailwatch.cli", *arguments],
        env=ENVIRONMENT | variables,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


class Launched:
    """A launcher with its output in a file, as under a service manager."""

    def __init__(self, data: Path, output: Path, *arguments: str) -> None:
        self.data = data
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tailwatch.cli", "--data-dir", str(data), *arguments],
                env=ENVIRONMENT,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._known: dict[int, psutil.Process] = {}

    def said(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_ready(self) -> None:
        wait_until(lambda: "is ready" in self.said() or self.has_ended(), "it is ready or has ended", START_SECONDS)
        assert "is ready" in self.said(), self.said()

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def url(self) -> str:
        return self._link()[0]

    @property
    def secret(self) -> str:
        return self._link()[1]

    def _link(self) -> tuple[str, str]:
        links = re.findall(r"(http://\S+)/sign-in#(\S+)", self.said())
        assert len(links) == 1, self.said()
        return links[0]

    def processes(self) -> dict[str, psutil.Process]:
        """Return what it runs, by a word of the command line that only this process has."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._known |= {child.pid: child for child in children}
        words = {"supervisor.supervisord": "supervisor", "pginstall": "postgres", "valkey-server": "valkey"}
        words |= {"api.wsgi:app": "web", "-Q interactive": "worker", "-m scheduler": "scheduler"}
        found: dict[str, psutil.Process] = {}
        for child in children:
            line = " ".join(child.cmdline())
            for word, name in words.items():
                # The first of a kind is the master: children come after their parents.
                if word in line:
                    found.setdefault(name, child)
        return found

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        return self._process.wait(seconds)

    def left_over(self) -> list[psutil.Process]:
        return [process for process in self._known.values() if is_alive(process)]

    def stop(self) -> None:
        if not self.has_ended():
            self.processes()
            self.signal(signal.SIGTERM)
            self.wait(60)

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # Longer than a unix socket's path may be, and with spaces.
    folder = tmp_path_factory.mktemp("launcher").joinpath(*["a data folder with spaces"] * 5)
    assert len(str(folder)) > 108
    yield folder
    remove(folder)


def remove(data: Path) -> None:
    """Delete a data folder and what root keeps of it elsewhere: the servers' user cannot enter pytest's folders."""
    where = layout.resolve(data)
    shutil.rmtree(layout.make_sockets(where).folder)
    shutil.rmtree(where.servers)


@pytest.fixture(scope="module")
def running(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = Launched(data, tmp_path_factory.mktemp("output") / "first")
    try:
        launched.wait_ready()
        yield launched
    finally:
        launched.stop()


def token(data: Path) -> str:
    done = tailwatch("token", "--data-dir", str(data))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def portfolios(url: str, data: Path) -> list[str]:
    headers = {"Authorization": f"Bearer {token(data)}"}
    answer = requests.get(f"{url}/api/portfolios", headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


def test_the_printed_link_signs_in_once(running: Launched) -> None:
    first = requests.post(f"{running.url}/api/session/link", json={"token": running.secret}, timeout=10)
    assert first.ok, first.text
    again = requests.post(f"{running.url}/api/session/link", json={"token": running.secret}, timeout=10)
    assert again.status_code in {401, 410}, again.text


def test_the_command_line_prints_another_link(running: Launched, data: Path) -> None:
    done = tailwatch("sign-in-link", "--data-dir", str(data))
    address, _, secret = done.stdout.strip().partition("/sign-in#")
    assert address == running.url
    assert requests.post(f"{address}/api/session/link", json={"token": secret}, timeout=10).ok
    public = tailwatch("sign-in-link", "--data-dir", str(data), PUBLIC_URL="https://risk.example.org/")
    assert public.stdout.startswith("https://risk.example.org/sign-in#")


def test_run_takes_its_own_code_wherever_it_is_typed(tmp_path: Path) -> None:
    other = tmp_path / "tailwatch"
    other.mkdir()
    (other / "__init__.py").write_text("raise SystemExit('this is another checkout')")
    done = subprocess.run([ROOT / "run", "version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == __version__, done.stderr


def test_the_page_is_served(running: Launched) -> None:
    page = requests.get(running.url, timeout=10)
    assert "<app-root" in page.text


def test_the_demo_is_there_for_a_token_of_the_command_line(running: Launched, data: Path) -> None:
    assert portfolios(running.url, data) == ["Demo"]


def test_the_doctor_finds_nothing_wrong(running: Launched, data: Path) -> None:
    done = tailwatch("doctor", "--data-dir", str(data))
    assert done.returncode == 0, done.stdout
    assert f"yes, at {running.url}" in done.stdout
    assert "Workers: answer through every queue" in done.stdout


def test_a_second_instance_is_refused_and_told_where_the_first_is(running: Launched, data: Path) -> None:
    done = tailwatch("--data-dir", str(data))
    assert done.returncode == 1
    assert f"already running at {running.url}" in done.stderr


def test_a_taken_port_is_an_error_that_names_the_holder(running: Launched, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    done = tailwatch("--data-dir", str(tmp_path / "other"), "--port", port)
    remove(tmp_path / "other")
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "(pid " in done.stderr


@pytest.mark.parametrize(
    ("name", "title"), [("web", "web server"), ("worker", "worker (interactive)"), ("postgres", "PostgreSQL")]
)
def test_what_is_killed_is_started_again_and_named(running: Launched, name: str, title: str) -> None:
    victim = running.processes()[name]
    victim.kill()
    wait_until(lambda: f"{title} (pid {victim.pid}) died" in running.said(), f"the death of {name} is reported")
    wait_until(lambda: f"{title} runs again" in running.said(), f"{name} is reported to run again")
    wait_until(running.is_ready, "everything is ready again", 90)


def test_a_killed_supervisor_is_started_again_with_everything(running: Launched) -> None:
    before = running.processes()
    before["supervisor"].kill()
    wait_until(lambda: "starting everything again" in running.said(), "it is reported")
    wait_until(lambda: {"web", "worker", "scheduler"} <= running.processes().keys(), "everything runs again")
    wait_until(running.is_ready, "everything is ready again", 90)
    assert not [name for name, process in before.items() if is_alive(process)]


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
def test_servers_of_others_that_do_not_answer_are_said_in_words(
    running: Launched, data: Path, tmp_path: Path, variable: str
) -> None:
    # After `running`, which has built the page: what is waited for here is the refusal alone.
    known = instance.find(layout.resolve(data))
    assert known is not None
    dead = {
        "DATABASE_URL": "postgresql://me:my-secret@127.0.0.1:1/risk",
        "REDIS_URL": "redis://:my-secret@127.0.0.1:1",
    }
    done = tailwatch("--data-dir", str(tmp_path / "other"), **(known.environment | {variable: dead[variable]}))
    remove(tmp_path / "other")
    assert done.returncode == 1
    assert "does not answer" in done.stdout
    assert f"Check {variable}" in done.stdout
    assert "my-secret" not in done.stdout + done.stderr


def test_sigterm_ends_everything_in_order(running: Launched) -> None:
    running.processes()
    running.signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert running.left_over() == []
    stopped = re.findall(r"^  (.+) stopped$", running.said(), re.MULTILINE)
    assert stopped[0] == "scheduler"
    assert sorted(stopped[1:3]) == ["worker (background)", "worker (interactive)"]
    assert stopped[3:] == ["web server", "Valkey", "PostgreSQL"]


def test_commands_work_while_nothing_runs(running: Launched, data: Path) -> None:
    assert running.has_ended()
    listed = tailwatch("token", "list", "--data-dir", str(data))
    assert "command line" in listed.stdout
    examined = tailwatch("doctor", "--data-dir", str(data))
    assert examined.returncode == 0, examined.stdout
    assert "Running: no" in examined.stdout


def test_a_second_start_keeps_the_data_and_sigkill_leaves_no_process(
    running: Launched, data: Path, tmp_path: Path
) -> None:
    assert running.has_ended()
    second = Launched(data, tmp_path / "second", "--no-link", "--port", running.url.rpartition(":")[2])
    try:
        second.wait_ready()
        # What a service prints is kept: no place for a link that signs in.
        assert "#" not in second.said()
        assert "Database made" not in second.said()
        assert portfolios(running.url, data) == ["Demo"]
        assert len(second.processes()) == 6
        second.signal(signal.SIGKILL)
        wait_until(lambda: second.left_over() == [], "nothing is left", 20)
    finally:
        second.stop()
    third = tailwatch("token", "--data-dir", str(data))
    assert third.stdout.startswith("tw_"), third.stderr
