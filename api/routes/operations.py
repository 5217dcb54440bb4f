"""Whether the product runs, and what it measures."""

from __future__ import annotations

import orjson
from flask import Response, request

from api import health, metrics
from api.problems import unavailable
from api.routing import Routes, documented
from api.schemas.operations import Alive, Ready

routes = Routes("operations", "Operations", url_prefix="")


@routes.get("/healthz")
@routes.output(Alive)
def get_health() -> Alive:
    """Say that this process answers. Asks nothing else, so that a sick database does not get web servers killed."""
    return Alive(status="ok")


@routes.get("/readyz")
@routes.output(Ready)
@documented(503)
def get_readiness() -> Response:
    """Say whether everything that a trade needs on its way to the page works."""
    checks = health.checks()
    said = {name: check.model_dump() for name, check in checks.items()}
    failing = [f"{name}: {check.detail}" for name, check in checks.items() if not check.ok]
    if failing:
        return unavailable(" ".join(failing)).response(checks=said)
    return Response(orjson.dumps({"status": "ready", "checks": said}), content_type="application/json")


@routes.get("/metrics")
@routes.output({}, content_type="text/plain")
@documented(401)
def get_metrics() -> Response:
    """Show measurements for Prometheus: to this machine without a credential, to others with an API token."""
    metrics.check_access(request)
    return metrics.exposition()
