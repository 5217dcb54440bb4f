"""Who is asking: a session cookie or a bearer token, what it may do, and the proof that a write is meant.

The credential is looked up in one statement on every request, so revoking it takes effect at once.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import structlog
from flask import Request, Response, after_this_request, g, request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api import timing
from api.database import db
from api.problems import ProblemError, unauthenticated
from tailwatch.accounts import Principal, Scope, find_session, find_token, touch_token
from tailwatch.db.session import get_engine
from tailwatch.settings import get_settings

SESSION_COOKIE: Final = "tailwatch_session"
CSRF_HEADER: Final = "X-CSRF-Token"

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: What the OpenAPI document says of a route's callers, by scope.
_SECURITY: Final[dict[Scope, list[dict[str, list[str]]]]] = {
    "read": [{"token": []}, {"session": []}],
    "write": [{"token": []}, {"session": [], "csrf": []}],
}
SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token of the scope that the route needs."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
    "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER, "description": "`csrf_token` of GET /api/me."},
}


def requires(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers in whose credential allows `scope`; the route finds them as `caller()`."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            started = time.perf_counter()
            g.caller = authenticate(db(), request)
            if scope == "write":
                _may_write(g.caller)
            timing.add("auth", time.perf_counter() - started)
            return view(*args, **kwargs)

        specification = guarded.__dict__.setdefault("_spec", {})
        specification["security"] = _SECURITY[scope]
        return guarded

    return decorate


def caller() -> Principal:
    """Return who sent this request."""
    principal: Principal = g.caller
    return principal


def authenticate(connection: Session | Connection, asked: Request) -> Principal:
    """Return the holder of the request's credential.

    Raises:
        ProblemError: 401, with what to do.
    """
    now = datetime.now(UTC)
    header = asked.headers.get("Authorization")
    if header is not None:
        kind, _, secret = header.partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise unauthenticated("The Authorization header must be: Bearer, a space, and an API token.")
        principal = find_token(connection, secret.strip(), now)
        if principal is None:
            raise unauthenticated("The API token is unknown, revoked or expired. Make a new one and use that.")
        if principal.touch_due:
            _touch_when_answered(principal, now)
        return principal
    cookie = asked.cookies.get(SESSION_COOKIE)
    if not cookie:
        raise unauthenticated("Sign in, or send an API token as Authorization: Bearer.")
    principal = find_session(connection, cookie, now)
    if principal is None:
        raise unauthenticated("The session has ended. Sign in again; nothing you typed is lost.")
    return principal


def _may_write(principal: Principal) -> None:
    if principal.scope != "write":
        raise ProblemError(
            403,
            "read-only-token",
            "The token may only read",
            "This API token has the scope read. Use one with the scope write.",
        )
    if principal.csrf_token is None:
        return
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), principal.csrf_token.encode()):
        raise ProblemError(
            403,
            "csrf",
            "Not sent by our page",
            f"Send csrf_token of GET /api/me in the header {CSRF_HEADER}. Reload the page if you see this there.",
        )


def _touch_when_answered(principal: Principal, now: datetime) -> None:
    """Note the use of a token after the answer has left: nobody waits for it."""

    def touch() -> None:
        assert principal.token_id is not None  # noqa: S101 - for the type checker: it is a token's principal
        try:
            with get_engine().begin() as connection:
                touch_token(connection, principal.token_id, now)
        except SQLAlchemyError as error:
            log.warning("the use of a token was not noted", error=str(error).splitlines()[0])

    @after_this_request
    def later(response: Response) -> Response:
        response.call_on_close(touch)
        return response


def set_session_cookie(response: Response, token: str, expires: datetime) -> None:
    """Hand the browser its session. Scripts cannot read the cookie, other sites cannot make the browser send it."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        expires=expires,
        httponly=True,
        samesite="Lax",
        secure=get_settings().cookie_secure,
        path="/",
    )


def drop_session_cookie(response: Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Lax", secure=get_settings().cookie_secure)
