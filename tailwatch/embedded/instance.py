"""One running Tailwatch a data folder: who holds it, and where the others find what it runs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.layout import Layout, make_sockets
from tailwatch.embedded.programs import Program
from tailwatch.embedded.servers import Postgres, Valkey
from tailwatch.embedded.tether import PARENT_VARIABLE, tethered

#: How long the remains of a killed launcher may take to end before a new one gives up.
LEFTOVER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """What a running launcher lets others know. Holds the database's password: the file is private."""

    pid: int
    supervisor_pid: int
    url: str
    database_url: str
    redis_url: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process use its servers."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


class AlreadyRunningError(SetupError):
    """Another launcher holds the data folder."""


@contextmanager
def hold(layout: Layout) -> Iterator[None]:
    """Hold the data folder for the block.

    Raises:
        AlreadyRunningError: another launcher does.
    """
    with (layout.run / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(_who_runs(layout)) from None
        # The lock ends with its holder; what it ran may take a moment longer.
        _wait_for_leftovers(layout)
        yield


def _who_runs(layout: Layout) -> str:
    running = read(layout)
    if running is None:
        return f"Tailwatch is just starting or stopping on {layout.data}; try again in a moment."
    return (
        f"Tailwatch is already running at {running.url} (pid {running.pid}, data in {layout.data}).\n"
        "For a fresh sign-in link: ./run sign-in-link. For a second, separate one: ./run --data-dir FOLDER."
    )


def _wait_for_leftovers(layout: Layout) -> None:
    """Wait for the supervisor and the servers of a launcher that was killed."""
    before = read(layout)
    if before is None:
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(before.supervisor_pid)
        if "supervisor.supervisord" in process.cmdline():
            try:
                process.wait(LEFTOVER_SECONDS)
            except psutil.TimeoutExpired:
                raise SetupError(
                    f"What an earlier launcher started has not ended yet (supervisord, pid {process.pid}). "
                    f"Try again in a moment, or end it: kill {process.pid}"
                ) from None
    forget(layout)


def write(layout: Layout, running: Running) -> None:
    """Let others know."""
    unfinished = layout.run / "state.unfinished"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(running), file)
    unfinished.rename(layout.run / "state.json")


def read(layout: Layout) -> Running | None:
    """Return what was last written, whether or not it still runs."""
    try:
        return Running(**json.loads((layout.run / "state.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def forget(layout: Layout) -> None:
    """Take back what was written."""
    (layout.run / "state.json").unlink(missing_ok=True)


def find(layout: Layout) -> Running | None:
    """Return the launcher that runs on this data folder right now."""
    with (layout.run / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return read(layout)
    return None


# --- servers for a single command ---


@contextmanager
def servers(layout: Layout) -> Iterator[dict[str, str]]:
    """Yield DATABASE_URL and REDIS_URL for one command: the environment's, the running instance's, or its own.

    Servers that have to be started for it are stopped again.

    Raises:
        SetupError: they could not be started.
    """
    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)}
    running = find(layout)
    if running is not None:
        yield running.environment | given
        return
    with ExitStack() as stack:
        if len(given) < 2:
            stack.enter_context(hold(layout))
        if "DATABASE_URL" not in given:
            postgres = Postgres(layout, make_sockets(layout))
            postgres.make()
            postgres.wait_ready(stack.enter_context(_running(postgres.program, layout)))
            given["DATABASE_URL"] = postgres.url
        if "REDIS_URL" not in given:
            valkey = Valkey(layout, make_sockets(layout))
            valkey.make()
            valkey.wait_ready(stack.enter_context(_running(valkey.program, layout)))
            given["REDIS_URL"] = valkey.url
        yield given


@contextmanager
def _running(program: Program, layout: Layout) -> Iterator[_Check]:
    log = layout.logs / f"{program.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            tethered(program.command, program.orphaned, program.owner),
            cwd=program.directory,
            env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield _Check(process, program, log)
    finally:
        process.send_signal(program.stop)
        try:
            process.wait(program.stop_seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()


class _Check:
    """Raises as soon as there is no use in waiting for a server any longer."""

    def __init__(self, process: subprocess.Popen[bytes], program: Program, log: Path) -> None:
        self._process, self._program, self._log = process, program, log

    def __call__(self) -> None:
        if self._process.poll() is not None:
            tail = "\n".join(f"  {line}" for line in self._log.read_text(errors="replace").splitlines()[-10:])
            raise SetupError(f"{self._program.title} could not be started. The end of {self._log}:\n{tail}")
