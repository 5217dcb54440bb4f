"""Serves the built page, when no nginx does, and gives every answer its security headers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from flask import Flask, Response, g, request, send_from_directory
from werkzeug.exceptions import NotFound

from tailwatch.settings import get_settings

#: Angular puts a hash of the content into these names, so a name never changes its content.
_HASHED: Final = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
_NONCE_PLACE: Final = b"__CSP_NONCE__"
#: Paths that belong to programs: an unknown one is an error, not the page.
_NOT_THE_PAGE: Final = ("/api", "/socket.io", "/healthz", "/readyz", "/metrics")

_MISSING: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tailwatch</title>
<h1>The page has not been built</h1>
<p>The server runs, but there is no built page at the place it is told to serve it from. Start Tailwatch with
<code>./run</code>, which builds it, or build it by hand:
<code>cd frontend &amp;&amp; npm ci &amp;&amp; npm run build</code>.</p>
<p>The API works meanwhile: <a href="/api/docs">/api/docs</a>.</p>
"""

#: Of answers that are data: shown in a browser they must not do anything.
_NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'"


_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
)


def new_nonce() -> str:
    """Return what one answer's inline scripts and styles are marked with."""
    return secrets.token_urlsafe(16)


def content_security_policy(nonce: str | None) -> str:
    """Return the policy: everything from this server; inline styles and scripts only with the request's nonce."""
    inline = f" 'nonce-{nonce}'" if nonce else ""
    # Only what can be a host: the header is the caller's, and must not write policy.
    host = request.host if re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", request.host) else "localhost"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self'{inline}",
            f"style-src 'self'{inline}",
            "img-src 'self' data:",
            "font-src 'self'",
            # Older browsers do not take 'self' to mean WebSockets of the same host.
            f"connect-src 'self' ws://{host} wss://{host}",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def register(app: Flask) -> None:
    """Answer what no route of `app` knows with the page, and every answer with security headers."""

    @app.before_request
    def page() -> Response | None:
        if not isinstance(request.routing_exception, NotFound) or request.method not in {"GET", "HEAD"}:
            return None
        of_programs = any(request.path == path or request.path.startswith(path + "/") for path in _NOT_THE_PAGE)
        return None if of_programs else _file_or_index(request.path.lstrip("/"))

    @app.after_request
    def headers(response: Response) -> Response:
        is_page = response.mimetype == "text/html"
        policy = content_security_policy(g.get("csp_nonce")) if is_page else _NO_PAGE
        _add_missing(response, [*_ALWAYS, ("Content-Security-Policy", policy)])
        if get_settings().cookie_secure:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if request.path.startswith("/api/"):
            # Somebody's money: not for caches that others share, nor for the disk; risk says otherwise for itself.
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _add_missing(response: Response, headers: Iterable[tuple[str, str]]) -> None:
    # Looked through once: setdefault does for each header, and together that is a good part of a small answer's time.
    present = {name.lower() for name, _ in response.headers}
    for name, value in headers:
        if name.lower() not in present:
            response.headers.add(name, value)


def _file_or_index(path: str) -> Response:
    dist = get_settings().frontend_dist
    if path not in {"", "index.html"}:
        try:
            # Refuses whatever would leave the folder.
            response = send_from_directory(dist, path, conditional=True)
        except NotFound:
            if _HASHED.search(path):
                raise  # A file of another build: an old page must learn that it is gone, not get HTML as its script.
        else:
            hashed = _HASHED.search(path)
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
            return response
    return _index(dist / "index.html")


def _index(index: Path) -> Response:
    try:
        template = _read(index, index.stat().st_mtime_ns)
    except OSError:
        return Response(_MISSING, 503, content_type="text/html; charset=utf-8")
    g.csp_nonce = new_nonce()
    response = Response(template.replace(_NONCE_PLACE, g.csp_nonce.encode()), content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


@lru_cache(maxsize=2)
def _read(index: Path, _modified: int) -> bytes:
    return index.read_bytes()
