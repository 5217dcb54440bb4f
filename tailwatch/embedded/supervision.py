"""supervisord as a child of the launcher: what it is told, what it says, and that it outlives nobody.

The launcher is its parent and each program's parent is supervisord; every link is tethered (tether.py), so whichever
of them is killed, what is below it ends by itself.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final, Literal
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.programs import Program
from tailwatch.embedded.tether import PARENT_VARIABLE, tethered

#: How often the launcher looks; what died is started again by supervisord without waiting for that.
LOOK_SECONDS: Final = 0.5
#: How long programs whose supervisor is gone may take to end before they are killed.
GONE_SECONDS: Final = 15.0

#: supervisord's names for the states of a program that has, or is about to get, a process.
_RUNNING: Final = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}

_DO_NOT_WAIT: Final = False

_CONFIG_HEAD: Final = """\
; Written by ./run at every start. Paths come from the environment, so that no character in them can break a line.
[supervisord]
nodaemon = true
silent = true
logfile = logs/supervisor.log
logfile_maxbytes = 1MB
logfile_backups = 1
pidfile = run/supervisor.pid
childlogdir = logs
{user}
[unix_http_server]
file = %(ENV_TAILWATCH_SUPERVISOR_SOCKET)s
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_CONFIG_PROGRAM: Final = """
[program:{name}]
command = %(ENV_{variable}_COMMAND)s
directory = %(ENV_{variable}_DIRECTORY)s
priority = {priority}
autostart = false
autorestart = true
startsecs = {start_seconds}
startretries = 3
stopsignal = {stop}
stopwaitsecs = {stop_seconds}
killasgroup = true
redirect_stderr = true
stdout_logfile = logs/{name}.log
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 2
"""


_CONFIG_GROUP: Final = """
[group:{name}]
programs = {members}
"""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happened to a program without anybody asking for it."""

    program: Program
    kind: Literal["died", "restarted", "gave up"]
    #: Of the process that died or was started; 0 if there is none.
    pid: int


class Supervisor:
    """A supervisord of our own. To be used by one thread, the one that lives as long as the process."""

    def __init__(self, data: Path, socket: Path) -> None:
        self._data = data
        self._socket = socket
        self._process: subprocess.Popen[bytes] | None = None
        self._programs: dict[str, Program] = {}
        #: Process id of each program's newest process, by program name.
        self._seen: dict[str, int] = {}
        #: Programs that died and have no new process yet.
        self._down: set[str] = set()
        self._rpc: Any = None

    @property
    def pid(self) -> int:
        """Process id of supervisord."""
        assert self._process is not None, "not started"  # noqa: S101 - a mistake of the caller
        return self._process.pid

    def log_of(self, program: Program) -> Path:
        """Return the file with everything `program` printed."""
        return self._data / "logs" / f"{program.name}.log"

    def start(self, stopped_last: Sequence[Program], environment: Mapping[str, str]) -> None:
        """Start supervisord; it starts nothing until it is asked to.

        Args:
            stopped_last: every program, in the order of starting; should supervisord have to stop them without the
                launcher, it takes the reverse, and groups at once before anything else.
            environment: of supervisord and of every program.

        Raises:
            SetupError: it did not come up.
        """
        self._programs = {program.name: program for program in stopped_last}
        user = "user = root\n" if os.geteuid() == 0 else ""
        config = _CONFIG_HEAD.format(user=user) + "".join(
            _CONFIG_PROGRAM.format(
                name=program.name,
                variable=_variable(program),
                priority=priority,
                start_seconds=program.start_seconds,
                stop=program.stop.name.removeprefix("SIG"),
                stop_seconds=program.stop_seconds,
            )
            for priority, program in enumerate(stopped_last)
        )
        for group in {program.group for program in stopped_last if program.group is not None}:
            members = ",".join(program.name for program in stopped_last if program.group == group)
            config += _CONFIG_GROUP.format(name=group, members=members)
        path = self._data / "run" / "supervisord.conf"
        path.write_text(config)
        self._socket.unlink(missing_ok=True)
        with (self._data / "logs" / "supervisor.err").open("wb") as errors:
            self._process = self._spawn(path, errors, environment)
        self._connect()
        self._seen.clear()
        self._down.clear()
        self._wait_until_it_answers()

    def _spawn(self, config: Path, errors: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        variables = {
            f"{_variable(program)}_{part}": value
            for program in self._programs.values()
            for part, value in (
                ("COMMAND", shlex.join(tethered(program.command, program.orphaned, program.owner))),
                ("DIRECTORY", str(program.directory)),
            )
        }
        return subprocess.Popen(
            tethered([sys.executable, "-m", "supervisor.supervisord", "-c", config], signal.SIGTERM),
            cwd=self._data,
            env={
                **environment,
                **variables,
                PARENT_VARIABLE: str(os.getpid()),
                "TAILWATCH_SUPERVISOR_SOCKET": str(self._socket),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            # Ctrl-C in the terminal is for the launcher alone, which stops everything in its order.
            start_new_session=True,
        )

    def _connect(self) -> None:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        self._rpc = ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None  # noqa: S101 - for the type checker
        deadline = time.monotonic() + 20
        while self._look() is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                error = (self._data / "logs" / "supervisor.err").read_text(errors="replace").strip()
                raise SetupError(f"The process supervisor (supervisord) did not start. {error}")
            time.sleep(0.03)

    def run(self, *programs: Program) -> None:
        """Start `programs` without waiting until they are up."""
        for program in programs:
            self._rpc.startProcess(program.full_name, _DO_NOT_WAIT)

    # --- watching ---

    def _look(self) -> dict[str, dict[str, Any]] | None:
        try:
            return {info["name"]: info for info in self._rpc.getAllProcessInfo()}
        except (OSError, HTTPException, Fault):
            # The transport keeps a connection that failed, and every later call would fail with it.
            self._connect()
            return None

    def has_ended(self) -> bool:
        """Say whether supervisord itself is gone."""
        return self._process is None or self._process.poll() is not None

    def incidents(self) -> list[Incident]:
        """Return what happened since this was last asked."""
        found: list[Incident] = []
        for name, info in (self._look() or {}).items():
            program, now, before = self._programs[name], int(info["pid"]), self._seen.get(name, 0)
            if before and now != before and name not in self._down:
                self._down.add(name)
                found.append(Incident(program, "died", before))
            if now and name in self._down:
                self._down.remove(name)
                found.append(Incident(program, "restarted", now))
            if info["statename"] == "FATAL":
                found.append(Incident(program, "gave up", 0))
            self._seen[name] = now or before
        return found

    def raise_if_given_up(self) -> None:
        """Raise if a program cannot be started.

        Raises:
            SetupError: with the last lines that the program printed.
        """
        if self.has_ended():
            raise SetupError(f"The process supervisor ended; see {self._data / 'logs' / 'supervisor.log'}.")
        for name, info in (self._look() or {}).items():
            if info["statename"] == "FATAL":
                raise SetupError(self.why_not(self._programs[name]))

    def why_not(self, program: Program) -> str:
        """Return the sentence and the last log lines for a program that cannot be started."""
        log = self.log_of(program)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        tail = "\n".join(f"  {line}" for line in lines) or "  (it printed nothing)"
        return f"The {program.title} could not be started. The end of {log}:\n{tail}"

    def processes(self) -> list[psutil.Process]:
        """Return supervisord and everything below it."""
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    # --- ending ---

    def stop(self, group: Sequence[Program], stopped: Callable[[Program], None]) -> None:
        """Ask every running program of `group` to end, and wait; what does not end in its time is killed."""
        running = {name for name, info in (self._look() or {}).items() if info["statename"] in _RUNNING}
        waiting = {program.name: program for program in group if program.name in running}
        for program in waiting.values():
            with suppress(Fault, OSError, HTTPException):
                self._rpc.stopProcess(program.full_name, _DO_NOT_WAIT)
        # supervisord kills in the end; this only bounds the wait for a supervisord that hangs.
        deadline = time.monotonic() + max((program.stop_seconds for program in group), default=0) + 10
        while waiting and time.monotonic() < deadline and not self.has_ended():
            for name, info in (self._look() or {}).items():
                if name in waiting and info["pid"] == 0:
                    self._seen.pop(name, None)
                    stopped(waiting.pop(name))
            time.sleep(0.03)

    def shut_down(self) -> None:
        """End supervisord with whatever it still runs, and wait until all of it is gone."""
        processes = self.processes()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                self._process.kill()
        _wait_until_gone(processes)

    def wait_for_orphans(self) -> None:
        """Wait until the programs of a supervisord that was killed are gone."""
        orphans = []
        for pid in self._seen.values():
            with suppress(psutil.NoSuchProcess):
                orphans.append(psutil.Process(pid))
        _wait_until_gone(orphans)

    def kill(self) -> None:
        """End everything at once: the programs get their `orphaned` signals, PostgreSQL still closes its files."""
        processes = self.processes()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        _wait_until_gone(processes)


def _wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while alive := [process for process in processes if is_alive(process)]:
        if time.monotonic() > deadline:
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Say whether a process still does anything; one that ended and was not collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _variable(program: Program) -> str:
    return "TAILWATCH_RUN_" + program.name.upper().replace("-", "_")
