"""Why the figures moved: stored with the snapshot, sent as stored."""

from __future__ import annotations

from typing import Final, get_args

import orjson
from flask import Response, request
from sqlalchemy import text

from api.auth import caller, requires
from api.database import db
from api.problems import not_found
from api.routing import Routes, documented
from api.schemas import explain as schemas

routes = Routes("explain", "Risk")

_READ: Final = {
    column: text(
        f"""
        SELECT s.id, convert_from(s.{column}, 'UTF8') AS body
        FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
        WHERE p.id = :id AND p.user_id = :user_id
        """  # noqa: S608 - one of two columns
    )
    for column in ("explain", "stress")
}
#: Of a portfolio without a snapshot, or with one of a version that did not explain.
_NOTHING: Final = orjson.dumps(
    {
        "previous_snapshot_id": None,
        "from": None,
        "to": None,
        "base_currency": None,
        "order": get_args(schemas.Cause),
        "figures": {},
        "amounts": {},
        "sentence": None,
        "warnings": [],
    }
).decode()


@routes.get("/portfolios/<int:portfolio_id>/risk/explain")
@requires("read")
@routes.output(schemas.Explain)
@documented(conditional=True)
def get_risk_explanation(portfolio_id: int) -> Response:
    """Tell why the figures of the newest snapshot differ from those of the one before."""
    return stored_beside(portfolio_id, "explain", _NOTHING)


def stored_beside(portfolio_id: int, column: str, nothing: str) -> Response:
    """Answer with what is stored beside the body of the newest snapshot, under the snapshot's id.

    Args:
        portfolio_id: Of the caller.
        column: Of `risk_snapshots`: explain or stress.
        nothing: The JSON object to send where there is none.

    Raises:
        ProblemError: 404, there is no such portfolio of theirs.
    """
    row = db().execute(_READ[column], {"id": portfolio_id, "user_id": caller().user_id}).one_or_none()
    if row is None:
        raise not_found()
    etag = f"{portfolio_id}-{row.id or 0}-{column}"
    headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
    if request.if_none_match.contains_weak(etag):
        return Response(status=304, headers=headers, content_type="application/json")
    head = orjson.dumps({"snapshot_id": row.id}).decode()
    return Response(f"{head[:-1]},{(row.body or nothing)[1:]}", headers=headers, content_type="application/json")
