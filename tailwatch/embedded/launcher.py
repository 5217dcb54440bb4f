"""`./run`: starts everything, says where it is, watches it, and ends all of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console
from rich.text import Text

from tailwatch.embedded import instance, layout, page, ports
from tailwatch.embedded.environment import ROOT, SetupError
from tailwatch.embedded.programs import WEB, Program, product
from tailwatch.embedded.readiness import what_is_missing
from tailwatch.embedded.servers import Postgres, Valkey
from tailwatch.embedded.steps import Steps
from tailwatch.embedded.supervision import LOOK_SECONDS, Incident, Supervisor
from tailwatch.embedded.tether import PARENT_VARIABLE, tethered

READY_SECONDS: Final = 120.0
#: How often supervisord itself is started again before the launcher gives up.
SUPERVISOR_RESTARTS: Final = 3
#: What the address says for an address that means "this machine" or "every network".
_LOCALHOST: Final = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "::": "localhost", "::1": "localhost"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Options:
    """What `./run` was asked for."""

    host: str
    port: int | None
    data_dir: Path | None
    demo: bool
    #: Print a link that signs in: not where what is printed is kept, as by systemd.
    link: bool = True


class InterruptedBySignal(BaseException):
    """Somebody asked the launcher to end."""


def up(options: Options, console: Console) -> int:
    """Run Tailwatch until somebody ends it; return the exit status.

    Raises:
        SetupError: it could not be started.
    """
    where = layout.resolve(options.data_dir)
    with instance.hold(where):
        port = ports.choose(options.host, options.port)
        return _Launch(options, where, port, console).run()


class _Launch:
    """One start, with all that has to be ended again."""

    def __init__(self, options: Options, where: layout.Layout, port: int, console: Console) -> None:
        self._options = options
        self._layout = where
        self._port = port
        self._console = console
        self._steps = Steps(console)
        self._begun = datetime.now(UTC)
        self._sockets = sockets = layout.make_sockets(where)
        self._supervisor = Supervisor(where.data, sockets.supervisor)
        given = {name: os.environ.get(name) for name in ("DATABASE_URL", "REDIS_URL")}
        self._postgres = None if given["DATABASE_URL"] else Postgres(where, sockets)
        self._valkey = None if given["REDIS_URL"] else Valkey(where, sockets)
        self._servers = [server.program for server in (self._postgres, self._valkey) if server is not None]
        self._page = threading.Thread(target=self._build_page, name="page", daemon=True)
        self._page_error: SetupError | None = None
        self._product = product(os.environ)
        #: What can start before the page is built.
        self._without_page = [program for group in self._product for program in group if program is not WEB]
        self._started: set[Program] = set()
        self._supervisor_restarts = 0

    @property
    def _url(self) -> str:
        host = _LOCALHOST.get(self._options.host, self._options.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def _everything(self) -> list[Program]:
        return [*self._servers, *(program for group in reversed(self._product) for program in group)]

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        try:
            try:
                with self._steps.shown():
                    link = self._start()
                self._announce(link)
                self._watch()
            except InterruptedBySignal:
                return 0
            except SetupError as error:
                self._say(f"\n{error}")
                return 1
            finally:
                self._stop()
        except InterruptedBySignal:
            self._kill()
            return 130

    # --- starting ---

    def _start(self) -> str | None:
        if self._layout.moved:
            assert self._layout.owner is not None  # noqa: S101 - only another user needs another place
            self._steps.say(
                f"The database lies in {self._layout.servers}, because its user "
                f"({self._layout.owner.name}) cannot enter {self._layout.data}."
            )
        if not page.is_built():
            self._page.start()
        self._make_servers()
        with self._steps.step(" and ".join([program.title for program in self._servers] or ["Process supervisor"])):
            self._supervisor.start(self._everything, self._environment())
            self._supervisor.run(*self._servers)
            if self._schema_is_current():
                # Nothing will change under the others: they load while the servers and the account are seen to.
                self._run(*self._without_page)
                if not self._page.is_alive():
                    self._run(WEB)
            for server in (self._postgres, self._valkey):
                if server is not None:
                    server.wait_ready(self._supervisor.raise_if_given_up)
        link = self._prepare()
        self._run(*self._without_page)
        if self._page.ident is not None:
            self._page.join()
        if self._page_error is not None:
            raise self._page_error
        self._run(WEB)
        with self._steps.step("Web server, workers, scheduler"):
            self._wait_ready()
        return link

    def _run(self, *programs: Program) -> None:
        self._supervisor.run(*(program for program in programs if program not in self._started))
        self._started.update(programs)

    def _make_servers(self) -> None:
        if self._postgres is not None:
            with self._steps.step("Database made") if self._postgres.is_new else nullcontext():
                self._postgres.make()
        if self._valkey is not None:
            self._valkey.make()

    def _environment(self) -> dict[str, str]:
        ours = {
            "TAILWATCH_HOST": self._options.host,
            "TAILWATCH_PORT": str(self._port),
            # One person's machine: one web process, and linear algebra that does not fight for the cores.
            "WEB_CONCURRENCY": os.environ.get("WEB_CONCURRENCY", "1"),
            "OPENBLAS_NUM_THREADS": "1",
            # One heap a process instead of one a thread: a tenth less memory, and no thread here allocates much.
            "MALLOC_ARENA_MAX": "1",
            # SIGTERM to a Celery worker: finish what fits into the soft shutdown, leave the rest to the sweep.
            "REMAP_SIGTERM": "SIGQUIT",
            "PYTHONUNBUFFERED": "1",
            "BACKUP_DIR": os.environ.get("BACKUP_DIR") or str(self._layout.backups),
            "TMPDIR": str(self._sockets.scratch),
        }
        if self._postgres is not None:
            ours["DATABASE_URL"] = self._postgres.url
        if self._valkey is not None:
            ours["REDIS_URL"] = self._valkey.url
        return os.environ | ours

    def _prepare(self) -> str | None:
        with self._steps.step("Schema, account" + (", demo portfolio" if self._options.demo else "")):
            command = [sys.executable, "-m", "tailwatch.embedded.prepare", "--begun", self._begun.isoformat()]
            options = {
                "--no-demo": not self._options.demo,
                "--no-link": not self._options.link,
                "--schema-is-current": self._schema_is_current(),
                "--ask-broker": self._valkey is None,
            }
            done = subprocess.run(
                tethered([*command, *(option for option, given in options.items() if given)], signal.SIGTERM),
                check=False,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=self._environment() | {PARENT_VARIABLE: str(os.getpid())},
                stdin=subprocess.DEVNULL,
            )
            if done.returncode != 0:
                last = "\n".join(done.stderr.splitlines()[-15:])
                raise SetupError(last)
        if self._postgres is not None:
            self._schema_note.write_text(_schema_fingerprint())
        link: str | None = json.loads(done.stdout)["sign_in_token"]
        return link

    @property
    def _schema_note(self) -> Path:
        return self._layout.servers / "schema"

    def _schema_is_current(self) -> bool:
        """Say whether the embedded database was brought to this schema by an earlier start."""
        return (
            self._postgres is not None
            and self._schema_note.exists()
            and self._schema_note.read_text() == _schema_fingerprint()
        )

    def _build_page(self) -> None:
        try:
            with self._steps.step("Page built"):
                page.build()
        except SetupError as error:
            self._page_error = error

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while (missing := what_is_missing(self._url)) is not None:
            self._supervisor.raise_if_given_up()
            if time.monotonic() > deadline:
                raise SetupError(f"Not everything works after {READY_SECONDS:.0f} s. {missing}")
            time.sleep(0.05)

    def _announce(self, link: str | None) -> None:
        environment = self._environment()
        instance.write(
            self._layout,
            instance.Running(
                pid=os.getpid(),
                supervisor_pid=self._supervisor.pid,
                url=self._url,
                database_url=environment["DATABASE_URL"],
                redis_url=environment["REDIS_URL"],
            ),
        )
        self._say(f"\nTailwatch is ready ({time.monotonic() - self._steps.begun:.1f} s). Open:\n")
        if link is None:
            self._say(f"  {self._url}\n")
            self._say("A link that signs you in once: ./run sign-in-link")
        else:
            self._say(f"  {self._url}/sign-in#{link}\n")
            self._say("The link signs you in once; for another: ./run sign-in-link")
        self._say(f"Logs are in {self._layout.logs}. Ctrl-C ends Tailwatch.")

    # --- watching ---

    def _watch(self) -> NoReturn:
        while True:
            time.sleep(LOOK_SECONDS)
            for incident in self._supervisor.incidents():
                self._report(incident)
            if self._supervisor.has_ended():
                self._start_again()

    def _report(self, incident: Incident) -> None:
        program = incident.program
        if incident.kind == "gave up":
            raise SetupError(self._supervisor.why_not(program))
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        if incident.kind == "died":
            log = self._supervisor.log_of(program)
            self._say(f"{now}  {program.title} (pid {incident.pid}) died; starting it again. Its log: {log}")
        else:
            self._say(f"{now}  {program.title} runs again (pid {incident.pid}).")

    def _start_again(self) -> None:
        """Start everything once more after supervisord was killed; its programs end by themselves."""
        self._supervisor_restarts += 1
        if self._supervisor_restarts > SUPERVISOR_RESTARTS:
            raise SetupError("The process supervisor (supervisord) keeps ending.")
        self._say("The process supervisor (supervisord) died; starting everything again.")
        self._supervisor.wait_for_orphans()
        self._supervisor.start(self._everything, self._environment())
        self._supervisor.run(*self._everything)
        running = instance.read(self._layout)
        if running is not None:
            instance.write(self._layout, replace(running, supervisor_pid=self._supervisor.pid))

    # --- ending ---

    def _stop(self) -> None:
        instance.forget(self._layout)
        if self._supervisor.has_ended():
            return
        self._say("\nStopping (Ctrl-C again ends everything at once):")
        reverse: list[Sequence[Program]] = [*self._product, *((program,) for program in reversed(self._servers))]
        for group in reverse:
            self._supervisor.stop(group, lambda program: self._say(f"  {program.title} stopped"))
        self._supervisor.shut_down()
        shutil.rmtree(self._sockets.folder, ignore_errors=True)

    def _kill(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._supervisor.kill()
        self._say("Ended at once.")

    def _say(self, sentence: str) -> None:
        # A terminal that was closed takes nothing any more; what it was closed for is to stop in order.
        with suppress(OSError):
            self._console.print(Text(sentence), soft_wrap=True)


def _schema_fingerprint() -> str:
    """Return a hash of the migrations, read as files: the launcher, which stays, does not load a database library."""
    digest = hashlib.sha256()
    for migration in sorted((ROOT / "tailwatch" / "db" / "migrations" / "versions").glob("*.py")):
        digest.update(migration.read_bytes())
    return digest.hexdigest()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise InterruptedBySignal
