"""From exceptions to problem+json (RFC 9457): one table, one handler.

Whatever a request runs into, the answer has a stable `type`, a sentence that says what to do, and names the members
that are at fault. What is not in the table is a bug: logged with its traceback, answered 500 without details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import psycopg2
from apiflask.exceptions import HTTPError
from flask import Flask, Response, g, has_request_context
from flask_limiter import RateLimitExceeded
from pydantic import ValidationError
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = "2"


class ProblemError(Exception):
    """A refusal with its problem document."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the problem as it goes over the wire."""
        return {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "errors": [{"field": printable(field), "message": printable(message)} for field, message in self.errors],
        }

    def response(self, **more: Any) -> Response:
        """Return the problem as an HTTP answer; `more` are members of its own."""
        return Response(orjson.dumps(self.document() | more), self.status, self.headers, content_type=CONTENT_TYPE)


def printable(text: str) -> str:
    """Return `text` so that it can be sent: a caller may have put half of a surrogate pair into a name."""
    return text[:500].encode("utf-8", "backslashreplace").decode()


def invalid(*errors: tuple[str, str]) -> ProblemError:
    """Return the refusal of a request whose members are at fault."""
    named = ", ".join(dict.fromkeys(field for field, _ in errors if field))
    detail = f"Correct {printable(named)} and send the request again." if named else errors[0][1]
    return ProblemError(422, "invalid-input", "The request has members that cannot be used", detail, errors)


def not_found(what: str = "portfolio") -> ProblemError:
    """Return the refusal for a thing that is not there, or not the caller's: nobody learns which."""
    return ProblemError(404, f"no-such-{what}", "Not found", f"There is no such {what} of yours.")


def unauthenticated(detail: str) -> ProblemError:
    """Return the refusal of a caller we do not know."""
    return ProblemError(
        401, "not-signed-in", "Not signed in", detail, headers={"WWW-Authenticate": 'Bearer realm="Tailwatch"'}
    )


def unavailable(detail: str) -> ProblemError:
    """Return the refusal while something that we need is away."""
    return ProblemError(
        503, "unavailable", "Not available right now", detail, headers={"Retry-After": RETRY_AFTER_SECONDS}
    )


#: What werkzeug and Flask raise by themselves.
_HTTP: Final[dict[int, tuple[str, str, str]]] = {
    400: ("bad-request", "The request cannot be read", "The request cannot be read as HTTP or JSON."),
    404: ("no-such-path", "Not found", "There is nothing at this path; /api/docs lists what there is."),
    405: ("method-not-allowed", "Method not allowed", "This path does not take that method; see the Allow header."),
    413: ("too-large", "Too large", "The request is larger than the server takes (1 MB). Send it in smaller parts."),
    415: ("not-json", "Not JSON", "Send the body as JSON with the header Content-Type: application/json."),
    431: ("headers-too-large", "Headers too large", "The request's headers are larger than the server takes."),
}

#: Constraints that a well-formed request can run into, by their name in the database.
_CONSTRAINTS: Final[dict[str, tuple[str, str, str]]] = {
    "uq_portfolios_user_id_name": ("portfolio-exists", "name", "You have a portfolio of this name already."),
    "uq_portfolios_default": (
        "default-changed",
        "is_default",
        "The default was changed at the same moment; try again.",
    ),
    "uq_trades_external_id": (
        "trade-exists",
        "external_id",
        "The portfolio has a trade with this external_id already; nothing was booked.",
    ),
}

#: SQLSTATE classes and codes that pass by themselves: connection, resources, operator, locks, serialisation.
_PASSING: Final = ("08", "53", "57", "55P03", "40001", "40P01", "25P03")


def from_database(error: exc.SQLAlchemyError) -> ProblemError | None:
    """Return what a database error means to the caller, or None for one that is our bug."""
    if isinstance(error, exc.TimeoutError):
        return unavailable("All database connections are busy. Try again in a moment; nothing was lost.")
    original = getattr(error, "orig", None)
    if not isinstance(original, psycopg2.Error):
        return None
    code = original.pgcode or ""
    if isinstance(error, exc.IntegrityError):
        return _from_constraint(original)
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    # Without a code the server never answered: it is down, starting, or the network is.
    never_answered = isinstance(original, psycopg2.OperationalError | psycopg2.InterfaceError) and not code
    if lost or never_answered or code.startswith(_PASSING):
        return unavailable("The database does not answer right now. Try again in a moment; nothing was booked twice.")
    if code.startswith("22"):
        return invalid(("", "A value is outside of what can be stored."))
    return None


def _from_constraint(error: psycopg2.Error) -> ProblemError | None:
    name = error.diag.constraint_name or ""
    if name in _CONSTRAINTS:
        slug, field, message = _CONSTRAINTS[name]
        return ProblemError(409, slug, "Already there", message, [(field, message)])
    # What a request referred to was deleted while it was being answered.
    if error.pgcode == "23503":
        return not_found()
    return None


def from_validation(error: ValidationError) -> ProblemError:
    """Return pydantic's findings as problem, in our words."""
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        # Members of a union each report their own failure; their names are ours, not the caller's.
        field = ".".join(str(part) for part in one["loc"])
        message = _WORDS.get(one["type"], one["msg"].removeprefix("Value error, "))
        found.append((field, message))
    return invalid(*found)


_WORDS: Final[dict[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here; check its spelling",
    "string_type": "must be a string",
    "string_unicode": "must be valid text",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}


def from_exception(error: Exception) -> ProblemError | None:
    """Return the problem that `error` is to the caller; None if it is ours."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, RateLimitExceeded):
        return ProblemError(
            429,
            "too-many-requests",
            "Too many requests",
            "Too many requests in a short time. Wait a minute, then try again.",
            headers={"Retry-After": "60"},
        )
    # APIFlask wraps pydantic's findings; the original says more.
    found = error.__cause__ if isinstance(error, HTTPError) else error
    if isinstance(found, ValidationError):
        return from_validation(found)
    if isinstance(error, exc.SQLAlchemyError):
        return from_database(error)
    if isinstance(error, HTTPException) and error.code is not None and error.code >= 400:
        slug, title, detail = _HTTP.get(
            error.code, (f"http-{error.code}", error.name, error.description or error.name)
        )
        headers = {key: value for key, value in error.get_headers() if key.lower() in {"allow", "retry-after"}}
        return ProblemError(error.code, slug, title, detail, headers=headers)
    return None


def handle(error: Exception) -> Response | HTTPException:
    """Answer any exception that a request ended with."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error  # redirects, and aborts that carry a response of their own
    problem = from_exception(error)
    if problem is None:
        problem = ProblemError(
            500,
            "internal",
            "Something went wrong on our side",
            "The server could not answer; its log says why. Nothing was booked.",
        )
    if problem.status >= 500 and has_request_context():
        # Logged with the answer that it leads to (api/request_ids.py).
        g.failure = error
    # What somebody who reports it can name, and the log has.
    more = {"request_id": g.request_id} if problem.status >= 500 and "request_id" in g else {}
    return problem.response(**more)


def register(app: Flask) -> None:
    """Answer every failure of `app` as problem+json."""
    app.register_error_handler(Exception, handle)
    # Named again, because APIFlask registers handlers of its own for these two, and the most specific one wins.
    for kind in (HTTPError, HTTPException):
        app.register_error_handler(kind, handle)
