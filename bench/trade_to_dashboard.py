"""From a trade's POST to the live event that carries its risk, on the running product.

    ./run                        # in one terminal: the demo portfolio of 20 names
    ./run bench trade_to_dashboard   # in another: prints a table, then JSON

Two hundred real trades, one after the other, each timed from before the POST until a Socket.IO client holds the
`risk` event of that trade's revision. Beside it, in turns with the trades, the floor: two durable commits and two
Valkey hops with no Python work between. Trades are deleted again at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import redis
import socketio
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from tailwatch import accounts
from tailwatch.db.models import User
from tailwatch.db.session import get_engine, transaction

STAGES = ("request", "commit", "queue", "load", "compute", "save", "push")


class Page:
    """A live client: keeps the newest risk event and wakes whoever waits for a revision."""

    def __init__(self, url: str, token: str, portfolio_id: int) -> None:
        self._news = threading.Condition()
        self._event: dict[str, Any] = {}
        self._arrived = 0.0
        self._client = socketio.Client()
        self._client.on("risk", self._on_risk)
        self._client.connect(url, transports=["websocket"], auth={"token": token})
        answer = self._client.call("subscribe", {"portfolio_id": portfolio_id})
        if not isinstance(answer, dict) or "state" not in answer:
            raise SystemExit(f"The live channel refused the portfolio: {answer}")

    def _on_risk(self, event: dict[str, Any]) -> None:
        with self._news:
            self._arrived, self._event = time.time(), event
            self._news.notify_all()

    def wait_for(self, revision: int) -> tuple[float, dict[str, Any]]:
        """Return when the event of `revision` (or a newer one) arrived, and the event."""
        with self._news:
            if not self._news.wait_for(lambda: self._event.get("revision", 0) >= revision, timeout=15):
                raise SystemExit(f"No risk event for revision {revision} within 15 s: is a worker running?")
            return self._arrived, self._event

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()


class Api:
    """JSON over one kept connection by the standard library: a client of ours that costs next to nothing."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[Any, float]:
        """Return the answer, and the milliseconds that its `Server-Timing` gives for the commit."""
        self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise SystemExit(f"{method} {path} answered {answer.status}: {text.decode()}")
        commit = re.search(r"commit;dur=([0-9.]+)", answer.getheader("Server-Timing") or "")
        return json.loads(text), float(commit[1]) if commit else 0.0


def trade(api: Api, trades: str, page: Page, number: int) -> tuple[dict[str, float], int]:
    """Book one trade; return milliseconds by stage with the total, and the trade's id."""
    body = {"ticker": "AAPL", "quantity": str(1 if number % 2 else -1), "price": "125.50", "note": "bench"}
    before = time.time()
    booked, commit = api("POST", trades, body)
    answered = time.time()
    arrived, event = page.wait_for(booked["revision"])
    timing = event["timing"]
    milliseconds = {
        "request": 1e3 * (answered - before) - commit,
        "commit": commit,
        # From the answer to the worker's start; the worker may well start before the answer is read.
        "queue": 1e3 * (timing["started"] - answered),
        "load": timing["load_ms"],
        "compute": timing["compute_ms"],
        "save": timing["save_ms"],
        "push": 1e3 * (arrived - timing["published"]),
        "total": 1e3 * (arrived - before),
    }
    return milliseconds, booked["trade"]["id"]


def make_floor(database_url: str, redis_url: str) -> tuple[Callable[[], float], Callable[[], None]]:
    """Return what times two durable commits and two Valkey hops (in milliseconds), and what tidies up after it."""
    connection = psycopg2.connect(database_url)
    cursor = connection.cursor()
    cursor.execute("CREATE UNLOGGED TABLE IF NOT EXISTS bench_floor (x int)")
    cursor.execute("DROP TABLE bench_floor")
    cursor.execute("CREATE TABLE bench_floor (x int)")
    connection.commit()
    valkey = redis.Redis.from_url(redis_url)
    listener = valkey.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    listener.subscribe("tailwatch:bench")
    listener.get_message(timeout=1)

    def once() -> float:
        before = time.perf_counter()
        cursor.execute("INSERT INTO bench_floor VALUES (1)")
        connection.commit()
        valkey.lpush("tailwatch:bench", b"x")
        valkey.brpop(["tailwatch:bench"])
        cursor.execute("INSERT INTO bench_floor VALUES (1)")
        connection.commit()
        valkey.publish("tailwatch:bench", b"x")
        while listener.get_message(timeout=1) is None:
            pass
        return 1e3 * (time.perf_counter() - before)

    def tidy() -> None:
        cursor.execute("DROP TABLE bench_floor")
        connection.commit()

    return once, tidy


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of `values`."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "p99": round(cuts[98], 2)}


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Run warm-up, trades and floor in turns; return percentiles in milliseconds by row."""
    api = Api(arguments.url, arguments.token)
    portfolios = api("GET", "/api/portfolios")[0]["items"]
    portfolio_id = next((p["id"] for p in portfolios if p["name"] == arguments.portfolio), None)
    if portfolio_id is None:
        raise SystemExit(f"There is no portfolio named {arguments.portfolio!r}.")
    trades = f"/api/portfolios/{portfolio_id}/trades"
    page = Page(arguments.url, arguments.token, portfolio_id)
    floor, tidy = make_floor(arguments.database_url, arguments.redis_url)
    rows: dict[str, list[float]] = {stage: [] for stage in (*STAGES, "total", "floor")}
    booked = []
    try:
        for number in range(arguments.warm_up + arguments.trades):
            times, trade_id = trade(api, trades, page, number)
            booked.append(trade_id)
            times["floor"] = floor()
            if number >= arguments.warm_up:
                for stage, value in times.items():
                    rows[stage].append(value)
    finally:
        page.close()
        tidy()
        for trade_id in booked:
            api("DELETE", f"{trades}/{trade_id}")
    return {stage: percentiles(values) for stage, values in rows.items()}


@contextmanager
def token(database_url: str) -> Iterator[str]:
    """Yield an API token of the owner that is revoked at the end."""
    with transaction(get_engine(database_url)) as session:
        owner_id = session.scalars(select(User.id).order_by(User.id).limit(1)).one()
        made, secret = accounts.create_token(session, owner_id, "bench", "write", datetime.now(UTC))
    try:
        yield secret
    finally:
        with transaction(get_engine(database_url)) as session:
            accounts.revoke_token(session, owner_id, made.id, datetime.now(UTC))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("TAILWATCH_URL", "DATABASE_URL", "REDIS_URL"):
        option = f"--{name.removeprefix('TAILWATCH_').lower().replace('_', '-')}"
        parser.add_argument(option, default=os.environ.get(name), help=f"default: {name}, which ./run bench sets")
    parser.add_argument("--portfolio", default="Demo")
    parser.add_argument("--trades", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    arguments = parser.parse_args()
    if not (arguments.url and arguments.database_url and arguments.redis_url):
        parser.error("Tailwatch is not running: start it with ./run, then type ./run bench trade_to_dashboard.")
    with token(arguments.database_url) as arguments.token:
        result = measure(arguments)
    table = Table("ms", "p50", "p95", "p99", title="trade → dashboard")
    for stage, figures in result.items():
        table.add_row(stage, *(f"{value:.1f}" for value in figures.values()), end_section=stage == "push")
    ratio = result["total"]["p50"] / result["floor"]["p50"]
    Console().print(table, f"p50 is {ratio:.1f} × the floor")
    json.dump({"bench": "trade_to_dashboard", "milliseconds": result, "p50_over_floor": round(ratio, 2)}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
