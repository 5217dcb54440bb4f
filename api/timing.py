"""Where a request's time went, told in its `Server-Timing` header (browsers show it, the bench reads it)."""

from __future__ import annotations

import time

from flask import Flask, Response, g


def add(stage: str, seconds: float) -> None:
    """Note that `stage` of this request took `seconds`."""
    g.timing[stage] = g.timing.get(stage, 0.0) + seconds


def register(app: Flask) -> None:
    """Measure every request of `app`."""

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.timing = {}

    @app.after_request
    def tell(response: Response) -> Response:
        if "started" in g:
            stages = g.timing | {"total": time.perf_counter() - g.started}
            response.headers["Server-Timing"] = ", ".join(f"{name};dur={1e3 * s:.2f}" for name, s in stages.items())
        return response
