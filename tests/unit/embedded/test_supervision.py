"""supervisord with stand-ins for programs: what dies is started again and named, what cannot start is given up."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.programs import PRODUCT, Program
from tailwatch.embedded.supervision import Incident, Supervisor, is_alive
from tests.support.waiting import wait_until


def stand_in(name: str, code: str, directory: Path, **fields: int) -> Program:
    return Program(
        name=name,
        title=name,
        command=(sys.executable, "-c", code),
        stop=signal.SIGTERM,
        orphaned=signal.SIGKILL,
        stop_seconds=5,
        start_seconds=fields.get("start_seconds", 1),
        directory=directory,
    )


STAYS = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    # Everything that could mean something to a configuration file or a shell.
    folder = tmp_path / "a b;c #d %s 'q' \"p\" é"
    for name in ("logs", "run"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def supervisor(data: Path) -> Iterator[Supervisor]:
    with tempfile.TemporaryDirectory(dir="/tmp") as sockets:
        supervisor = Supervisor(data, Path(sockets) / "s")
        yield supervisor
        if not supervisor.has_ended():
            supervisor.kill()


def incidents_until(supervisor: Supervisor, kind: str) -> list[Incident]:
    found: list[Incident] = []

    def seen() -> bool:
        found.extend(supervisor.incidents())
        return any(incident.kind == kind for incident in found)

    wait_until(seen, f"an incident: {kind}")
    return found


def test_what_dies_is_named_and_started_again(supervisor: Supervisor, data: Path) -> None:
    program = stand_in("stays", STAYS, data)
    supervisor.start([program], os.environ)
    supervisor.run(program)
    wait_until(lambda: len(supervisor.processes()) == 2, "the program runs")
    assert supervisor.incidents() == []
    _, process = supervisor.processes()
    process.kill()
    died, restarted = incidents_until(supervisor, "restarted")
    assert (died.program, died.kind, died.pid) == (program, "died", process.pid)
    assert restarted.pid not in {0, process.pid}
    wait_until(lambda: "up" in supervisor.log_of(program).read_text(), "what it printed is in its log")


def test_what_cannot_start_is_given_up_with_its_last_words(supervisor: Supervisor, data: Path) -> None:
    program = stand_in("fails", "raise SystemExit('no such thing as a free lunch')", data)
    supervisor.start([program], os.environ)
    supervisor.run(program)
    incidents_until(supervisor, "gave up")
    with pytest.raises(SetupError, match="no such thing as a free lunch"):
        supervisor.raise_if_given_up()


def test_a_program_that_does_not_listen_is_killed_with_its_children(supervisor: Supervisor, data: Path) -> None:
    deaf = (
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "time.sleep(600)"
    )
    program = stand_in("deaf", deaf, data)
    supervisor.start([program], os.environ)
    supervisor.run(program)
    wait_until(lambda: len(supervisor.processes()) == 3, "program and child run")
    processes = supervisor.processes()[1:]
    stopped: list[Program] = []
    supervisor.stop([program], stopped.append)
    assert stopped == [program]
    wait_until(lambda: not any(map(is_alive, processes)), "program and child are gone", 5)


def test_nothing_outlives_a_killed_supervisor(supervisor: Supervisor, data: Path) -> None:
    programs = [stand_in("one", STAYS, data), stand_in("two", STAYS, data)]
    supervisor.start(programs, os.environ)
    supervisor.run(*programs)
    wait_until(lambda: len(supervisor.processes()) == 3, "both run")
    processes = supervisor.processes()
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, processes)), "all of it is gone", 10)
    wait_until(supervisor.has_ended, "it is seen to have ended")


def test_every_program_has_a_name_of_its_own() -> None:
    names = [program.name for group in PRODUCT for program in group]
    assert len(names) == len(set(names)) == 4
