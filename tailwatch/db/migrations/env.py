"""Alembic's entry: runs on a connection handed in by tailwatch.db.migrate, or by Flask-Migrate's command line."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from tailwatch.db.models import metadata
from tailwatch.db.session import get_engine


def run(connection: Connection) -> None:
    """Run the migrations that `context` asks for in one transaction."""
    context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


handed_in: Connection | None = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    with get_engine().connect() as opened:
        run(opened)
