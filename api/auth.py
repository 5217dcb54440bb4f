"""Who is asking: a session cookie or a bearer token, what it may do, and the proof that a write is meant.

The credential is looked up in one statement on every request, so revoking it takes effect at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

import structlog
from flask import Request, Response, after_this_request, g, request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api import timing
from api.database import Prepared, db
from api.problems import ProblemError, unauthenticated
from tailwatch.accounts import HOLDER, Credential, Principal, Scope, find_holder, holder_parameters, touch_token
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


def requires(
    scope: Scope, *, along: str | None = None, unless: Callable[..., Any] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers in whose credential allows `scope`; the route finds them as `caller()`.

    Args:
        scope: what the route does.
        along: a query that is asked in the same statement as the credential, with `{user_id}` where the caller's id
            goes and the path's variables as `:parameters`; the route finds its row as `read_along()`.
        unless: is given the credential and the path's variables, and returns an answer that was made for just these
            and still holds (api.edge_cache), if there is one.
    """
    together = None if along is None else _Together(along)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            started = time.perf_counter()
            answer = unless(shown(request), *args, **kwargs) if unless else None
            if answer is not None:
                return cast("R", answer)
            if together is None:
                g.caller = authenticate(db(), request)
            else:
                g.caller, g.along = together.authenticate(request)
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


def read_along() -> dict[str, Any] | None:
    """Return the row of the query `along` which the route is registered, or None if it has none."""
    row: dict[str, Any] | None = g.along
    return row


def shown(asked: Request) -> Credential:
    """Return the credential that a request shows, whether it holds or not.

    Raises:
        ProblemError: 401, with what to do.
    """
    header = asked.headers.get("Authorization")
    if header is not None:
        kind, _, secret = header.partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise unauthenticated("The Authorization header must be: Bearer, a space, and an API token.")
        return Credential("token", secret.strip())
    cookie = asked.cookies.get(SESSION_COOKIE)
    if not cookie:
        raise unauthenticated("Sign in, or send an API token as Authorization: Bearer.")
    return Credential("session", cookie)


def authenticate(connection: Session | Connection, asked: Request) -> Principal:
    """Return the holder of the request's credential.

    Raises:
        ProblemError: 401, with what to do.
    """
    credential, now = shown(asked), datetime.now(UTC)
    return _let_in(credential, find_holder(connection, credential, now), now)


class _Together:
    """The look-up of a credential, and a query on behalf of its holder, as one statement."""

    def __init__(self, along: str) -> None:
        query = along.format(user_id="holder.user_id")
        # Named by its content: names belong to a connection, and connections are shared by all routes.
        name = f"along_{hashlib.sha256(along.encode()).hexdigest()[:12]}"
        self._statements = {
            kind: Prepared(
                f"{name}_{kind}",
                f"SELECT * FROM ({holder}) holder "  # noqa: S608 - both are constants
                f"LEFT JOIN LATERAL (SELECT true AS found, asked.* FROM ({query}) asked) along ON true",
            )
            for kind, holder in HOLDER.items()
        }

    def authenticate(self, asked: Request) -> tuple[Principal, dict[str, Any] | None]:
        """Return the holder of the request's credential, and the row of the query.

        Raises:
            ProblemError: 401, with what to do.
        """
        credential, now = shown(asked), datetime.now(UTC)
        row = self._statements[credential.kind].row(holder_parameters(credential, now) | (asked.view_args or {}))
        principal = None if row is None else Principal(*(row[name] for name in _PRINCIPAL))
        principal = _let_in(credential, principal, now)
        return principal, row if row and row["found"] else None


_PRINCIPAL: Final = tuple(field.name for field in dataclasses.fields(Principal))


def _let_in(credential: Credential, principal: Principal | None, now: datetime) -> Principal:
    if principal is None and credential.kind == "token":
        raise unauthenticated("The API token is unknown, revoked or expired. Make a new one and use that.")
    if principal is None:
        raise unauthenticated("The session has ended. Sign in again; nothing you typed is lost.")
    if principal.touch_due:
        _touch_when_answered(principal, now)
    # For answers that may be kept: by which credential, and from when nothing in them is older.
    g.credential, g.asked_at = credential, now
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
