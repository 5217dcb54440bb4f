"""One scrape tells of every service; what is gone vanishes, what comes back goes on."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as strict
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from tailwatch.settings import get_settings
from tests.support.product import Product, running_product
from tests.support.waiting import wait_until

TOKEN = "kJ8-x2mQ9vLw4Zt7"
#: As nginx writes it.
STATUS = "Active connections: 3 \nserver accepts handled requests\n 10 10 25 \nReading: 0 Writing: 1 Waiting: 2 \n"


class StatusPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(STATUS.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def status_page() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StatusPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def product(
    status_page: http.server.ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    with running_product(
        METRICS_PUSH_SECONDS="0.2",
        METRICS_TOKEN=TOKEN,
        # Of the database's sessions: nights are due by UTC wherever the machine is.
        PGTZ="Pacific/Auckland",
        EDGE_STATUS_URL=f"http://127.0.0.1:{status_page.server_port}/status",
        BACKUP_DIR=str(tmp_path_factory.mktemp("backups")),
    ) as product:
        yield product


def families(product: Product) -> dict[str, Metric]:
    answer = requests.get(f"{product.url}/metrics", timeout=10)
    assert answer.status_code == 200
    found = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in found]
    assert len(names) == len(set(names)), "each family stands in one place"
    return {family.name: family for family in found}


def value(product: Product, name: str, **labels: str) -> float | None:
    for family in families(product).values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def services(product: Product) -> set[str]:
    return {sample.labels["service"] for sample in families(product)["tailwatch_build_info"].samples}


ALL = {"web", "worker-interactive", "worker-background", "scheduler"}


def test_one_scrape_tells_of_every_service(product: Product) -> None:
    wait_until(lambda: services(product) >= ALL, "every service has published")
    for up in ("tailwatch_database_up", "tailwatch_broker_up", "tailwatch_nginx_up"):
        assert value(product, up) == 1
    assert value(product, "tailwatch_nginx_requests_total") == 25
    assert value(product, "tailwatch_nginx_connections") == 3
    assert (value(product, "tailwatch_disk_free_bytes") or 0) > 0
    assert value(product, "tailwatch_backup_scheduled") == 0


def test_the_processes_of_every_service_are_measured(product: Product) -> None:
    wait_until(lambda: services(product) >= ALL, "every service has published")
    found = [sample.labels for sample in families(product)["process_resident_memory_bytes"].samples]
    assert {labels["service"] for labels in found} == ALL
    # gunicorn's first process and the one that it forked.
    assert len({labels["instance"] for labels in found if labels["service"] == "web"}) == 2


def test_the_answer_keeps_the_rules_of_openmetrics(product: Product) -> None:
    wait_until(lambda: services(product) >= ALL, "every service has published")
    scraped = families(product)

    class Scraped:
        def collect(self) -> Iterable[Metric]:
            return scraped.values()

    # Stricter than Prometheus' own format: names, order and completeness of buckets, no series twice.
    read = list(strict.text_string_to_metric_families(openmetrics.generate_latest(Scraped()).decode()))
    assert {family.name for family in read} == set(scraped)


def test_a_trade_is_counted_on_its_whole_way(product: Product) -> None:
    portfolio_id = product.create_portfolio("Counted")
    product.wait_fresh(portfolio_id, product.trade(portfolio_id)["revision"])

    def counted(name: str, **labels: str) -> bool:
        return (value(product, name, **labels) or 0) >= 1

    wait_until(lambda: counted("tailwatch_dispatch_messages_total", queue="interactive"), "it was sent")
    wait_until(lambda: counted("tailwatch_queue_wait_seconds_count", queue="interactive"), "it waited")
    wait_until(lambda: counted("tailwatch_tasks_total", task="risk.refresh", outcome="success"), "it was run")
    wait_until(lambda: counted("tailwatch_snapshots_total", outcome="stored"), "it was stored")
    wait_until(lambda: counted("tailwatch_snapshot_stage_seconds_count", stage="compute"), "it was timed")
    wait_until(lambda: counted("tailwatch_live_messages_total", kind="risk", outcome="sent"), "it was told")
    wait_until(
        lambda: counted("tailwatch_provider_requests_total", source="sample", outcome="ok"), "prices were asked for"
    )


def test_a_worker_that_is_killed_vanishes_and_comes_back(product: Product) -> None:
    wait_until(lambda: services(product) >= ALL, "every service has published")
    product.kill("interactive")
    wait_until(lambda: "worker-interactive" not in services(product), "its series are gone")
    assert services(product) >= ALL - {"worker-interactive"}
    product.start("interactive")
    wait_until(lambda: "worker-interactive" in services(product), "its successor has published")


def test_a_child_that_is_replaced_goes_on_from_what_it_counted() -> None:
    """Celery replaces a child as soon as it has fetched prices: its last seconds are all that it did."""
    labels = {"task": "prices.fetch", "service": "worker-background"}
    # Celery looks for children that are gone every five seconds; what they published is kept for twelve.
    with running_product(METRICS_PUSH_SECONDS="4") as product:
        portfolio_id = product.create_portfolio("Fetched")
        product.wait_fresh(portfolio_id, product.trade(portfolio_id, "KO")["revision"])
        (child,) = psutil.Process(product.pid("background")).children()
        # Within the four seconds: only its very last publishing tells of the fetch.
        child.terminate()
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "it is gone")
        assert value(product, "tailwatch_tasks_total", **labels) == 1
        product.wait_fresh(portfolio_id, product.trade(portfolio_id, "XOM")["revision"])
        wait_until(lambda: value(product, "tailwatch_tasks_total", **labels) == 2, "its successor adds to it")


@contextmanager
def suspended(processes: Iterable[psutil.Process]) -> Iterator[None]:
    stopped = list(processes)
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            process.resume()


def test_a_database_that_hangs_is_told_of_in_time(product: Product) -> None:
    server = psutil.Process(product.servers.postgres_pid)
    with suspended([server, *server.children(recursive=True)]):
        begun = time.monotonic()
        assert value(product, "tailwatch_database_up") == 0
        # Prometheus waits for ten.
        assert time.monotonic() - begun < 7
        assert services(product) >= {"web", "scheduler"}
    wait_until(lambda: value(product, "tailwatch_database_up") == 1, "it is found again")


def test_a_nightly_refresh_that_was_due_is_overdue_until_it_begins(product: Product) -> None:
    now = datetime.now(UTC)
    due = datetime.combine(now.date(), get_settings().nightly_at, UTC)
    due -= timedelta(days=due > now)
    while due.weekday() > 4:
        due -= timedelta(days=1)

    def execute(statement: str, **values: Any) -> None:
        with product.engine.begin() as connection:
            connection.execute(text(statement), values)

    execute("DELETE FROM nightly_runs")
    overdue = value(product, "tailwatch_nightly_overdue_seconds") or 0
    assert overdue == pytest.approx((datetime.now(UTC) - due).total_seconds(), abs=60)
    assert value(product, "tailwatch_nightly_age_seconds") is None
    execute("INSERT INTO nightly_runs (business_day, instruments) VALUES (:day, 0)", day=due.date())
    assert value(product, "tailwatch_nightly_overdue_seconds") == 0
    assert (value(product, "tailwatch_nightly_age_seconds") or 0) < 60


def test_prices_that_grow_old_are_counted(product: Product) -> None:
    portfolio_id = product.create_portfolio("Old")
    product.wait_fresh(portfolio_id, product.trade(portfolio_id, "MSFT")["revision"])
    assert value(product, "tailwatch_instruments_stale") == 0
    with product.engine.begin() as connection:
        connection.execute(
            text("UPDATE instruments SET last_fetched_at = now() - interval '5 days' WHERE ticker = 'MSFT'")
        )
    assert value(product, "tailwatch_instruments_stale") == 1


def test_valkey_may_go_and_come(product: Product) -> None:
    product.servers.stop_valkey()
    try:
        wait_until(lambda: value(product, "tailwatch_broker_up") == 0, "its absence is seen")
        assert value(product, "tailwatch_database_up") == 1
    finally:
        product.servers.start_valkey()
    wait_until(lambda: services(product) >= ALL, "everybody publishes again")


def test_a_web_server_in_front_that_is_away_holds_up_nothing(
    product: Product, status_page: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handler: StatusPage) -> None:
        handler.send_error(500)

    monkeypatch.setattr(StatusPage, "do_GET", fail)
    assert value(product, "tailwatch_nginx_up") == 0
    assert value(product, "tailwatch_nginx_requests_total") is None


def test_who_may_read_them(product: Product) -> None:
    url = f"{product.url}/metrics"
    through_a_proxy = {"X-Forwarded-For": "203.0.113.9"}
    assert requests.get(url, headers=through_a_proxy, timeout=5).status_code == 401
    for wrong in (TOKEN[:-1], TOKEN + "x", ""):
        refused = requests.get(url, headers=through_a_proxy | {"Authorization": f"Bearer {wrong}"}, timeout=5)
        assert refused.status_code == 401
    for right in (TOKEN, product.token):
        allowed = requests.get(url, headers=through_a_proxy | {"Authorization": f"Bearer {right}"}, timeout=5)
        assert allowed.status_code == 200
    # It reads measurements and nothing else.
    other = requests.get(f"{product.url}/api/me", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    assert other.status_code == 401


def test_nobody_counts_who_was_not_asked_to(tmp_path: Path) -> None:
    with running_product(METRICS_PUSH_SECONDS="0") as quiet:
        portfolio_id = quiet.create_portfolio("Quiet")
        quiet.wait_fresh(portfolio_id, quiet.trade(portfolio_id)["revision"])
        assert services(quiet) == {"web"}
        assert "tailwatch_tasks" not in families(quiet)
