"""Which schema the database has, and whether this code knows it.

Without Alembic: every process asks this when it starts, and most of them need nothing else of it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

import tailwatch
from tailwatch.db.session import sqlalchemy_url
from tailwatch.errors import NewerSchemaError
from tailwatch.settings import get_settings

_VERSIONS: Final = Path(__file__).resolve().parent / "migrations" / "versions"

#: The only version that did not yet note itself in `releases`.
BEFORE_RELEASES: Final = "0.1.0"


@lru_cache(maxsize=1)
def known() -> tuple[str, ...]:
    """Return every schema revision that this code knows, oldest first; their files are named after them."""
    return tuple(sorted(path.name.split("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py")))


def current(connection: Connection) -> str | None:
    """Return the schema revision of the database, or None for an empty one."""
    if connection.scalar(text("SELECT to_regclass('public.alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM public.alembic_version"))
    return revision


def made_by(connection: Connection) -> str | None:
    """Return the version of Tailwatch that brought the database to its schema; None for an empty database."""
    revision = current(connection)
    if revision is None:
        return None
    if connection.scalar(text("SELECT to_regclass('public.releases')")) is None:
        return BEFORE_RELEASES
    version: str | None = connection.scalar(
        text("SELECT version FROM public.releases ORDER BY schema_revision = :revision DESC, first_at DESC LIMIT 1"),
        {"revision": revision},
    )
    return version


def refuse_newer(connection: Connection) -> None:
    """Let only a database through that this code can read: an empty one, an older one, or one of its own schema.

    Raises:
        NewerSchemaError: a newer version of Tailwatch has been here; the message says which, and what to do.
    """
    revision = current(connection)
    if revision is None or revision in known():
        return
    version = made_by(connection) or "a newer version"
    raise NewerSchemaError(
        f"The database is at schema {revision}, brought there by Tailwatch {version}. This is Tailwatch "
        f"{tailwatch.__version__}, which knows schemas up to {known()[-1]}. Nothing was changed. Install Tailwatch "
        f"{version} or newer, or go back to a backup made before that upgrade: tailwatch restore --replace FILE"
    )


def refuse_newer_at_start() -> None:
    """As `refuse_newer`, for a process that starts; while the database is away it starts and waits as ever.

    Raises:
        NewerSchemaError: see there.
    """
    # A connection of its own: processes fork after this, and must not share one of a pool.
    engine = create_engine(
        sqlalchemy_url(get_settings().database_url), poolclass=NullPool, connect_args={"connect_timeout": 5}
    )
    try:
        with engine.connect() as connection:
            refuse_newer(connection)
    except DBAPIError:
        return
