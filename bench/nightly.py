"""A night of risk: portfolios whose prices all moved, through the task that the nightly queue runs.

    ./run bench nightly [--portfolios 4000] [--names 500] [--processes 2]    # prints a table, then JSON

A PostgreSQL of its own (without fsync), `names` synthetic instruments and a benchmark with ten years of daily prices,
and portfolios that hold 5 (a fifth of them), 20 (most) or 100 (a fiftieth) of them. All have a snapshot; then every
instrument gets a new bar. What is timed is what the nightly queue does from then on: read, measure, stress, explain,
store, in messages of as many portfolios as the dispatcher puts into one. "one by one" is the way of a single
portfolio, which interactive refreshes go, on a sample of the same portfolios. The floor is what nobody can leave out,
in numpy and bare SQL: the products of the positions with both scenario matrices, a partition of the outcomes, and a
COPY of the very rows that were stored.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from scheduler.dispatcher import NIGHTLY_CHUNK
from tailwatch import logs
from tailwatch.db import migrate
from tailwatch.db.session import get_engine, sqlalchemy_url
from tailwatch.settings import get_settings
from tests.support.servers import start_servers
from worker.tasks import risk

LAST = date(2026, 6, 30)
SESSIONS = 2_520
#: Positions of a portfolio, and how many of fifty have so many.
SIZES = {5: 10, 20: 39, 100: 1}
ONE_BY_ONE = 200
PEOPLE = 100_000


def sessions() -> np.ndarray:
    """Return the days of the prices: weekdays, the newest last."""
    days = np.arange(np.datetime64(LAST) - 7 * SESSIONS // 5 - 30, np.datetime64(LAST) + 1)
    return days[np.is_busday(days)][-SESSIONS:]


def fill(engine: Engine, names: int, portfolios: int) -> None:
    """Store instruments with their prices, a person, and the portfolios with one purchase a position."""
    chance = np.random.default_rng(7)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO instruments (ticker, currency, status, source, next_fetch_at, market_revision) "
                "SELECT 'N' || n, 'USD', 'ok', 'bench', NULL, nextval('market_revision') "
                "FROM generate_series(0, :names) n ORDER BY n"
            ),
            {"names": names},
        )
        ids = list(connection.scalars(text("SELECT id FROM instruments ORDER BY id")))
        connection.execute(text("INSERT INTO users (email) VALUES ('bench@example.org')"))
        connection.execute(
            text(
                "INSERT INTO portfolios (user_id, name, benchmark_id, revision, behind_since) "
                "SELECT u.id, 'P' || n, :benchmark, 1, now() FROM users u, generate_series(1, :count) n ORDER BY n"
            ),
            {"benchmark": ids[0], "count": portfolios},
        )
    days = sessions()
    market = chance.standard_t(5, SESSIONS) * 0.007
    copy_prices(engine, ids, days[:-1], market[:-1], chance)
    held = [
        f"{number + 1}\tbuy\t{ids[1 + name]}\t{10 + name % 90}\t100\tUSD\t2026-01-05\n"
        for number in range(portfolios)
        for name in chance.choice(names, size=size_of(number, names), replace=False)
    ]
    copy(engine, "trades (portfolio_id, type, instrument_id, quantity, price, currency, executed_at)", held)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def size_of(number: int, names: int) -> int:
    """Return the positions of a portfolio."""
    sizes = [size for size, share in SIZES.items() for _ in range(share)]
    return min(sizes[number % len(sizes)], names)


def copy_prices(
    engine: Engine, ids: list[int], days: np.ndarray, market: np.ndarray, chance: np.random.Generator
) -> None:
    """Store prices that move with the market and on their own; the first instrument is the market."""
    for place, each in enumerate(ids):
        own = chance.standard_t(5, days.size) * 0.012 * (place > 0)
        closes = 100 * np.cumprod(1 + np.clip(market * (0.5 + chance.random()) + own, -0.5, 0.5))
        copy(
            engine,
            "prices (instrument_id, day, close, adjusted_close, source, fetched_at)",
            [
                f"{each}\t{day}\t{close:.6f}\t{close:.6f}\tbench\tnow\n"
                for day, close in zip(days, closes, strict=True)
            ],
        )


def copy(engine: Engine, target: str, lines: list[str]) -> None:
    """Copy rows into a table."""
    raw = engine.raw_connection()
    raw.cursor().copy_expert(f"COPY {target} FROM STDIN", io.StringIO("".join(lines)))
    raw.commit()
    raw.close()


def new_bars(engine: Engine, day: object) -> None:
    """Give every instrument a bar of a new day, and every portfolio a reason to be computed."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO prices (instrument_id, day, close, adjusted_close, source, fetched_at) "
                "SELECT instrument_id, :day, close * (1 + sin(instrument_id) / 50), "
                "adjusted_close * (1 + sin(instrument_id) / 50), source, now() "
                "FROM (SELECT DISTINCT ON (instrument_id) * FROM prices ORDER BY instrument_id, day DESC) newest"
            ),
            {"day": str(day)},
        )
        connection.execute(
            text(
                "WITH revision AS (SELECT nextval('market_revision') AS newest), moved AS ("
                "UPDATE instruments SET market_revision = newest FROM revision) "
                "UPDATE portfolios SET market_revision = newest, behind_since = now() FROM revision"
            )
        )


@contextmanager
def database(names: int, portfolios: int) -> Iterator[Engine]:
    """Yield a filled database of its own, which the settings name, too."""
    with start_servers() as servers:
        url = servers.create_database("bench")
        os.environ |= {"DATABASE_URL": url, "REDIS_URL": servers.redis_url, "LOG_LEVEL": "WARNING"}
        get_settings.cache_clear()
        logs.configure("worker")
        engine = create_engine(sqlalchemy_url(url))
        migrate.upgrade(engine)
        fill(engine, names, portfolios)
        yield engine
        engine.dispose()


def in_messages(ids: list[int]) -> list[list[int]]:
    """Return them as the dispatcher sends them."""
    return [ids[start : start + NIGHTLY_CHUNK] for start in range(0, len(ids), NIGHTLY_CHUNK)]


def work(messages: list[list[int]]) -> float:
    """Compute what these name, as a background worker does; return its peak memory in MB."""
    for ids in messages:
        risk.refresh_risk(ids)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def night(engine: Engine, ids: list[int], processes: int) -> tuple[float, float]:
    """Work off everything in so many processes; return seconds and the largest peak memory of one.

    A process is replaced after each message, as a background worker's is that has taken much memory.
    """
    messages = in_messages(ids)
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=1) as pool:
        begun = time.perf_counter()
        memory = pool.map(work, [[one] for one in messages], chunksize=1)
        seconds = time.perf_counter() - begun
    behind = behind_of(engine)
    if behind:
        raise SystemExit(f"{behind} portfolios are still behind.")
    return seconds, max(memory)


def behind_of(engine: Engine) -> int:
    """Return how many portfolios have no snapshot of what is wanted."""
    with engine.connect() as connection:
        count = connection.scalar(
            text(
                "SELECT count(*) FROM portfolios "
                "WHERE revision > done_revision OR market_revision > done_market_revision"
            )
        )
    return int(count or 0)


def alone(ids: list[int]) -> tuple[float, float]:
    """Compute these one by one, a quarter before the clock starts; return seconds a portfolio and peak memory."""
    engine = get_engine()
    warm = len(ids) // 4
    for each in ids[:warm]:
        risk.bring_up_to_date(engine, [each])
    begun = time.perf_counter()
    for each in ids[warm:]:
        risk.bring_up_to_date(engine, [each])
    seconds = (time.perf_counter() - begun) / (len(ids) - warm)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def floor(engine: Engine, names: int) -> tuple[float, float]:
    """Return seconds a portfolio of the products and the partition, and of the COPY of the stored rows."""
    chance = np.random.default_rng(1)
    window, scenarios = (chance.standard_normal((names, days)) for days in (500, 1000))
    exposures = np.zeros((NIGHTLY_CHUNK, names))
    for row in range(NIGHTLY_CHUNK):
        exposures[row, chance.choice(names, size=size_of(row, names), replace=False)] = 1.0
    begun = time.perf_counter()
    for _ in range(5):
        for sample in (window, scenarios):
            np.partition(exposures @ sample, 60, axis=1)
    computing = (time.perf_counter() - begun) / 5 / NIGHTLY_CHUNK
    rows = io.StringIO()
    raw = engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("CREATE TABLE bare (LIKE risk_snapshots INCLUDING ALL)")
    cursor.execute(
        "CREATE VIEW newest AS SELECT s.* FROM risk_snapshots s JOIN portfolios p ON p.snapshot_id = s.id LIMIT 1000"
    )
    cursor.copy_expert("COPY (SELECT * FROM newest) TO STDOUT", rows)
    raw.commit()
    lines = rows.getvalue().splitlines(keepends=True)
    begun = time.perf_counter()
    for start in range(0, len(lines), NIGHTLY_CHUNK):
        cursor.copy_expert("COPY bare FROM STDIN", io.StringIO("".join(lines[start : start + NIGHTLY_CHUNK])))
        raw.commit()
    storing = (time.perf_counter() - begun) / len(lines)
    raw.close()
    return computing, storing


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portfolios", type=int, default=4000)
    parser.add_argument("--names", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    seconds: dict[str, float] = {}
    memory: dict[str, float] = {}
    with database(arguments.names, arguments.portfolios) as engine:
        with engine.connect() as connection:
            ids = list(connection.scalars(text("SELECT id FROM portfolios ORDER BY id")))
        night(engine, ids, arguments.processes)
        days = iter(np.datetime64(LAST) + np.arange(1, 4))
        for processes in sorted({1, arguments.processes}):
            new_bars(engine, next(days))
            label = f"in batches, {processes} process{'es' * (processes > 1)}"
            elapsed, memory[label] = night(engine, ids, processes)
            seconds[label] = elapsed / len(ids)
        new_bars(engine, next(days))
        with multiprocessing.get_context("fork").Pool(1) as pool:
            seconds["one by one, 1 process"], memory["one by one, 1 process"] = pool.apply(alone, (ids[:ONE_BY_ONE],))
        computing, storing = floor(engine, arguments.names)
        seconds["floor: products and partition"], seconds["floor: bare COPY"] = computing, storing
        with engine.connect() as connection:
            size = connection.scalar(
                text(
                    "SELECT avg(length(body) + length(inputs) + length(stress) + length(explain)) FROM risk_snapshots"
                )
            )
    table = Table("", "ms a portfolio", "100,000 portfolios", "peak MB", title=f"{len(ids)} portfolios")
    for name, each in seconds.items():
        peak = f"{memory[name]:.0f}" if name in memory else ""
        table.add_row(name, f"{1e3 * each:.2f}", f"{each * PEOPLE / 60:.1f} min", peak)
    Console().print(table, f"A stored snapshot is {float(size) / 1e3:.0f} kB.")
    result = {"bench": "nightly", "portfolios": len(ids), "names": arguments.names, "bytes": float(size)}
    json.dump(result | {"seconds_a_portfolio": seconds, "peak_mb": memory}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
