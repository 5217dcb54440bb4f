"""`python -m tailwatch.embedded.prepare`: schema, owner, demo, one-time link, in a process that ends.

A process of its own, because the launcher stays for as long as the product runs and need not carry all this.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Final

from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import delete, make_url
from sqlalchemy.exc import OperationalError

from tailwatch import accounts, demo
from tailwatch.db import migrate
from tailwatch.db.models import WorkerHeartbeat
from tailwatch.db.session import get_engine, transaction
from tailwatch.queue import PROBE, QUEUES, celery_app
from tailwatch.settings import get_settings

OWNER: Final = "owner@localhost"
PROBE_EXPIRES_SECONDS: Final = 120


def prepare(*, with_demo: bool) -> str:
    """Bring the database up to date and send a probe through every queue; return the secret of a one-time link."""
    migrate.upgrade(get_engine())
    now = datetime.now(UTC)
    with transaction() as session:
        owner = accounts.create_owner(session, OWNER)
        if with_demo:
            demo.load(session, owner)
        link = accounts.create_sign_in_link(session, owner, now)
        # What answered before this start says nothing about the workers that are starting now.
        session.execute(delete(WorkerHeartbeat))
    for queue in QUEUES:
        # The scheduler's first ones are due in 20 s; nobody who starts Tailwatch wants to wait for them.
        celery_app.send_task(PROBE, args=(queue,), queue=queue, expires=PROBE_EXPIRES_SECONDS)
    return link


def main() -> int:
    """Print what the launcher needs as JSON; say on standard error what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-demo", action="store_true")
    arguments = parser.parse_args()
    try:
        link = prepare(with_demo=not arguments.no_demo)
    except OperationalError as error:
        where = make_url(get_settings().database_url).render_as_string(hide_password=True)
        sys.stderr.write(f"The database at {where} does not answer: {error.orig}\nCheck DATABASE_URL.\n")
        return 1
    except BrokerError as error:
        sys.stderr.write(f"The broker does not answer: {error}\nCheck REDIS_URL.\n")
        return 1
    json.dump({"sign_in_token": link}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
