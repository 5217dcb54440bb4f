"""From a price on the stream to the page of an open portfolio, on the running product.

    ./run bench quotes    # prints a table, then JSON; takes some three minutes

A product of its own with one portfolio of fifty names, and a local server that speaks as Yahoo's stream does, so that
what is measured is ours: subscriptions, protobufs, revaluation (value, result, VaR and ES on the weights of now),
Valkey, the access check and Socket.IO. A page (a Socket.IO client) receives.

quiet: one price at a time, each once the page may be told again. busy: fifty prices a second all over the portfolio;
the page is told LIVE_QUOTES_PER_SECOND (4) times a second, so a price waits for its turn, by design up to a quarter
of a second. "newest" is the age of the newest price in each event, "every price" that of each when it first shows.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import socketio
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from tailwatch import refresh
from tailwatch.db.models import Trade
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tailwatch.measurement.loading import load_with
from tailwatch.measurement.revaluing import Revaluing
from tests.support import markets
from tests.support.product import Product, running_product
from tests.support.stream_server import StreamServer, stream_server
from tests.support.waiting import wait_until

NAMES = [f"LIVE{number}" for number in range(50)]
DAYS = 2_600
OPEN = datetime.combine(markets.LAST + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=15)
PER_SECOND = 4
BAR_P95 = 50.0
STAGES = ("stream", "value", "push")


class Page:
    """A live client that keeps every event with the time of its arrival."""

    def __init__(self, product: Product, portfolio_id: int) -> None:
        self._news = threading.Condition()
        self.events: list[tuple[float, dict[str, Any]]] = []
        self._client = socketio.Client()
        self._client.on("prices", self._on_prices)
        self._client.connect(product.url, transports=["websocket"], auth={"token": product.token})
        answer = self._client.call("subscribe", {"portfolio_id": portfolio_id})
        if not isinstance(answer, dict) or "state" not in answer:
            raise SystemExit(f"The live channel refused the portfolio: {answer}")

    def _on_prices(self, event: dict[str, Any]) -> None:
        arrived = time.time()
        with self._news:
            self.events.append((arrived, event))
            self._news.notify_all()

    def wait_for(self, ticker: str, price: float) -> tuple[float, dict[str, Any]]:
        """Return when the price of a ticker was there, and the event that brought it."""
        with self._news:
            begin = len(self.events)

            def found() -> tuple[float, dict[str, Any]] | None:
                # The last one that was there already may be the one.
                recent = self.events[max(begin - 1, 0) :]
                return next((each for each in recent if prices(each[1]).get(ticker) == price), None)

            if not self._news.wait_for(found, timeout=15):
                raise SystemExit(f"The price of {ticker} did not reach the page within 15 s.")
            arrived = found()
            assert arrived is not None  # noqa: S101 - it was just there
            return arrived

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()


def prices(event: dict[str, Any]) -> dict[str, float]:
    """Return the prices in an event by ticker."""
    return {one["ticker"]: float(one["price"]) for one in event["positions"] if one["price"] is not None}


class Market:
    """Prices near the stored closes, each other than the one before, in time order."""

    def __init__(self, stream: StreamServer, closes: dict[str, float]) -> None:
        self._stream, self._closes = stream, closes
        self._random = random.Random(5)
        self._sent = 0

    def tick(self, ticker: str) -> tuple[float, float]:
        """Send one; return when, and the price."""
        self._sent += 1
        moved = self._closes[ticker] * (1 + self._random.uniform(-0.02, 0.02))
        price = float(f"{moved:.6g}")
        before = time.time()
        self._stream.send(ticker, price, OPEN + timedelta(milliseconds=self._sent))
        return before, price


def book(engine: Engine, portfolio_id: int) -> int:
    """Store the histories of fifty names and book one of each; return the revision."""
    days = markets.weekdays(DAYS)
    for number, ticker in enumerate(NAMES):
        markets.store(engine, ticker, "USD", days, markets.walk(number, DAYS, 50.0 + number))
    with transaction(engine) as session:
        known = ensure_instruments(session, NAMES)
        session.add_all(
            Trade(
                portfolio_id=portfolio_id,
                type="buy",
                instrument_id=known[ticker].id,
                quantity=Decimal(10 + number),
                price=Decimal(50),
                currency="USD",
                executed_at=datetime(2022, 6, 30, tzinfo=UTC),
            )
            for number, ticker in enumerate(NAMES)
        )
        session.flush()
        return refresh.raise_revision(session, portfolio_id, "trade")


def quiet(market: Market, page: Page, count: int) -> dict[str, list[float]]:
    """Send one price after the other; return milliseconds by stage with the total."""
    rows: dict[str, list[float]] = {stage: [] for stage in (*STAGES, "total")}
    chance = random.Random(7)
    for number in range(count):
        sent, price = market.tick(NAMES[number % len(NAMES)])
        arrived, event = page.wait_for(NAMES[number % len(NAMES)], price)
        timing = event["timing"]
        moments = (sent, timing["received"], timing["published"], arrived)
        for stage, begin, end in zip(STAGES, moments, moments[1:], strict=False):
            rows[stage].append(1e3 * (end - begin))
        rows["total"].append(1e3 * (arrived - sent))
        # Once the page may be told again, at a moment that nothing else goes by.
        time.sleep(1 / PER_SECOND + chance.uniform(0, 0.1))
    return rows


def busy(market: Market, page: Page, seconds: float, per_second: int) -> dict[str, list[float]]:
    """Send prices all over the portfolio; return the age of the newest price in each event, and of all prices."""
    begin = len(page.events)
    chance = random.Random(11)
    sent: dict[tuple[str, float], float] = {}
    end = time.time() + seconds
    due = time.time()
    while time.time() < end:
        ticker = chance.choice(NAMES)
        at, price = market.tick(ticker)
        sent[ticker, price] = at
        due += chance.expovariate(per_second)
        time.sleep(max(0.0, due - time.time()))
    time.sleep(2 / PER_SECOND)
    newest, every = [], []
    for arrived, event in page.events[begin:]:
        new = [sent.pop(key) for key in prices(event).items() if key in sent]
        if new:
            newest.append(1e3 * (arrived - max(new)))
            every += [1e3 * (arrived - one) for one in new]
    return {"busy: newest": newest, "busy: every price": every}


def revaluation(engine: Engine, portfolio_id: int) -> list[float]:
    """Return milliseconds of revaluations alone, in this process."""
    found = load_with(engine, portfolio_id, ())
    if found is None:
        raise SystemExit("The portfolio is gone.")
    portfolio = Revaluing(found[0], markets.LAST)
    times = []
    for number in range(500):
        moved = {ticker: close.price * (1000 + number % 7) / 1000 for ticker, close in portfolio.closes.items()}
        before = time.perf_counter()
        portfolio.at(moved)
        times.append(1e3 * (time.perf_counter() - before))
    return times


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of `values`."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "p99": round(cuts[98], 2)}


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Run everything; return percentiles in milliseconds by row."""
    with (
        stream_server() as stream,
        running_product(
            LIVE_QUOTES="on", LIVE_QUOTES_URL=stream.url, LIVE_QUOTES_PER_SECOND=str(PER_SECOND)
        ) as product,
    ):
        portfolio_id = product.create_portfolio("Fifty")
        snapshot = product.wait_fresh(portfolio_id, book(product.engine, portfolio_id), 120)
        product.start("quotes")
        market = Market(stream, {one["ticker"]: float(one["price"]) for one in snapshot["positions"]})
        page = Page(product, portfolio_id)
        try:
            wait_until(lambda: stream.followed == set(NAMES), "every name is followed", 60)
            quiet(market, page, arguments.warm_up)
            rows = quiet(market, page, arguments.prices)
            rows |= busy(market, page, arguments.seconds, 50)
        finally:
            page.close()
        rows["revaluation alone"] = revaluation(product.engine, portfolio_id)
    return {name: percentiles(values) for name, values in rows.items()}


def main() -> None:
    """Measure and print; the exit status says whether the bar was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prices", type=int, default=200, help="one after the other")
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30, help="of the busy stream")
    result = measure(parser.parse_args())
    table = Table("ms", "p50", "p95", "p99", title="price → page, 50 names")
    for name, figures in result.items():
        table.add_row(name, *(f"{value:.1f}" for value in figures.values()), end_section=name in {"push", "total"})
    Console().print(table, f"The bar: p95 of the total ≤ {BAR_P95:.0f} ms.")
    kept = result["total"]["p95"] <= BAR_P95
    json.dump({"bench": "quotes", "names": len(NAMES), "milliseconds": result, "bar_kept": kept}, sys.stdout)
    sys.stdout.write("\n")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
