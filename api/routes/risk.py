"""Risk: read precomputed, asked for anew, over time. Nothing here computes."""

from __future__ import annotations

from datetime import UTC, datetime, time

from flask import Response, request
from sqlalchemy import select

from api import cursors
from api.auth import caller, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes, documented
from api.schemas import risk as schemas
from tailwatch import refresh
from tailwatch.db.models import Portfolio, RiskSnapshot
from tailwatch.snapshots import read_newest

routes = Routes("risk", "Risk")


@routes.get("/portfolios/<int:portfolio_id>/risk")
@requires("read")
@routes.output(schemas.Risk)
@documented(conditional=True)
def get_risk(portfolio_id: int) -> Response:
    """Show the newest risk snapshot with its live state."""
    return newest(portfolio_id)


@routes.post("/portfolios/<int:portfolio_id>/risk/recompute")
@requires("write")
@routes.output(schemas.Recompute, status_code=202)
def recompute_risk(portfolio_id: int) -> schemas.Recompute:
    """Want the risk computed anew. Asking twice is one computation."""
    # Ownership first: the request for a computation locks the row.
    if read_newest(db(), portfolio_id, caller().user_id) is None:
        raise not_found()
    revision = refresh.request_recompute(db(), portfolio_id)
    wanted = read_newest(db(), portfolio_id, caller().user_id)
    if wanted is None:
        raise not_found()
    commit()
    return schemas.Recompute(revision=revision, state=wanted.state)


@routes.get("/portfolios/<int:portfolio_id>/risk/history")
@requires("read")
@routes.input(schemas.HistoryQuery, location="query", arg_name="wanted")
@routes.output(schemas.HistoryPage)
def list_risk_history(portfolio_id: int, wanted: schemas.HistoryQuery) -> schemas.HistoryPage:
    """List headline figures of past snapshots, newest first."""
    owned = select(Portfolio.id).where(Portfolio.id == portfolio_id, Portfolio.user_id == caller().user_id)
    if db().scalar(owned) is None:
        raise not_found()
    columns = [RiskSnapshot.id.label("snapshot_id")]
    columns += [getattr(RiskSnapshot, name) for name in schemas.HistoryRow.model_fields if name != "snapshot_id"]
    query = select(*columns).where(RiskSnapshot.portfolio_id == portfolio_id)
    if wanted.from_:
        query = query.where(RiskSnapshot.computed_at >= datetime.combine(wanted.from_, time.min, UTC))
    if wanted.to:
        # The whole of the last day; compared without adding a day, because the last date there is has no next.
        query = query.where(RiskSnapshot.computed_at <= datetime.combine(wanted.to, time.max, UTC))
    if wanted.cursor:
        query = query.where(RiskSnapshot.id < cursors.read_id(wanted.cursor))
    found = db().execute(query.order_by(RiskSnapshot.id.desc()).limit(wanted.limit + 1)).all()
    items = [schemas.HistoryRow.model_validate(row) for row in found[: wanted.limit]]
    more = len(found) > wanted.limit
    return schemas.HistoryPage(items=items, next_cursor=cursors.after_id(items[-1].snapshot_id) if more else None)


def newest(portfolio_id: int) -> Response:
    """Answer with the stored snapshot of a portfolio of the caller, or 304 if that is what they have.

    Raises:
        ProblemError: 404, there is no such portfolio of theirs.
    """
    snapshot = read_newest(db(), portfolio_id, caller().user_id)
    if snapshot is None:
        raise not_found()
    response = Response(content_type="application/json")
    response.set_etag(snapshot.etag)
    # Kept, but asked about every time.
    response.cache_control.private = True
    response.cache_control.no_cache = True
    if request.if_none_match.contains_weak(snapshot.etag):
        response.status_code = 304
    else:
        response.set_data(snapshot.spliced())
    return response
