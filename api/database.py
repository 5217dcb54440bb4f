"""A request's database session: one connection, opened when first needed, given back when the answer is made.

Reads run in autocommit mode, without the round trips of BEGIN and ROLLBACK. Writes run in one transaction that the
route commits by name. When the connection turns out to be dead (PostgreSQL was restarted), the request is run once
more over a new one, unless its commit was already under way and may have happened.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import psycopg2
from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api import edge_cache, timing
from tailwatch.db.session import get_engine

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def db() -> Session:
    """Return the session of this request."""
    session: Session | None = g.get("db")
    if session is None:
        session = g.db = Session(get_engine(autocommit=request.method in SAFE_METHODS), expire_on_commit=False)
    return session


def commit() -> None:
    """Commit this request's work: the last thing that a write does before it answers."""
    g.commit_under_way = True
    started = time.perf_counter()
    # Before: from here on nobody gets an older answer after a newer one. After: what was read meanwhile goes too.
    edge_cache.drop_changed()
    db().commit()
    edge_cache.drop_changed()
    timing.add("commit", time.perf_counter() - started)


class Prepared:
    """A query for one row that every connection parses and plans only once, for what is asked all the time."""

    def __init__(self, name: str, query: str) -> None:
        """Take a query with `:parameters`; `name` tells it from all others."""
        names = list(dict.fromkeys(_PARAMETER.findall(query)))
        numbered = _PARAMETER.sub(lambda found: f"${1 + names.index(found[1])}", query)
        self._name = name
        self._query = text(query)
        self._columns: list[str] = []
        self._prepare = f"PREPARE {name} AS {numbered}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({parameter})s' for parameter in names)})"

    def row(self, parameters: dict[str, Any]) -> dict[str, Any] | None:
        """Return the row by its columns' names, or None; outside of any transaction.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: as any query.
        """
        pooled = get_engine(autocommit=True).raw_connection()
        try:
            cursor = pooled.cursor()
            if self._name not in pooled.info:
                cursor.execute(self._prepare)
                pooled.info[self._name] = True
            cursor.execute(self._execute, parameters)
            values = cursor.fetchone()
            # The same every time, and what psycopg2 makes them of takes it a while.
            self._columns = self._columns or [column[0] for column in cursor.description]
        except psycopg2.Error:
            # Whatever it is, the ordinary way finds out: over another connection, with SQLAlchemy's own errors.
            pooled.invalidate()
        else:
            return None if values is None else dict(zip(self._columns, values, strict=True))
        finally:
            pooled.close()
        with get_engine(autocommit=True).connect() as connection:
            row = connection.execute(self._query, parameters).mappings().one_or_none()
        return None if row is None else dict(row)


_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")


def close(_error: BaseException | None = None) -> None:
    """Give the connection back; what was not committed is rolled back."""
    session: Session | None = g.pop("db", None)
    if session is not None:
        session.close()


class RetryOverNewConnection:
    """Mixed into the application: runs a request again whose connection had died before anything was decided."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the route, twice at most."""
        try:
            return super().dispatch_request()  # type: ignore[misc, no-any-return]
        except DBAPIError as error:
            if not error.connection_invalidated or g.get("commit_under_way"):
                raise
            # SQLAlchemy has renewed the whole pool by now, so the next connection is a live one.
            close()
            return super().dispatch_request()  # type: ignore[misc, no-any-return]


def register(app: Flask) -> None:
    """Close each request's session with its context."""
    app.teardown_appcontext(close)
