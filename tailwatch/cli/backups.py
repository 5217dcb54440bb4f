"""Commands about keeping what was booked: backups, and upgrades, which begin with one."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

import tailwatch
from tailwatch.cli.context import DataDir, database
from tailwatch.embedded.environment import ROOT, SetupError

if TYPE_CHECKING:
    from tailwatch.backup.archive import Manifest
    from tailwatch.db.models import BackupRun

STANDARD_STREAM: Final = "-"
#: What a person counts a backup by.
_SHOWN: Final = ("portfolios", "trades", "prices")


def backup(
    file: Annotated[str, typer.Argument(help="Where to; - is standard output. Replaced only by a whole backup.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Back everything up into one file, while Tailwatch runs or not."""
    begun = time.monotonic()
    with _in_words(), database(data_dir):
        from tailwatch.backup import dump, runs
        from tailwatch.db.session import get_engine

        if file == STANDARD_STREAM:
            if sys.stdout.isatty():
                raise SetupError("A backup is nothing to read: name a file, or send it to one: backup - > FILE")
            manifest = dump.make(get_engine(), sys.stdout.buffer)
            sys.stdout.buffer.flush()
            size = ""
        else:
            path = Path(file).expanduser()
            if path.is_dir():
                raise SetupError(f"{path} is a folder; name a file in it.")
            manifest = runs.make_file(get_engine(), path)
            size = f", {path.stat().st_size / 1e6:.1f} MB"
    # Standard output may be the backup.
    typer.echo(f"Backed up: {_contents(manifest)}{size}, {time.monotonic() - begun:.1f} s.", err=True)


def restore(
    file: Annotated[str, typer.Argument(help="A file that `backup` made; - is standard input.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Let go of the data that the database holds.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup, all of it or nothing, while Tailwatch runs or not. Everybody signs in again afterwards."""
    begun = time.monotonic()
    with _in_words(), database(data_dir):
        from tailwatch.backup import archive
        from tailwatch.backup.restore import restore as restore_from
        from tailwatch.db.session import get_engine

        if file == STANDARD_STREAM:
            if sys.stdin.isatty():
                raise SetupError("Name the file of the backup, or hand it over: restore - < FILE")
            manifest = restore_from(get_engine(), sys.stdin.buffer, replace=replace)
        else:
            path = Path(file).expanduser()
            # Nobody has to wait for a file that turns out to be broken at its end.
            archive.verify(path)
            with path.open("rb") as source:
                manifest = restore_from(get_engine(), source, replace=replace)
    typer.echo(
        f"Restored: {_contents(manifest)}, {time.monotonic() - begun:.1f} s. "
        f"Made {manifest.made_at:%Y-%m-%d %H:%M} UTC by Tailwatch {manifest.tailwatch}.\n"
        "Everybody signs in again: sign-in-link prints a link. API tokens are those of the backup (token list); what "
        "was revoked here before stays revoked."
    )


def upgrade(
    *,
    notes: Annotated[bool, typer.Option("--notes", help="Only show what would be done, and what is new.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    file: Annotated[
        Path | None, typer.Option("--backup", help="Where the backup goes. Default: a new file in BACKUP_DIR.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Show what this version brings; back the database up, then bring it to this version's schema."""
    with _in_words(), database(data_dir):
        from tailwatch.backup import runs
        from tailwatch.db import migrate
        from tailwatch.db.session import get_engine

        state = _State.read()
        typer.echo(state.described())
        typer.echo(_changes_since(state.version))
        if notes or state.is_current or state.revision is None:
            return
        path = file or _new_file()
        if not yes:
            if not sys.stdin.isatty():
                raise SetupError("Nothing was changed. To go on without being asked: upgrade --yes")
            typer.confirm(f"Back up to {path} and migrate?", abort=True)
        runs.make_file(get_engine(), path)
        typer.echo(f"Backed up to {path}.")
        migrate.upgrade(get_engine())
        typer.echo(f"The schema is at {migrate.head()}. Start Tailwatch.")


@contextmanager
def _in_words() -> Iterator[None]:
    """Say what servers and files answer that are not as they should be."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise SetupError(f"Nothing was changed. The database says: {str(error.orig).strip()}") from error
    except OSError as error:
        raise SetupError(f"{error.strerror}: {error.filename}" if error.filename else str(error)) from error


def _contents(manifest: Manifest) -> str:
    return ", ".join(f"{table}: {manifest.rows.get(table, 0):,}" for table in _SHOWN)


def _new_file() -> Path:
    from tailwatch.settings import get_settings

    folder = get_settings().backup_dir
    if folder is None:
        raise SetupError("BACKUP_DIR does not say where backups go. Set it, or name a file: upgrade --backup FILE")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of another name than the daily ones, so that it stays when those are cleared away.
    return folder / f"before-{tailwatch.__version__}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"


# --- what an upgrade is about ---


@dataclass(frozen=True, slots=True)
class _State:
    """The database against this code."""

    #: None: an empty database.
    version: str | None
    revision: str | None
    newest: str
    last_backup: BackupRun | None

    @classmethod
    def read(cls) -> _State:
        """Ask the database.

        Raises:
            NewerSchemaError: it belongs to a newer version.
        """
        from sqlalchemy import inspect, select
        from sqlalchemy.orm import Session

        from tailwatch.db import schema
        from tailwatch.db.models import BackupRun
        from tailwatch.db.session import get_engine

        with get_engine().connect() as connection:
            schema.refuse_newer(connection)
            last = None
            if inspect(connection).has_table(BackupRun.__tablename__):
                query = select(BackupRun).where(BackupRun.finished_at.is_not(None)).order_by(BackupRun.day.desc())
                last = Session(connection).scalars(query.limit(1)).one_or_none()
            return cls(schema.made_by(connection), schema.current(connection), schema.known()[-1], last)

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to migrate."""
        return self.revision == self.newest

    def described(self) -> str:
        """Say it in words."""
        ours = f"This is Tailwatch {tailwatch.__version__}, whose schema is {self.newest}."
        if self.revision is None:
            return f"{ours} The database is empty; the first start makes its schema."
        theirs = f"The database is at schema {self.revision}, brought there by Tailwatch {self.version}."
        todo = "Nothing has to be migrated." if self.is_current else "It has to be migrated."
        if self.last_backup is None or self.last_backup.finished_at is None:
            return f"{ours} {theirs} {todo}\nThere is no daily backup."
        made = self.last_backup.finished_at
        which = "today's" if made.date() == datetime.now(UTC).date() else "not of today"
        last = f"The last daily backup is {which}: {made:%Y-%m-%d %H:%M} UTC, {self.last_backup.file}"
        return f"{ours} {theirs} {todo}\n{last}"


def _changes_since(version: str | None) -> str:
    """Return the sections of CHANGELOG.md that are newer than `version`."""
    wanted = []
    for section in re.split(r"^(?=## )", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        if version is not None and section.split()[1] == version:
            break
        wanted.append(section.strip())
    return "\nWhat is new:\n\n" + "\n\n".join(wanted) + "\n" if wanted else ""
