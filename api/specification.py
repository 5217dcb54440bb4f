"""The OpenAPI document: made from the routes and schemas, committed as api/openapi.json, served as committed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from apiflask import APIFlask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import uploads
from api.problems import CONTENT_TYPE
from api.schemas.base import Problem
from api.schemas.operations import NotReady

COMMITTED: Final = Path(__file__).resolve().parent / "openapi.json"

_DESCRIPTION: Final = """\
Trades go in; precomputed risk comes out. Money, prices and quantities are exact decimals, as strings; send
them as strings or numbers. Risk figures are numbers: fractions of net asset value, losses positive. Times are UTC.

Sign in for a session cookie (writes then carry `X-CSRF-Token`), or send an API token as `Authorization: Bearer`.
Whatever goes wrong is answered as problem+json. Live events come by Socket.IO (WebSocket) on `/socket.io`:
`subscribe` with `{portfolio_id}`, then `risk` and `progress` events.
"""

CONFIG: Final[dict[str, Any]] = {
    "OPENAPI_VERSION": "3.1.0",
    "DESCRIPTION": _DESCRIPTION,
    "AUTO_SERVERS": False,
    "AUTO_404_RESPONSE": False,
    "AUTO_VALIDATION_ERROR_RESPONSE": False,
    "AUTO_AUTH_ERROR_RESPONSE": False,
    "LICENSE": {"name": "MIT"},
}

_PROBLEMS: Final[dict[str, str]] = {
    "400": "The request cannot be read as JSON",
    "401": "No credential, or one that is unknown, revoked or expired",
    "403": "The token may only read, or the CSRF token is missing",
    "404": "There is no such thing, or it is not yours",
    "409": "It exists already, or the Idempotency-Key was used for something else",
    "413": "The body is too large",
    "415": "The body is not declared as JSON",
    "422": "Members of the request cannot be used; `errors` names them",
    "429": "Too many requests; wait a minute",
    "500": "A bug of ours; the server's log has it",
    "503": "The database is away; try again in a moment",
}

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key and body answers as the first did and books nothing. Kept for a week.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the answer you have.",
    "schema": {"type": "string"},
}
_NOT_READY: Final = {
    "description": "Which part does not work, and why",
    "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/NotReady"}}},
}


def register(app: APIFlask) -> None:
    """Finish `app`'s document with what every route has in common."""

    @app.spec_processor
    def finish(document: Any) -> Any:
        document["components"]["schemas"] = _schemas(app)
        document["components"]["responses"] = {f"Problem{code}": _problem(code) for code in _PROBLEMS}
        for method, operation in _operations(document):
            _finish(method, operation)
        return document


def document(app: APIFlask) -> dict[str, Any]:
    """Return the document of `app`."""
    with app.test_request_context():
        spec = app.spec
    assert isinstance(spec, dict)  # noqa: S101 - SPEC_FORMAT is json
    return spec


def _schemas(app: APIFlask) -> dict[str, Any]:
    """Return the JSON schemas of all models that routes name.

    APIFlask registers a nested model once for each model it is nested in; pydantic, asked for all at once, once.
    """
    models: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {}
    for view in app.view_functions.values():
        specification = getattr(view, "_spec", {})
        if body := specification.get("body"):
            models[body, "validation"] = None
        if response := specification.get("response"):
            models[response["schema"], "serialization"] = None
    models |= {(Problem, "serialization"): None, (NotReady, "serialization"): None}
    used = [pair for pair in models if isinstance(pair[0], type) and issubclass(pair[0], BaseModel)]
    _, definitions = models_json_schema(used, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    return dict(sorted(schemas.items()))


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in {"get", "post", "patch", "delete"}:
                yield method, operation


def _finish(method: str, operation: dict[str, Any]) -> None:
    """Give `operation` its parameters in headers and every problem that it can answer with."""
    if operation.pop("x-upload", False):
        operation["requestBody"] = uploads.REQUEST_BODY
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if operation.pop("x-idempotent", False):
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    if operation.pop("x-conditional", False):
        operation["parameters"].append(_IF_NONE_MATCH)
        operation["responses"]["304"] = {"description": "Nothing has changed since the ETag sent"}
        operation["responses"]["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    if operation["operationId"] == "getReadiness":
        operation["responses"]["503"] = _NOT_READY
    for code in sorted(_problem_codes(method, operation, set(operation.pop("x-problems", ())))):
        operation["responses"].setdefault(code, {"$ref": f"#/components/responses/Problem{code}"})
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _problem_codes(method: str, operation: dict[str, Any], own: set[str]) -> set[str]:
    """Return the problems that follow from what a route takes, beside its `own`."""
    codes = own | {"500", "503"}
    places = {parameter["in"] for parameter in operation["parameters"]}
    if operation.get("security"):
        codes |= {"401"} if method == "get" else {"401", "403"}
    if "path" in places:
        codes.add("404")
    if "query" in places:
        codes.add("422")
    if method != "get":
        codes |= {"413", "429"}
    if "requestBody" in operation:
        codes |= {"400", "415", "422"}
    return codes


def _problem(code: str) -> dict[str, Any]:
    return {
        "description": _PROBLEMS[code],
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


@lru_cache(maxsize=1)
def committed() -> bytes:
    """Return the committed document: what is served is what the page was built against."""
    return COMMITTED.read_bytes()


@lru_cache(maxsize=1)
def etag() -> str:
    """Return what identifies the committed document."""
    return hashlib.sha256(committed()).hexdigest()[:16]
