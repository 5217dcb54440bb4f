"""Running what pg_restore makes of a dump on a connection of ours, so that its transaction is ours to end.

pg_restore alone would commit by itself, and what has to happen besides, and what has to be checked first, would be
outside of its transaction. It writes SQL with COPY blocks when it is given no database to restore into.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import IO, Any, Final

import psycopg2
from sqlalchemy import Connection, text

from tailwatch.backup.dump import program, what_was_said
from tailwatch.errors import RestoreError

#: Ends the rows of a COPY.
_END_OF_ROWS: Final = b"\\.\n"
#: Commands for psql, which this is not.
_FOR_PSQL: Final = (b"\\restrict ", b"\\unrestrict ")


def run(connection: Connection, dump: Iterable[bytes]) -> None:
    """Make the tables of `dump` (a custom-format dump) in the transaction of `connection`.

    Raises:
        RestoreError: the dump, or the place where it comes from, is not in order; roll back.
    """
    # "public" is there; whatever a dump has besides is not ours.
    command = [str(program("pg_restore")), "--schema=public", "--no-owner", "--no-privileges", "--file=-"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - for the type checker
        feeder = _Feeder(dump, process.stdin)
        feeder.start()
        refused: psycopg2.Error | None = None
        try:
            _execute(connection, process.stdout)
        except psycopg2.Error as error:
            refused = error
            process.kill()
        except BaseException:
            process.kill()
            raise
        feeder.join()
        ended = process.wait()
        # What is wrong with the file says more than what PostgreSQL makes of it.
        if feeder.error is not None:
            raise feeder.error
        if refused is not None:
            raise RestoreError(f"The backup could not be restored; the database is as it was. {refused}".strip())
        if ended:
            raise RestoreError(f"The backup could not be read; the database is as it was. {what_was_said(said)}")
    # The script changes settings of the connection: no schema to search in, for one.
    connection.execute(text("RESET ALL"))


class _Feeder(threading.Thread):
    """Hands the dump to pg_restore while its answer is being read."""

    def __init__(self, dump: Iterable[bytes], target: Any) -> None:
        super().__init__(name="restore", daemon=True)
        self.error: BaseException | None = None
        self._dump = dump
        self._target = target

    def run(self) -> None:
        """Write until there is no more; see `threading.Thread`."""
        try:
            for piece in self._dump:
                # To its end even if pg_restore has had enough: only there is the checksum.
                with suppress(BrokenPipeError):
                    self._target.write(piece)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for this thread
            self.error = error
        finally:
            with suppress(BrokenPipeError):
                self._target.close()


def _execute(connection: Connection, script: IO[bytes]) -> None:
    with closing(connection.connection.cursor()) as cursor:
        statements: list[bytes] = []
        for line in script:
            if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
                _flush(cursor, statements)
                cursor.copy_expert(line.decode(), _Rows(script), 1 << 16)
            elif not line.startswith(_FOR_PSQL):
                statements.append(line)
        _flush(cursor, statements)


def _flush(cursor: Any, statements: list[bytes]) -> None:
    if any(line.strip() and not line.startswith(b"--") for line in statements):
        cursor.execute(b"".join(statements))
    statements.clear()


class _Rows:
    """The rows of one COPY, as a file that ends where they do."""

    def __init__(self, script: IO[bytes]) -> None:
        self._script = script
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return whole lines, `size` bytes or a line more."""
        lines: list[bytes] = []
        length = 0
        while length < size and not self._ended:
            line = self._script.readline()
            if line in {_END_OF_ROWS, b""}:
                self._ended = True
            else:
                lines.append(line)
                length += len(line)
        return b"".join(lines)
