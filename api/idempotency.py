"""`Idempotency-Key`: a write that is sent twice happens once.

The key is claimed by inserting its row in the transaction of the write. A twin that comes at the same time waits at
the unique index until the first commits, then finds the answer; if the first fails, its claim is rolled back with
it, and the twin does the work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

import orjson
from flask import Response, request
from pydantic import BaseModel
from sqlalchemy import text

from api.auth import caller
from api.database import commit, db
from api.problems import ProblemError, invalid

HEADER: Final = "Idempotency-Key"

_CLAIM = text(
    """
    INSERT INTO idempotency_keys (user_id, key, request_hash, status, response)
    VALUES (:user_id, :key, :hash, 0, '{}') ON CONFLICT DO NOTHING RETURNING true
    """
)
_STORED = text(
    """
    SELECT request_hash = :hash AS same, status, response::text AS response
    FROM idempotency_keys WHERE user_id = :user_id AND key = :key
    """
)
_KEEP = text(
    """
    UPDATE idempotency_keys SET status = :status, response = CAST(:response AS jsonb)
    WHERE user_id = :user_id AND key = :key
    """
)


def once(work: Callable[[], BaseModel], status: int = 201) -> Response:
    """Do `work` in this request's transaction, commit, and answer; or answer as the first time did.

    Raises:
        ProblemError: 422 for a malformed key, 409 for one that was used for another request.
    """
    key = request.headers.get(HEADER)
    if key is None:
        answer = work()
        commit()
        return _json(answer.model_dump_json(by_alias=True).encode(), status)
    if not re.fullmatch(r"[!-~]{1,200}", key):
        raise invalid((HEADER, "must be 1 to 200 visible ASCII characters without spaces"))
    claim = {"user_id": caller().user_id, "key": key, "hash": _request_hash()}
    if not db().scalar(_CLAIM, claim):
        return _replay(claim)
    body = work().model_dump_json(by_alias=True)
    db().execute(_KEEP, {"user_id": claim["user_id"], "key": key, "status": status, "response": body})
    commit()
    return _json(body.encode(), status)


def _replay(claim: dict[str, object]) -> Response:
    stored = db().execute(_STORED, claim).one()
    if not stored.same:
        raise ProblemError(
            409,
            "idempotency-key-reused",
            "Idempotency-Key used for something else",
            "This Idempotency-Key was sent with another request before. Use a new key for a new request.",
            [(HEADER, "was used for another request")],
        )
    response = _json(orjson.dumps(orjson.loads(stored.response)), stored.status)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _request_hash() -> bytes:
    return hashlib.sha256(b"\n".join([request.method.encode(), request.path.encode(), request.get_data()])).digest()


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, content_type="application/json")
