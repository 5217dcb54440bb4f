"""Bring the database to the newest revision of the schema, or say whether it is there.

Alembic's own functions, so that the command line needs no Flask; `flask db …` (Flask-Migrate) works on the same
folder for those who write migrations.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

import tailwatch
from tailwatch.db.schema import refuse_newer

MIGRATIONS = Path(__file__).resolve().parent / "migrations"

#: Held while migrating or restoring, so that two processes that start together do not both try.
_LOCK_KEY = 7_401_001


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # ConfigParser reads "%" as the start of an interpolation; a path may hold one.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """Return the newest schema revision that this code knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, "the migrations folder is empty"  # noqa: S101 - a broken installation
    return revision


def current(engine: Engine) -> str | None:
    """Return the schema revision of the database, or None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate the database up to `revision`, all of it or nothing.

    Raises:
        NewerSchemaError: a newer version of Tailwatch has migrated it already.
    """
    with engine.begin() as connection:
        upgrade_within(connection, revision)


def upgrade_within(connection: Connection, revision: str = "head") -> None:
    """As `upgrade`, in the transaction of the caller."""
    lock(connection)
    refuse_newer(connection)
    command.upgrade(_config(connection), revision)
    if revision == "head":
        connection.execute(_NOTE_RELEASE, {"version": tailwatch.__version__, "revision": head()})


# What a newer version's database tells an older one that is started on it by mistake.
_NOTE_RELEASE = text(
    """
    INSERT INTO releases (version, schema_revision) VALUES (:version, :revision)
    ON CONFLICT (version) DO UPDATE SET schema_revision = excluded.schema_revision
    """
)


def lock(connection: Connection) -> None:
    """Let nobody else migrate or restore until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate the database down to `revision` ("base" empties it), all of it or nothing."""
    with engine.begin() as connection:
        lock(connection)
        command.downgrade(_config(connection), revision)
