"""Restoring: everything happens in one transaction, so that a restore that fails has never been.

The product may run meanwhile. Others wait while the tables are changed, and just before the commit their connections
are ended: whoever was in the middle of something fails and begins again, on the restored data. Where data is
replaced, no number that was ever handed out is handed out again (`_Before.carry_over`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from tailwatch import live, refresh
from tailwatch.backup import script
from tailwatch.backup.archive import Archive, Manifest
from tailwatch.backup.dump import count_rows, tables
from tailwatch.db import migrate, schema
from tailwatch.db.models import metadata
from tailwatch.errors import BrokenBackupError, DatabaseNotEmptyError, RestoreError

#: What Tailwatch notes about itself: no reason to call a database full.
_BOOKKEEPING: Final = frozenset({"alembic_version", "worker_heartbeats", "nightly_runs", "backup_runs", "releases"})
#: Speak of this installation, whatever its database is made to hold.
_OF_THIS_PLACE: Final = ("backup_runs", "worker_heartbeats")
#: Two who want the tables in different orders: one of them is told so and tries again.
_LOCK_ATTEMPTS: Final = 5


def restore(engine: Engine, source: BinaryIO, *, replace: bool = False) -> Manifest:
    """Restore the backup that `source` holds and bring it to this version's schema; return what it is.

    Args:
        engine: of the database to restore into.
        source: read once, from front to back.
        replace: let go of the data that the database holds.

    Raises:
        DatabaseNotEmptyError: the database holds data, and `replace` was not given.
        RestoreError: the backup is damaged, made by a newer version, or cannot be restored here. In all cases the
            database is as it was.
    """
    archive = Archive(source)
    _refuse_newer(archive.manifest)
    with engine.connect() as connection:
        try:
            _take_tables(connection)
            if not replace:
                _refuse_data(connection)
            _exchange(connection, archive)
            connection.commit()
        finally:
            # The script and the others' ends leave nothing in the pool that anybody should use.
            connection.invalidate()
    engine.dispose()
    # Open pages ask again, and are shown out if their session is gone.
    live.publish({"kind": "resync"})
    return archive.manifest


def _refuse_newer(manifest: Manifest) -> None:
    if manifest.schema_revision not in schema.known():
        raise RestoreError(
            f"This backup was made by Tailwatch {manifest.tailwatch} (schema {manifest.schema_revision}), and this "
            f"version knows schemas up to {schema.known()[-1]}. Install Tailwatch {manifest.tailwatch} or newer."
        )


def _take_tables(connection: Connection) -> None:
    """Begin the transaction and lock every table, so that nobody reads or writes until it ends."""
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            connection.execute(text("SET LOCAL lock_timeout = '6s'"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            migrate.lock(connection)
            for table in tables(connection):
                connection.execute(text(f"LOCK TABLE {_quoted(connection, table)} IN ACCESS EXCLUSIVE MODE"))
        except OperationalError as error:
            connection.rollback()
            # class 40: deadlock; 55P03: lock timeout
            if getattr(error.orig, "pgcode", None) not in {"40P01", "55P03"}:
                raise
            if attempt == _LOCK_ATTEMPTS:
                raise RestoreError(
                    "Somebody holds the database for long: a backup or a migration under way, say. Nothing was "
                    "changed; try again when that is over."
                ) from error
        else:
            return


def _refuse_data(connection: Connection) -> None:
    held = {table: count_rows(connection, table) for table in tables(connection) if table not in _BOOKKEEPING}
    if any(held.values()):
        shown = ", ".join(f"{table}: {rows}" for table, rows in held.items() if rows)
        raise DatabaseNotEmptyError(
            f"The database holds data (rows of {shown}). Nothing was changed. To let go of it and have the backup in "
            "its place, say so: --replace"
        )


def _exchange(connection: Connection, archive: Archive) -> None:
    before = _Before.read(connection)
    _drop_everything(connection)
    script.run(connection, archive.pieces())
    _compare(connection, archive.manifest)
    migrate.upgrade_within(connection)
    before.carry_over(connection)
    connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": refresh.NOTIFY_CHANNEL})
    _end_other_connections(connection)


def _drop_everything(connection: Connection) -> None:
    """Drop what is in the schema: of this version, an older one, or a newer one whose tables nobody knows here."""
    for table in tables(connection):
        connection.execute(text(f"DROP TABLE IF EXISTS {_quoted(connection, table)} CASCADE"))
    left = connection.scalars(text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")).all()
    for sequence in left:
        connection.execute(text(f"DROP SEQUENCE {_quoted(connection, sequence)} CASCADE"))


def _compare(connection: Connection, manifest: Manifest) -> None:
    found = {table: count_rows(connection, table) for table in set(tables(connection)) & manifest.rows.keys()}
    if found != manifest.rows or schema.current(connection) != manifest.schema_revision:
        raise BrokenBackupError(
            "The restored tables do not hold what the backup says it has. The database is as it was; use another "
            "backup."
        )


def _end_other_connections(connection: Connection) -> None:
    connection.execute(
        text(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'
            """
        )
    )


@dataclass(frozen=True)
class _Before:
    """What has to be known of the data that is about to go."""

    #: The last number that each sequence handed out.
    sequences: dict[str, int]
    #: The highest revision of any portfolio.
    revision: int
    revoked: Sequence[dict[str, Any]]
    kept: dict[str, Sequence[dict[str, Any]]]

    @classmethod
    def read(cls, connection: Connection) -> _Before:
        """Read it from whatever schema is there."""
        last = _rows(connection, "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'")
        revision = _rows(connection, "SELECT max(revision) AS highest FROM public.portfolios")
        return cls(
            sequences={row["sequencename"]: row["last_value"] for row in last if row["last_value"] is not None},
            revision=revision[0]["highest"] or 0 if revision else 0,
            revoked=_rows(
                connection, "SELECT token_hash, revoked_at FROM public.api_tokens WHERE revoked_at IS NOT NULL"
            ),
            kept={table: _rows(connection, f"SELECT * FROM public.{table}") for table in _OF_THIS_PLACE},  # noqa: S608
        )

    def carry_over(self, connection: Connection) -> None:
        """Let the restored data go on where the data before it ended."""
        for sequence, last in self.sequences.items():
            connection.execute(_GO_ON, {"sequence": f"public.{_quoted(connection, sequence)}", "last": last})
        if self.sequences.keys() & {"portfolios_id_seq", "market_revision"}:
            connection.execute(_PASS_PORTFOLIOS, {"revision": self.revision})
            connection.execute(_PASS_INSTRUMENTS)
        if self.revoked:
            # Whoever lost access keeps having lost it.
            connection.execute(_REVOKE, self.revoked)
        for table, rows in self.kept.items():
            columns = metadata.tables[table].columns.keys()
            if rows:
                connection.execute(
                    insert(metadata.tables[table]), [{name: row.get(name) for name in columns} for row in rows]
                )


_GO_ON = text(
    """
    SELECT setval(:sequence, greatest(:last, coalesce(pg_sequence_last_value(to_regclass(:sequence)), 1)))
    WHERE to_regclass(:sequence) IS NOT NULL
    """
)

# Everything is computed anew, with revisions above all that anybody has seen. So a worker that still computes what it
# read before finds newer revisions done and stores nothing; pages, which never go back to an older revision, go on to
# these; and no process takes a price history or an answer that it keeps in memory by these numbers for another one.
_PASS_PORTFOLIOS = text(
    """
    WITH numbers AS (SELECT nextval('market_revision') AS done, nextval('market_revision') AS wanted)
    UPDATE portfolios p
    SET revision = greatest(p.revision, :revision) + 1,
        done_revision = CASE WHEN p.done_revision = p.revision THEN greatest(p.revision, :revision) + 1
                             ELSE p.done_revision END,
        market_revision = CASE WHEN p.snapshot_id IS NULL AND p.done_revision = p.revision THEN n.done
                               ELSE n.wanted END,
        done_market_revision = n.done,
        queued_revision = 0, queued_market_revision = 0, queued_at = NULL,
        attempts = 0, failure_reason = NULL, failed_at = NULL, failed_revision = 0, next_attempt_at = NULL
    FROM numbers n
    """
)
_PASS_INSTRUMENTS = text(
    """
    UPDATE instruments SET market_revision = pg_sequence_last_value('market_revision'), fetch_queued_at = NULL
    """
)
_REVOKE = text("UPDATE api_tokens SET revoked_at = :revoked_at WHERE token_hash = :token_hash AND revoked_at IS NULL")


def _rows(connection: Connection, query: str) -> Sequence[dict[str, Any]]:
    """Return the rows of a query; none if the schema that is there has no such table or column."""
    with suppress(ProgrammingError), connection.begin_nested():
        return [dict(row) for row in connection.execute(text(query)).mappings()]
    return []


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
