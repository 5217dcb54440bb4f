"""Measurements for Prometheus: requests and pushes of the web processes; the rest of the installation when asked.

With several web processes prometheus_client keeps its values in files (PROMETHEUS_MULTIPROC_DIR, which
api.gunicorn_config prepares); whichever process is asked answers for all of them.
"""

from __future__ import annotations

import hmac
import os
import time

import structlog
from flask import Flask, Request, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    multiprocess,
)
from prometheus_client.exposition import generate_latest

from api.auth import authenticate
from api.installation import Installation
from api.problems import ProblemError, unauthenticated
from tailwatch.db.session import get_engine
from tailwatch.settings import get_settings

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

# `Installation` has those of every process, with labels.
REGISTRY.unregister(PROCESS_COLLECTOR)

log = structlog.get_logger(__name__)


def register(app: Flask) -> None:
    """Measure every request of `app`, by the route's template so that ids make no new series."""

    @app.after_request
    def observe(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "(none)"
        if "started" in g and route != "/metrics":
            REQUESTS.labels(request.method, route, response.status_code).observe(time.perf_counter() - g.started)
        return response


def check_access(asked: Request) -> None:
    """Let through a scrape from this machine, or one with METRICS_TOKEN, an API token or a session.

    A request that came through a proxy is never "this machine", whatever address the proxy has.

    Raises:
        ProblemError: 401.
    """
    token = get_settings().metrics_token
    if token and hmac.compare_digest(asked.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
        return
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
    registry.register(Installation())
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(REGISTRY) + generate_latest(registry)
    return Response(body, content_type=CONTENT_TYPE_LATEST)
