"""Measurements for Prometheus: of requests and pushes in every process, of the queue from the database when asked.

With several web processes prometheus_client keeps its values in files (PROMETHEUS_MULTIPROC_DIR, which
api.gunicorn_config prepares); whichever process is asked answers for all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import cast

import redis
import structlog
from flask import Flask, Request, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    multiprocess,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api import health
from api.auth import authenticate
from api.problems import ProblemError, unauthenticated
from tailwatch.db.session import get_engine
from tailwatch.queue import QUEUES

REQUESTS = Histogram(
    "tailwatch_http_request_seconds",
    "Time from the first byte of a request read to its answer made.",
    ["method", "route", "status"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 5),
)
PUSHES = Histogram(
    "tailwatch_push_seconds",
    "Time from a worker's publishing of a live message to its handing over to the sockets.",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1),
)
EVENTS = Counter("tailwatch_live_events", "Live events handed to sockets.", ["event"])
SOCKETS = Gauge("tailwatch_live_sockets", "Open live connections.", multiprocess_mode="livesum")

log = structlog.get_logger(__name__)

_LAG = text(
    """
    SELECT (SELECT count(*) FROM portfolios
             WHERE revision > done_revision OR market_revision > done_market_revision) AS behind,
           (SELECT coalesce(max(extract(epoch FROM now() - coalesce(s.computed_at, p.created_at))), 0)
              FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
             WHERE p.revision > p.done_revision OR p.market_revision > p.done_market_revision) AS oldest_stale,
           (SELECT count(*) FROM portfolios
             WHERE failure_reason IS NOT NULL AND failed_revision >= revision
               AND (revision > done_revision OR market_revision > done_market_revision)) AS failed,
           (SELECT extract(epoch FROM now() - max(last_fetched_at)) FROM instruments) AS newest_fetch,
           (SELECT count(*) FROM instruments WHERE status = 'failed') AS instruments_failed,
           (SELECT count(*) FROM instruments WHERE status = 'pending') AS instruments_pending,
           (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) / 1000.0
              FROM (SELECT duration_ms FROM risk_snapshots ORDER BY id DESC LIMIT 100) last) AS snapshot_median
    """
)
_GAUGES = {
    "behind": ("tailwatch_portfolios_behind", "Portfolios whose risk waits to be computed."),
    "oldest_stale": ("tailwatch_oldest_stale_seconds", "Age of the oldest snapshot that is behind; 0 if none is."),
    "failed": ("tailwatch_portfolios_failed", "Portfolios whose last computation failed."),
    "newest_fetch": ("tailwatch_price_age_seconds", "Time since a price source last answered with prices."),
    "instruments_failed": ("tailwatch_instruments_failed", "Instruments whose last price fetch failed."),
    "instruments_pending": ("tailwatch_instruments_pending", "Instruments that wait for their first prices."),
    "snapshot_median": ("tailwatch_snapshot_seconds", "Median duration of the last hundred computations."),
}


class QueueCollector(Collector):
    """Asks database and broker at the moment of the scrape; one that is away leaves its gauges out."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        yield from self._database()
        yield from self._broker()

    def _database(self) -> Iterator[Metric]:
        try:
            with get_engine().connect() as connection:
                row = connection.execute(_LAG).mappings().one()
        except SQLAlchemyError:
            yield GaugeMetricFamily("tailwatch_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("tailwatch_database_up", "Whether the database answers.", value=1)
        for column, (name, meaning) in _GAUGES.items():
            if row[column] is not None:
                yield GaugeMetricFamily(name, meaning, value=float(row[column]))

    def _broker(self) -> Iterator[Metric]:
        lengths = GaugeMetricFamily("tailwatch_queue_messages", "Wake-up messages waiting.", labels=["queue"])
        try:
            for queue in QUEUES:
                lengths.add_metric([queue], float(cast("int", health.broker().llen(queue))))
        except redis.RedisError:
            yield GaugeMetricFamily("tailwatch_broker_up", "Whether the broker answers.", value=0)
            return
        yield GaugeMetricFamily("tailwatch_broker_up", "Whether the broker answers.", value=1)
        yield lengths


def register(app: Flask) -> None:
    """Measure every request of `app`, by the route's template so that ids make no new series."""

    @app.after_request
    def observe(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "(none)"
        if "started" in g and route != "/metrics":
            REQUESTS.labels(request.method, route, response.status_code).observe(time.perf_counter() - g.started)
        return response


def check_access(asked: Request) -> None:
    """Let through a scrape from this machine, or one with an API token or session.

    A request that came through a proxy is never "this machine", whatever address the proxy has.

    Raises:
        ProblemError: 401.
    """
    forwarded = asked.headers.get("X-Forwarded-For") or asked.headers.get("Forwarded")
    if not forwarded and asked.remote_addr in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}:
        return
    try:
        with get_engine().connect() as connection:
            authenticate(connection, asked)
    except ProblemError as error:
        raise unauthenticated(f"Metrics are for this machine, or with a credential. {error.detail}") from error


def exposition() -> Response:
    """Return all measurements in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(QueueCollector())
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(REGISTRY) + generate_latest(registry)
    return Response(body, content_type=CONTENT_TYPE_LATEST)
