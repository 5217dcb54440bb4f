"""The whole product as processes of its own, for tests that use it from outside and kill parts of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import requests
from sqlalchemy import create_engine

from tailwatch import accounts
from tailwatch.db import migrate
from tailwatch.db.models import User
from tailwatch.db.session import sqlalchemy_url, transaction
from tailwatch.embedded import programs
from tailwatch.embedded.environment import ROOT
from tests.support.servers import Servers, start_servers
from tests.support.waiting import wait_until

#: As the launcher runs them.
COMMANDS = {
    program.name.removeprefix("worker-"): program.command
    for program in (programs.WEB, *programs.WORKERS, programs.SCHEDULER)
}
#: Only started by name.
SWITCHED_OFF = {programs.QUOTES.name: programs.QUOTES.command}


class Product:
    """Web server, workers and scheduler on servers of their own; `api` is signed in as the owner."""

    def __init__(self, servers: Servers, database: str, **environment: str) -> None:
        self.servers = servers
        self.database_url = servers.url(database)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = (
            os.environ
            | {
                "DATABASE_URL": self.database_url,
                "REDIS_URL": servers.redis_url,
                "TAILWATCH_PORT": str(self.port),
                "TAILWATCH_HOST": "127.0.0.1",
                "PRICE_SOURCES": "sample",
                "WEB_CONCURRENCY": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "PROMETHEUS_MULTIPROC_DIR": str(servers.folder / "metrics"),
            }
            | environment
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.engine = create_engine(sqlalchemy_url(self.database_url))
        migrate.upgrade(self.engine)
        with transaction(self.engine) as session:
            owner = accounts.create_owner(session, "owner@example.org")
            _, self.token = accounts.create_token(session, owner.id, "tests", "write", datetime.now(UTC))
        self.api = requests.Session()
        self.api.headers["Authorization"] = f"Bearer {self.token}"

    @property
    def owner(self) -> User:
        with transaction(self.engine) as session:
            return session.query(User).one()

    def start(self, *names: str) -> None:
        for name in names or COMMANDS:
            with (self.servers.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    (COMMANDS | SWITCHED_OFF)[name],
                    cwd=ROOT,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def wait_ready(self) -> None:
        wait_until(self._ready, "every part of the product is ready", 60)

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill the whole process group, as a machine does that runs out of memory."""
        process = self._processes.pop(name)
        os.killpg(process.pid, how)
        process.wait(30)

    def stop(self) -> None:
        for process in self._processes.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait(30)
        self._processes.clear()
        self.engine.dispose()

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-4000:]}"
            for path in self.servers.folder.glob("*.log")
        )

    # --- what the tests do with it ---

    def create_portfolio(self, name: str) -> int:
        answer = self.api.post(f"{self.url}/api/portfolios", json={"name": name}, timeout=10)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def trade(
        self, portfolio_id: int, ticker: str = "AAPL", quantity: str = "1", price: str = "100"
    ) -> dict[str, Any]:
        answer = self.api.post(
            f"{self.url}/api/portfolios/{portfolio_id}/trades",
            json={"ticker": ticker, "quantity": quantity, "price": price},
            timeout=15,
        )
        assert answer.status_code == 201, answer.text
        booked: dict[str, Any] = answer.json()
        return booked

    def risk(self, portfolio_id: int) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/api/portfolios/{portfolio_id}/risk", timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_fresh(self, portfolio_id: int, revision: int, seconds: float = 30.0) -> dict[str, Any]:
        def fresh() -> bool:
            found = self.risk(portfolio_id)
            return bool(found["state"] == "fresh" and found["revision"] >= revision)

        wait_until(fresh, f"portfolio {portfolio_id} is fresh at revision {revision}", seconds)
        return self.risk(portfolio_id)


@contextmanager
def running_product(**environment: str) -> Iterator[Product]:
    """Yield a product of its own on servers of its own, ready."""
    with start_servers() as servers:
        servers.create_database("tailwatch")
        product = Product(servers, "tailwatch", **environment)
        try:
            product.start()
            product.wait_ready()
            yield product
        except BaseException:
            sys.stderr.write(product.logs())
            raise
        finally:
            product.stop()
