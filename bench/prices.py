"""A night's prices: 5,000 known tickers with one new bar each, into PostgreSQL, beside a bare COPY of the same rows.

    ./run bench prices [--tickers 5000] [--bars 500] [--rounds 5]    # prints a table, then JSON

A PostgreSQL of its own (without fsync, for both sides) with as many stored bars as asked for. The source is a local
one that answers at once with the newest ten bars and a new one, so that what is measured is ours: reading what is
known, comparing the overlap, the quality gate, the rows, the state of each instrument, the market revision; the time
in which that source makes its answers up is taken off. In
batches of a thousand, as the dispatcher sends them; a thirtieth of the tickers is asked for everything, as on any
night. The floor is one COPY of the new rows into an empty table with
the same columns, checks and key, a transaction a batch. "whole histories" is what the same night costs a hundred
tickers that are asked for everything.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from tailwatch.db import migrate
from tailwatch.db.session import sqlalchemy_url
from tailwatch.market import incremental, store
from tailwatch.market.sources import Bar, PriceHistory, SourceChain
from tests.support.servers import start_servers
from worker.tasks import prices

BATCH = 1000
WHOLE = 100
FIRST = date(2020, 1, 1)
NAME = "local"
Kind = Literal["a night", "newer bars alone", "whole histories"]


def bar_of(number: int, day: date) -> Bar:
    """Return the bar that everybody agrees on: prices that move a little each day, and differ by instrument."""
    close = Decimal(100 + number % 400) + Decimal((day - FIRST).days * 7 % 100) / 100
    return Bar(day, close, close, 1000, close, close + 1, close - 1)


class LocalSource:
    """Answers at once; knows every ticker that is called T and a number."""

    name = NAME

    def __init__(self, last: date) -> None:
        self.last = last
        self.seconds = 0.0

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:  # noqa: ARG002 - of the protocol
        """Return every bar from `start` on, and note how long that took."""
        begun = time.perf_counter()
        made = self._history(ticker, start)
        self.seconds += time.perf_counter() - begun
        return made

    def _history(self, ticker: str, start: date) -> PriceHistory:
        number = int(ticker.removeprefix("T"))
        days = (start + timedelta(days=n) for n in range((self.last - start).days + 1))
        return PriceHistory(ticker, NAME, "USD", None, start, [bar_of(number, day) for day in days], splits=())

    def newest(self, ticker: str, since: date, now: datetime) -> PriceHistory:
        """Return the same from another day on."""
        return self.history(ticker, since, now)


def fill(engine: Engine, tickers: int, bars: int) -> date:
    """Store instruments and their bars; return the last day."""
    last = FIRST + timedelta(days=bars - 1)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO instruments (ticker, currency, status, source, next_fetch_at) "
                "SELECT 'T' || n, 'USD', 'ok', :source, NULL FROM generate_series(1, :tickers) n ORDER BY n"
            ),
            {"source": NAME, "tickers": tickers},
        )
        connection.execute(
            text(
                "INSERT INTO prices (instrument_id, day, close, adjusted_close, open, high, low, volume, source) "
                "SELECT i.id, day, close, close, close, close + 1, close - 1, 1000, :source "
                "FROM instruments i, generate_series(0, :bars - 1) n, "
                "LATERAL (SELECT CAST(:first AS date) + n AS day, "
                "100 + substr(ticker, 2)::int % 400 + (n * 7 % 100) / 100.0 AS close) bar ORDER BY i.id, day"
            ),
            {"source": NAME, "bars": bars, "first": FIRST},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return last


@contextmanager
def database(tickers: int, bars: int) -> Iterator[tuple[Engine, date]]:
    """Yield a filled database of its own, and its last day."""
    with start_servers() as servers:
        engine = create_engine(sqlalchemy_url(servers.create_database("bench")))
        migrate.upgrade(engine)
        yield engine, fill(engine, tickers, bars)
        engine.dispose()


def night(engine: Engine, last: date, kind: Kind) -> float:
    """Fetch the bar of the day after `last`, as the worker does; return new rows a second."""
    today = datetime.now(UTC).date()
    with engine.begin() as connection:
        connection.execute(text("UPDATE instruments SET next_fetch_at = now() - interval '1 s'"))
        ids = list(connection.scalars(text("SELECT id FROM instruments ORDER BY id")))
        if kind == "newer bars alone":
            ids = sorted(incremental.load_known(connection, ids, today))
        elif kind == "whole histories":
            ids = ids[:WHOLE]
    source = LocalSource(last + timedelta(days=1))
    begun = time.perf_counter()
    for first in range(0, len(ids), BATCH):
        chain = SourceChain([source])
        with engine.begin() as connection:
            due = store.due_instruments(connection, ids[first : first + BATCH], datetime.now(UTC))
            known = {} if kind == "whole histories" else incremental.load_known(connection, due, today)
        outcomes = {each: prices.fetch(chain, ticker, FIRST, known.get(each)) for each, ticker in due.items()}
        prices.save(engine, outcomes, chain)
    seconds = time.perf_counter() - begun
    with engine.connect() as connection:
        newest = connection.scalar(
            text("SELECT count(*) FROM prices WHERE day = :day"), {"day": last + timedelta(days=1)}
        )
    if newest != len(ids):
        raise SystemExit(f"{newest} of {len(ids)} new bars were stored.")
    return len(ids) / (seconds - source.seconds)


def forget(engine: Engine, last: date) -> None:
    """Take the bars after `last` away again."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM prices WHERE day > :day"), {"day": last})


def floor(engine: Engine, day: date) -> float:
    """Copy a new bar of each instrument into an empty table like the store's; return seconds."""
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS bare"))
        connection.execute(text("CREATE TABLE bare (LIKE prices INCLUDING ALL)"))
        ids = connection.execute(text("SELECT id, substr(ticker, 2)::int FROM instruments ORDER BY id")).all()
    now = datetime.now(UTC)
    lines = []
    for each, number in ids:
        bar = bar_of(number, day)
        prices_of = f"{bar.close}\t{bar.adjusted_close}\t{bar.open}\t{bar.high}\t{bar.low}"
        lines.append(f"{each}\t{day}\t{prices_of}\t{bar.volume}\t{NAME}\t{now}\n")
    columns = "instrument_id, day, close, adjusted_close, open, high, low, volume, source, fetched_at"
    raw = engine.raw_connection()
    begun = time.perf_counter()
    for first in range(0, len(lines), BATCH):
        content = io.StringIO("".join(lines[first : first + BATCH]))
        raw.cursor().copy_expert(f"COPY bare ({columns}) FROM STDIN", content)
        raw.commit()
    seconds = time.perf_counter() - begun
    raw.close()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=5000)
    parser.add_argument("--bars", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with database(arguments.tickers, arguments.bars) as (engine, last):
        measured: dict[str, list[float]] = {kind: [] for kind in (*get_args(Kind), "bare COPY")}
        before = peak_mb()
        for _ in range(arguments.rounds):
            for kind in get_args(Kind):
                measured[kind].append(night(engine, last, kind))
                forget(engine, last)
            measured["bare COPY"].append(arguments.tickers / floor(engine, last + timedelta(days=1)))
        memory = peak_mb()
    rows = {name: statistics.median(rates) for name, rates in measured.items()}
    table = Table("", "new rows/s", "5,000 tickers", title=f"{arguments.tickers} tickers, {arguments.bars} bars each")
    for name, rate in rows.items():
        table.add_row(name, f"{rate:,.0f}", f"{5000 / rate:.2f} s")
    Console().print(table, f"Peak memory of the process: {memory:.0f} MB, {before:.0f} MB before the first night.")
    result = {"bench": "prices", "tickers": arguments.tickers, "bars": arguments.bars, "rows_per_second": rows}
    json.dump(result | {"peak_mb": memory, "peak_mb_before": before}, sys.stdout)
    sys.stdout.write("\n")


def peak_mb() -> float:
    """Return the most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
