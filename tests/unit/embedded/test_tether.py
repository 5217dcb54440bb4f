"""A tethered command ends with its parent, whichever way the parent ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tailwatch.embedded.supervision import is_alive
from tailwatch.embedded.tether import PARENT_VARIABLE, WATCH_VARIABLE, tethered
from tests.support.waiting import wait_until

#: Starts a tethered sleep, says its process id, and waits to be killed.
PARENT = """
import os, signal, subprocess
from tailwatch.embedded.tether import PARENT_VARIABLE, tethered
command = tethered(["/bin/sleep", "600"], signal.SIGTERM)
child = subprocess.Popen(command, env=os.environ | {PARENT_VARIABLE: str(os.getpid())})
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture(params=["kernel", "watching"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "kernel" and sys.platform != "linux":
        pytest.skip("only Linux does it in the kernel")
    extra = {WATCH_VARIABLE: "1"} if request.param == "watching" else {}
    return {key: value for key, value in os.environ.items() if key != PARENT_VARIABLE} | extra


def sleeper(process: psutil.Process) -> psutil.Process | None:
    """Return the process that became `sleep`."""
    return next((p for p in [process, *process.children()] if p.name() == "sleep"), None)


def test_it_ends_when_its_parent_is_killed(environment: dict[str, str]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    tether = psutil.Process(int(parent.stdout.readline()))
    wait_until(lambda: sleeper(tether) is not None, "the command runs")
    command = sleeper(tether)
    assert command is not None
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_alive(command) and not is_alive(tether), "both are gone", 10)


def test_a_parent_that_was_gone_before_is_noticed(environment: dict[str, str]) -> None:
    # Watched, the command runs and is told at once.
    expected = 128 + signal.SIGTERM if WATCH_VARIABLE in environment else 1
    done = subprocess.run(
        tethered(["/bin/sleep", "600"], signal.SIGTERM),
        env=environment | {PARENT_VARIABLE: "1"},
        check=False,
        timeout=30,
    )
    assert done.returncode == expected


def test_signals_and_exit_status_pass_through(environment: dict[str, str]) -> None:
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    child = subprocess.Popen(
        tethered(["/bin/sh", "-c", script], signal.SIGKILL),
        env=environment | {PARENT_VARIABLE: str(os.getpid())},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.terminate()
    assert child.wait(10) == 7
    child.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_as_another_user() -> None:
    command = tethered(["/usr/bin/id", "-u"], signal.SIGTERM, owner=(65534, 65534))
    done = subprocess.run(
        command,
        env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.stdout == "65534\n"
