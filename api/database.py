"""A request's database session: one connection, opened when first needed, given back when the answer is made.

Reads run in autocommit mode, without the round trips of BEGIN and ROLLBACK. Writes run in one transaction that the
route commits by name. When the connection turns out to be dead (PostgreSQL was restarted), the request is run once
more over a new one, unless its commit was already under way and may have happened.
"""

from __future__ import annotations

import time
from typing import Final

from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api import timing
from tailwatch.db.session import get_engine

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def db() -> Session:
    """Return the session of this request."""
    session: Session | None = g.get("db")
    if session is None:
        session = g.db = Session(
            _autocommit() if request.method in SAFE_METHODS else get_engine(), expire_on_commit=False
        )
    return session


def commit() -> None:
    """Commit this request's work: the last thing that a write does before it answers."""
    g.commit_under_way = True
    started = time.perf_counter()
    db().commit()
    timing.add("commit", time.perf_counter() - started)


def _autocommit() -> Engine:
    # Shares the pool of the engine it is made of.
    return get_engine().execution_options(isolation_level="AUTOCOMMIT")


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
