"""`python -m tailwatch.embedded.prepare`: schema, owner, demo, one-time link, in a process that ends.

A process of its own, because the launcher stays for as long as the product runs and need not carry all this.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, make_url
from sqlalchemy.exc import OperationalError

from tailwatch import accounts, demo
from tailwatch.db.models import WorkerHeartbeat
from tailwatch.db.session import get_engine, transaction
from tailwatch.errors import TailwatchError
from tailwatch.settings import get_settings

OWNER: Final = "owner@localhost"


def prepare(begun: datetime, *, with_demo: bool, with_link: bool, schema_is_current: bool) -> str | None:
    """Bring the database up to date; return the secret of a one-time link, or None where none is wanted.

    Args:
        begun: when this start of Tailwatch began.
        with_demo: book the demo portfolio for an owner who has none.
        with_link: make a one-time link.
        schema_is_current: leave the schema alone.
    """
    if not schema_is_current:
        # Loaded only when it is needed: every start waits for this process.
        from tailwatch.db import migrate  # noqa: PLC0415

        migrate.upgrade(get_engine())
    now = datetime.now(UTC)
    with transaction() as session:
        owner = accounts.create_owner(session, OWNER)
        if with_demo:
            demo.load(session, owner)
        link = accounts.create_sign_in_link(session, owner, now) if with_link else None
        # What answered before this start says nothing about the workers that are starting now.
        session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.answered_at < begun))
    return link


def why_no_broker() -> str | None:
    """Return why the broker of the settings cannot be used, or None."""
    # Loaded only for a broker that is not ours: see above.
    import redis  # noqa: PLC0415

    try:
        redis.Redis.from_url(get_settings().redis_url, socket_connect_timeout=5, socket_timeout=5).ping()
    except (redis.RedisError, ValueError) as error:
        return str(error).rstrip(".")
    return None


def main() -> int:
    """Print what the launcher needs as JSON; say on standard error what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--begun", type=datetime.fromisoformat, required=True)
    parser.add_argument("--no-demo", action="store_true")
    parser.add_argument("--no-link", action="store_true")
    parser.add_argument("--schema-is-current", action="store_true")
    parser.add_argument("--ask-broker", action="store_true")
    arguments = parser.parse_args()
    if arguments.ask_broker and (reason := why_no_broker()) is not None:
        sys.stderr.write(f"The broker does not answer: {reason}.\nCheck REDIS_URL.\n")
        return 1
    try:
        link = prepare(
            arguments.begun,
            with_demo=not arguments.no_demo,
            with_link=not arguments.no_link,
            schema_is_current=arguments.schema_is_current,
        )
    except OperationalError as error:
        where = make_url(get_settings().database_url).render_as_string(hide_password=True)
        sys.stderr.write(f"The database at {where} does not answer: {error.orig}\nCheck DATABASE_URL.\n")
        return 1
    except TailwatchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump({"sign_in_token": link}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
