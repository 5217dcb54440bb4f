"""Lets other requests go on while one waits for PostgreSQL.

psycopg2 is C code: without this a query blocks the whole process, and all its sockets (37 instead of 735 requests
a second on a query of 50 ms).
"""

from __future__ import annotations

from typing import Any, Final

import psycopg2
from gevent import Timeout
from gevent.socket import wait_read, wait_write
from psycopg2 import extensions

#: libpq keeps its own time limits only while it waits by itself, so the limit is ours. No statement of the web
#: server takes seconds: a silent server is a lost one.
PATIENCE_SECONDS: Final = 15.0


def install() -> None:
    """Make every connection of this process wait cooperatively."""
    extensions.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        wait = wait_read if state == extensions.POLL_READ else wait_write
        try:
            wait(connection.fileno(), timeout=PATIENCE_SECONDS, timeout_exc=Timeout(PATIENCE_SECONDS))
        except Timeout as error:
            # In the words by which SQLAlchemy knows that the connection is of no use any more.
            raise psycopg2.OperationalError(
                f"could not receive data from server: no answer for {PATIENCE_SECONDS:.0f} s"
            ) from error
