"""Backups by the clock: which one is due, one a day, and what became of it (table `backup_runs`).

Asked for every few minutes and decided here, so that one that was missed is made late rather than not. An advisory
lock says that one is under way: it goes with the connection of whoever makes it, so one that was killed is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from tailwatch.backup import archive, dump
from tailwatch.errors import BackupError
from tailwatch.settings import Settings

#: Advisory lock of "the daily backup is being made".
_LOCK_KEY: Final = 7_401_002
#: After a failure as long again as it has been failing, within these bounds, until the next day's is due.
_SHORTEST_PAUSE: Final = timedelta(minutes=10)
_LONGEST_PAUSE: Final = timedelta(hours=1)

#: Files made here: nothing else in the folder is ever deleted.
_NAME: Final = re.compile(r"tailwatch-\d{8}T\d{6}Z\.tar")

CUT_SHORT: Final = "It was cut short: the worker that made it ended."


def due_at(now: datetime, at: time) -> datetime:
    """Return when the newest backup that is due at `now` (UTC) was due, given the time of day of backups."""
    today = datetime.combine(now.date(), at, UTC)
    return today if today <= now else today - timedelta(days=1)


def make_if_due(engine: Engine, settings: Settings, now: datetime) -> Path | None:
    """Make the day's backup unless it is there, is being made, or has to wait after a failure; return its file.

    Args:
        engine: of the database.
        settings: `backup_at`, `backup_dir`, `backup_keep`.
        now: UTC.

    Raises:
        BackupError: it could not be made; the reason is kept in the database too.
    """
    if settings.backup_at is None:
        return None
    due = due_at(now, settings.backup_at)
    with _alone(engine) as connection:
        if connection is None or not _begin(connection, due, now):
            return None
        try:
            made = _make(engine, settings, now)
        except BaseException as error:
            # Where the database is away, the row stays as one that was cut short.
            with suppress(DBAPIError):
                _fail(engine, due.date(), error)
            raise
        size = made.stat().st_size
        with engine.begin() as own:
            own.execute(_DONE, {"day": due.date(), "file": str(made), "bytes": size})
    prune(made.parent, settings.backup_keep)
    return made


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection | None]:
    """Yield a connection that nobody else has at the same time; None if somebody has."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY})
        try:
            yield connection if mine else None
        finally:
            if mine:
                # A connection that died in between took the lock with it.
                with suppress(DBAPIError):
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})


def _begin(connection: Connection, due: datetime, now: datetime) -> bool:
    """Note that the backup begins; return False if there is nothing to do (yet)."""
    day = due.date()
    before = connection.execute(_RUN, {"day": day}).one_or_none()
    if before is not None:
        if before.finished_at is not None:
            return False
        if before.error is None:
            # Unfinished, and nobody is at it.
            connection.execute(_FAILED, {"day": day, "error": CUT_SHORT})
        pause = min(max(before.started_at - due, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        if now < before.started_at + pause:
            return False
    connection.execute(_STARTED, {"day": day, "now": now})
    return True


def _make(engine: Engine, settings: Settings, now: datetime) -> Path:
    folder = settings.backup_dir
    if folder is None:
        raise BackupError("BACKUP_AT is set, but BACKUP_DIR does not say where backups go.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_unfinished(folder)
    except OSError as error:
        raise BackupError(f"Backups cannot be kept in {folder}: {error.strerror}. Check BACKUP_DIR.") from error
    path = folder / f"tailwatch-{now:%Y%m%dT%H%M%SZ}.tar"
    make_file(engine, path)
    return path


def make_file(engine: Engine, path: Path) -> archive.Manifest:
    """Make a backup at `path`, read it once to see that it is good, and return what it holds.

    Raises:
        BackupError: it could not be made; what was at `path` before still is.
        NewerSchemaError: the database belongs to a newer version.
    """
    with archive.whole_file(path) as file:
        dump.make(engine, file)
    return archive.verify(path)


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` daily backups of a folder."""
    # Their names are in the order of their times.
    ours = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    for path in ours[:-keep]:
        path.unlink(missing_ok=True)


def _remove_unfinished(folder: Path) -> None:
    """Delete what a killed backup left: only one is made at a time, so nobody is writing it."""
    for path in folder.glob("*.partial"):
        if _NAME.fullmatch(path.stem):
            path.unlink(missing_ok=True)


def _fail(engine: Engine, day: date, error: BaseException) -> None:
    reason = str(error) if isinstance(error, BackupError) else f"{type(error).__name__}: {error}"
    with engine.begin() as connection:
        connection.execute(_FAILED, {"day": day, "error": reason[:1000]})


_RUN = text("SELECT started_at, finished_at, error FROM backup_runs WHERE day = :day")
_STARTED = text(
    """
    INSERT INTO backup_runs (day, started_at) VALUES (:day, :now)
    ON CONFLICT (day) DO UPDATE SET started_at = excluded.started_at, error = NULL
    """
)
_FAILED = text("UPDATE backup_runs SET error = :error WHERE day = :day AND finished_at IS NULL")
_DONE = text(
    "UPDATE backup_runs SET finished_at = now(), file = :file, bytes = :bytes, error = NULL WHERE day = :day"
)
