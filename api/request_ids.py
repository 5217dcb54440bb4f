"""An id for every request: in its answer (X-Request-ID), in every line it logs, and with whatever it sets off."""

from __future__ import annotations

import re
import secrets
from typing import Final

import structlog
from flask import Flask, Response, g, request

HEADER: Final = "X-Request-ID"
#: What a proxy in front may have given it. Anything else does not belong into a log.
_SANE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


def register(app: Flask) -> None:
    """Name every request of `app`."""

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
            # The route, not the path: ids are bound by name where they matter, and a query may hold anything.
            route = request.url_rule.rule if request.url_rule else "(none)"
            log.debug("request", method=request.method, route=route, status=response.status_code)
        return response
