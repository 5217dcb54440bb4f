"""One engine a process, and the session that every unit of work runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.orm import Session as OrmSession

from tailwatch.settings import get_settings


def sqlalchemy_url(database_url: str) -> URL:
    """Return `database_url` for the psycopg2 driver; SQLAlchemy 2.1 would take psycopg 3 for a bare `postgresql:`."""
    url = make_url(database_url)
    return url.set(drivername="postgresql+psycopg2") if url.drivername in {"postgres", "postgresql"} else url


@lru_cache(maxsize=4)
def get_engine(database_url: str | None = None, *, autocommit: bool = False) -> Engine:
    """Return this process's engine for the database of the settings (or of `database_url`).

    With `autocommit`, one with connections of its own, on which each statement is a transaction: switching a
    connection of the other to that mode and back takes longer than a small query.

    `pool_pre_ping` is left off: it costs a round trip on every request. A connection that died with the server
    raises once, is answered as 503 or retried by the sweep, and the whole pool is renewed by then.
    """
    return create_engine(
        sqlalchemy_url(database_url or get_settings().database_url),
        # Two such pools a process stay well below PostgreSQL's hundred connections.
        pool_size=5,
        max_overflow=10,
        pool_timeout=5,
        pool_recycle=1800,
        # An error's text goes to the log; what somebody booked does not.
        hide_parameters=True,
        # There is nothing to roll back where every statement is committed by itself.
        **({"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None} if autocommit else {}),
        connect_args={"connect_timeout": 5, "application_name": "tailwatch"},
    )


@contextmanager
def transaction(engine: Engine | None = None) -> Iterator[OrmSession]:
    """Yield a session that is committed at the end of the block, or rolled back if the block raises."""
    with OrmSession(engine or get_engine(), expire_on_commit=False) as session, session.begin():
        yield session
