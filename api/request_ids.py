"""An id for every request: in its answer (X-Request-ID), in every line it logs, and with whatever it sets off."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any, Final

import structlog
from flask import Flask, Response, g, request

from api.problems import from_exception

HEADER: Final = "X-Request-ID"
#: What a proxy in front may have given it. Anything else does not belong into a log.
_SANE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


def register(app: Flask) -> None:
    """Name every request of `app`, and log how it ended."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _SANE.fullmatch(given) else secrets.token_hex(8)
        # One greenlet serves a connection's requests one after the other: what the last one bound is not this one's.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def tell(response: Response) -> Response:
        if "request_id" in g:
            response.headers[HEADER] = g.request_id
            _log(response.status_code)
        return response


def _log(status: int) -> None:
    """One line a request: an error with its traceback, a refusal on our side with its reason; the rest for debugging.

    That readiness answers "no" with 503 is no failure of the request.
    """
    # The route, not the path: ids are bound by name where they matter, and a query may hold anything.
    about: dict[str, Any] = {
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else "(none)",
        "status": status,
    }
    if "started" in g:
        about["ms"] = round(1e3 * (time.perf_counter() - g.started), 1)
    failure = g.get("failure")
    if failure is None:
        log.debug("request", **about)
    elif from_exception(failure) is None:
        log.error("request failed", **about, exc_info=failure)
    else:
        reason = str(failure).strip() or type(failure).__name__
        log.warning("request refused", **about, reason=reason.splitlines()[0])
