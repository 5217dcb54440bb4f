"""Risk: read precomputed, asked for anew, over time. Nothing here computes."""

from __future__ import annotations

from datetime import UTC, datetime, time

from flask import Response, g, request
from sqlalchemy import select

from api import cursors, edge_cache
from api.auth import caller, read_along, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes, documented
from api.schemas import risk as schemas
from tailwatch import refresh
from tailwatch.accounts import Credential
from tailwatch.db.models import Portfolio, RiskSnapshot
from tailwatch.snapshots import STATE, NewestSnapshot, of_state, read_answer, read_newest

routes = Routes("risk", "Risk")


def _kept(credential: Credential, portfolio_id: int) -> Response | None:
    kept = edge_cache.find(portfolio_id, credential)
    return None if kept is None else _unless_known(portfolio_id, credential, kept.etag, kept.body, kept)


@routes.get("/portfolios/<int:portfolio_id>/risk")
@requires("read", along=STATE.replace("{portfolio_id}", ":portfolio_id"), unless=_kept)
@routes.output(schemas.Risk)
@documented(conditional=True)
def get_risk(portfolio_id: int) -> Response:
    """Show the newest risk snapshot with its live state."""
    row = read_along()
    return _answer(portfolio_id, None if row is None else of_state(row, datetime.now(UTC)))


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
    """Answer with the newest snapshot of a portfolio of the caller, or 304 if that is what they have.

    Raises:
        ProblemError: 404, there is no such portfolio of theirs.
    """
    return _answer(portfolio_id, read_newest(db(), portfolio_id, caller().user_id))


def _answer(portfolio_id: int, snapshot: NewestSnapshot | None) -> Response:
    while snapshot is not None:
        body = read_answer(db, snapshot)
        if body is not None:
            kept = None
            if snapshot.state == "fresh":
                kept = edge_cache.keep(
                    portfolio_id, caller(), g.credential, g.asked_at, etag=snapshot.etag, body=body
                )
            return _unless_known(portfolio_id, g.credential, snapshot.etag, body, kept)
        # It has gone since; either a newer one is there, or the portfolio is not.
        snapshot = read_newest(db(), portfolio_id, caller().user_id)
    raise not_found()


def _unless_known(
    portfolio_id: int, credential: Credential, etag: str, body: bytes, kept: edge_cache.Kept | None
) -> Response:
    """Return the answer, or 304 for who has it."""
    # An ETag of ours has no quotes in it. The answer may be kept, but is to be asked about every time.
    headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
    if request.if_none_match.contains_weak(etag):
        return Response(status=304, headers=headers, content_type="application/json")
    response = Response(body, headers=headers, content_type="application/json")
    if kept is not None:
        edge_cache.offer(response, portfolio_id, credential, kept)
    return response
