"""How fast a file is imported: 100,000 rows, read, judged and booked, and the same file once more.

    ./run bench import    # prints a table, then JSON; takes half a minute

On servers of its own. The bar is ten seconds from the bytes to booked entries. Beside it stands a bare COPY of the
same rows into a table with the same indexes: what PostgreSQL takes at least.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from tailwatch.book import importers
from tailwatch.book.importers.generic import COLUMNS
from tailwatch.booking import imports
from tailwatch.booking.changes import Author
from tailwatch.db import migrate
from tailwatch.db.session import sqlalchemy_url
from tests.support.servers import start_servers

ROWS: Final = 100_000
TICKERS: Final = 500
BAR_SECONDS: Final = 10.0
#: Progress is told at least this often, of 100,000 rows.
BAR_TOLD: Final = 50


def file_of(rows: int, seed: int) -> bytes:
    """Return a file of trades as a broker's customer of many years has it: some rows are true twins."""
    draw = random.Random(seed)
    lines = [",".join(COLUMNS)]
    first = datetime(2010, 1, 4, 14, 30, tzinfo=UTC)
    for number in range(rows):
        if number % 100 == 99:
            lines.append(lines[-1])
            continue
        moment = first + timedelta(minutes=55 * number)
        quantity, price = draw.randint(1, 900), draw.randint(100, 90_000) / 100
        kind = "sell" if draw.random() < 0.4 else "buy"
        lines.append(
            f",Broker,{moment:%Y-%m-%dT%H:%M:%SZ},{kind},T{draw.randrange(TICKERS)},,{quantity},{price},,USD,"
            f"{draw.randint(0, 500) / 100},,,"
        )
    return "\r\n".join([*lines, ""]).encode()


def measure(engine: Engine, content: bytes) -> dict[str, Any]:
    """Import a file twice; return the seconds of each part, and what was booked."""
    told: list[int] = []
    with Session(engine) as session:
        user = session.execute(
            text("INSERT INTO users (email, password_hash) VALUES ('bench@example.org', '') RETURNING id")
        ).scalar_one()
        portfolio = session.execute(
            text("INSERT INTO portfolios (user_id, name) VALUES (:user, 'Bench') RETURNING id"), {"user": user}
        ).scalar_one()
        session.commit()
        found: dict[str, Any] = {}
        for turn in ("first", "again"):
            begin = time.perf_counter()
            file = importers.read(content, base_currency="USD", progress=told.append)
            read = time.perf_counter()
            judged = imports.judge(session, portfolio, file)
            decided = time.perf_counter()
            done = imports.book(session, portfolio, judged, found=file, file_name="bench.csv", by=Author("bench"))
            session.commit()
            end = time.perf_counter()
            found[turn] = {
                "read_s": read - begin,
                "judge_s": decided - read,
                "book_s": end - decided,
                "total_s": end - begin,
                "booked": done.booked,
            }
    return found | {"told": len(told) // 2, "copy_s": copy_floor(engine)}


def copy_floor(engine: Engine) -> float:
    """Return the seconds of a bare COPY of what was booked into a table with the same indexes."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("CREATE TABLE floor (LIKE trades INCLUDING DEFAULTS INCLUDING INDEXES)")
        rows = io.StringIO()
        cursor.copy_expert("COPY trades TO STDOUT", rows)
        rows.seek(0)
        begin = time.perf_counter()
        cursor.copy_expert("COPY floor FROM STDIN", rows)
        raw.commit()
        return time.perf_counter() - begin
    finally:
        raw.close()


def main() -> int:
    """Measure and print; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Measure how fast a file is imported.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    content = file_of(arguments.rows, arguments.seed)
    with start_servers() as servers:
        engine = create_engine(sqlalchemy_url(servers.create_database("bench")))
        migrate.upgrade(engine)
        found = measure(engine, content)
        engine.dispose()
    table = Table(title=f"Import of {arguments.rows:,} rows ({len(content) / 1e6:.1f} MB)")
    for name in ("", "read", "judge", "book", "together", "rows/s", "booked"):
        table.add_column(name, justify="left" if not name else "right")
    for turn in ("first", "again"):
        one = found[turn]
        seconds = (f"{one[name]:.2f} s" for name in ("read_s", "judge_s", "book_s", "total_s"))
        table.add_row(turn, *seconds, f"{arguments.rows / one['total_s']:,.0f}", f"{one['booked']:,}")
    floor = found["copy_s"]
    table.add_row("bare COPY", "", "", f"{floor:.2f} s", f"{floor:.2f} s", f"{arguments.rows / floor:,.0f}", "")
    Console().print(table)
    sys.stdout.write(json.dumps(found) + "\n")
    passed = (
        found["first"]["total_s"] * ROWS / arguments.rows <= BAR_SECONDS
        and found["first"]["booked"] == arguments.rows
        and found["again"]["booked"] == 0
        and found["told"] * ROWS / arguments.rows >= BAR_TOLD
    )
    sys.stdout.write("Every bar is kept.\n" if passed else f"Missed: {BAR_SECONDS} s, every row once, progress.\n")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
