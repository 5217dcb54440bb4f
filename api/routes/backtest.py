"""Backtests: read as stored, asked for anew. Nothing here computes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

import orjson
from flask import Response, request

from api.auth import caller, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes, documented
from api.schemas import backtest as schemas
from tailwatch.backtests import jobs, live

routes = Routes("backtest", "Risk")

#: Of a portfolio that has no backtest yet.
_NOTHING: Final = orjson.dumps(
    {"method": None, "start": None, "end": None, "methods": {}, "series": None, "warnings": []}
).decode()


@routes.get("/portfolios/<int:portfolio_id>/risk/backtest")
@requires("read")
@routes.output(schemas.Backtest)
@documented(conditional=True)
def get_backtest(portfolio_id: int) -> Response:
    """Show the newest backtest of the positions, and what was served against what came."""
    stored = jobs.read(db(), portfolio_id, caller().user_id)
    if stored is None:
        raise not_found()
    head = {
        "state": stored.state,
        "reason": stored.reason,
        "snapshot_id": stored.snapshot_id,
        "as_of": stored.as_of,
        "computed_at": stored.computed_at,
        "live": live.read(db(), portfolio_id),
    }
    body = f"{orjson.dumps(head, option=orjson.OPT_UTC_Z).decode()[:-1]},{(stored.result or _NOTHING)[1:]}".encode()
    etag = hashlib.sha256(body).hexdigest()[:32]
    headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
    if request.if_none_match.contains_weak(etag):
        return Response(status=304, headers=headers, content_type="application/json")
    return Response(body, headers=headers, content_type="application/json")


@routes.post("/portfolios/<int:portfolio_id>/risk/backtest")
@requires("write")
@routes.output(schemas.BacktestWanted, status_code=202)
def request_backtest(portfolio_id: int) -> schemas.BacktestWanted:
    """Want the backtest made anew. Asking twice is one computation."""
    if jobs.read(db(), portfolio_id, caller().user_id) is None:
        raise not_found()
    jobs.request(db(), portfolio_id, datetime.now(UTC))
    wanted = jobs.read(db(), portfolio_id, caller().user_id)
    if wanted is None:
        raise not_found()
    commit()
    return schemas.BacktestWanted(state=wanted.state)
