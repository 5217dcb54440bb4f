"""How fast risk is read: `GET /api/portfolios/{id}/risk` beside what the same servers can do at best.

    ./run bench reads    # prints a table, then JSON; takes two minutes

On servers of its own, with the demo portfolio of twenty names and two web processes, in interleaved rounds: each kind
of request gets a short turn in every round, and ratios are made within a round, so that a machine that gets slower or
faster meanwhile changes no ratio. The load generator is wrk, the same for both sides of every ratio.

- through nginx with the repository's configuration: a risk read, beside a static file of the same bytes;
- without nginx: a risk read, one answered 304, and one for which the database is asked every time, beside /healthz: a
  request that passes everything that every request does, and then does nothing. How much that is, is told by a bare
  WSGI application that answers the same bytes under the same gunicorn configuration (`noop`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import requests
from rich.console import Console
from rich.table import Table

from tailwatch import demo
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tests.support import nginx
from tests.support.product import Product
from tests.support.servers import Servers, start_servers
from tests.support.waiting import wait_until

WEB_PROCESSES: Final = 2
#: Requested row, the row it is measured by, the ratio it must not fall below, and the one aimed at.
BARS: Final[tuple[tuple[str, str, float | None, float | None], ...]] = (
    ("nginx: risk", "nginx: static file", 0.65, 0.8),
    ("gunicorn: risk", "gunicorn: /healthz", 0.4, 0.6),
    ("gunicorn: risk, 304", "gunicorn: risk", 1.0, 1.0),
    ("gunicorn: risk, asked anew", "gunicorn: /healthz", None, None),
    ("gunicorn: /healthz", "gunicorn: bare WSGI", None, None),
)
_ANSWER_FILE: Final = "BENCH_READS_ANSWER"


def _noop() -> Callable[..., Iterable[bytes]]:
    # The product's process in all but this: what else runs in it, runs here too.
    import_module("api.wsgi")
    body = Path(os.environ[_ANSWER_FILE]).read_bytes()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]

    def answer(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return (body,)

    return answer


if _ANSWER_FILE in os.environ:
    #: What gunicorn serves as `bench.reads:noop`.
    noop = _noop()


@dataclass(frozen=True)
class Load:
    """One kind of request."""

    name: str
    url: str
    headers: dict[str, str]
    #: A mark that is kept up meanwhile, so that no answer is kept (api/edge_cache.py).
    mark: Path | None = None


@dataclass(frozen=True)
class Turn:
    """What one turn of a load gave: requests a second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


@contextmanager
def keeping_up(mark: Path | None) -> Iterator[None]:
    """Renew `mark` while the block runs."""
    done = threading.Event()

    def renew() -> None:
        while mark is not None and not done.is_set():
            mark.touch()
            done.wait(0.3)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def wrk(load: Load, seconds: float, connections: int) -> Turn:
    """Send requests over `connections` for `seconds`, each as soon as the one before was answered.

    Raises:
        SystemExit: some answers were no successes.
    """
    headers = [part for name, value in load.headers.items() for part in ("-H", f"{name}: {value}")]
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", *headers, load.url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{load.name}: not every request was answered.\n{said}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    return Turn(rate, _milliseconds(said, "50%"), _milliseconds(said, "99%"))


def _milliseconds(said: str, percentile: str) -> float:
    value, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


@contextmanager
def product(servers: Servers, environment: dict[str, str]) -> Iterator[Product]:
    """Yield a product whose demo portfolio has its risk."""
    servers.create_database("tailwatch")
    running = Product(servers, "tailwatch", WEB_CONCURRENCY=str(WEB_PROCESSES), **environment)
    try:
        running.start()
        running.wait_ready()
        yield running
    finally:
        running.stop()


def demo_portfolio(running: Product) -> int:
    """Return the id of the demo portfolio, with its risk computed."""
    with transaction(running.engine) as session:
        portfolio_id = demo.load(session, running.owner)
    if portfolio_id is None:
        raise SystemExit("The demo portfolio was not booked.")
    running.wait_fresh(portfolio_id, 1, 120)
    return portfolio_id


@contextmanager
def noop_server(folder: Path, answer: bytes, environment: dict[str, str]) -> Iterator[str]:
    """Yield the address of `noop` under the product's gunicorn configuration."""
    (folder / "answer").write_bytes(answer)
    port = nginx.free_port()
    own = {"TAILWATCH_SOCKET", "PROMETHEUS_MULTIPROC_DIR", "EDGE_MARKS_DIR"}
    settings = {name: value for name, value in environment.items() if name not in own}
    settings |= {_ANSWER_FILE: str(folder / "answer"), "TAILWATCH_PORT": str(port)}
    with (folder / "noop.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_config", "bench.reads:noop"],
            cwd=ROOT,
            env=settings,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until(lambda: _answers(url), "the no-op server answers")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def loads() -> Iterator[list[Load]]:
    """Yield every kind of request, with the servers that answer them running."""
    with ExitStack() as stack:
        servers = stack.enter_context(start_servers())
        front = stack.enter_context(nginx.Nginx(servers.folder / "nginx")) if nginx.available() else None
        environment = front.environment if front else {"EDGE_MARKS_DIR": str(servers.folder / "marks")}
        running = stack.enter_context(product(servers, environment))
        portfolio_id = demo_portfolio(running)
        path = f"/api/portfolios/{portfolio_id}/risk"
        answer = running.api.get(running.url + path, timeout=10)
        mark = Path(environment["EDGE_MARKS_DIR"]) / f"portfolio-{portfolio_id}"
        token = {"Authorization": f"Bearer {running.token}"}
        address = stack.enter_context(noop_server(servers.folder, answer.content, running.environment))
        found = [
            Load("gunicorn: bare WSGI", address, token),
            Load("gunicorn: /healthz", f"{running.url}/healthz", token),
            Load("gunicorn: risk", running.url + path, token),
            Load("gunicorn: risk, 304", running.url + path, token | {"If-None-Match": answer.headers["ETag"]}),
            Load("gunicorn: risk, asked anew", running.url + path, token, mark),
        ]
        if front is not None:
            (front.html / "answer-12345678.json").write_bytes(answer.content)
            front.start()
            found += [
                Load("nginx: static file", f"{front.url}/answer-12345678.json", token),
                Load("nginx: risk", front.url + path, token),
                Load("nginx: risk, 304", front.url + path, token | {"If-None-Match": answer.headers["ETag"]}),
            ]
        yield found


def measure(arguments: argparse.Namespace) -> dict[str, list[Turn]]:
    """Return the turns of every load, round by round; the first round only warms up."""
    with loads() as kinds:
        turns: dict[str, list[Turn]] = {load.name: [] for load in kinds}
        for number in range(arguments.rounds + 1):
            for load in kinds:
                with keeping_up(load.mark):
                    turn = wrk(load, arguments.seconds, arguments.connections)
                if number:
                    turns[load.name].append(turn)
    return turns


def ratio(turns: dict[str, list[Turn]], name: str, base: str) -> float | None:
    """Return the median over the rounds of how fast `name` is, as a multiple of `base`; None if it was not run."""
    if not turns.get(name):
        return None
    return statistics.median(a.rate / b.rate for a, b in zip(turns[name], turns[base], strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn (whole seconds)")
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("wrk, the load generator, is not on PATH: apt-get install wrk, or brew install wrk.")
    if not nginx.available():
        sys.stderr.write(f"Without the half through nginx: {nginx.MISSING}.\n")
    turns = measure(arguments)
    table = Table("", "requests/s", "p50 ms", "p99 ms", "×", "of", "bar", "goal", title="reads of risk")
    bars = {name: rest for name, *rest in BARS}
    figures: dict[str, dict[str, float | None]] = {}
    for name, rounds in turns.items():
        rate, p50, p99 = (
            statistics.median(getattr(turn, part) for turn in rounds) for part in ("rate", "p50", "p99")
        )
        base, bar, goal = bars.get(name, ("", "", ""))
        times = ratio(turns, name, str(base)) if base else None
        bar, goal = (str(value or "") for value in (bar, goal))
        row = (name, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{times:.2f}" if times else "")
        table.add_row(*row, str(base), bar, goal)
        figures[name] = {"rate": round(rate, 1), "p50_ms": p50, "p99_ms": p99, "ratio": times and round(times, 3)}
    Console().print(table)
    json.dump({"bench": "reads", "load": os.getloadavg()[0], "figures": figures}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
