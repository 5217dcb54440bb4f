"""API tokens: made, listed, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Response
from sqlalchemy import or_, select

from api import cursors, edge_cache
from api.auth import caller, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes
from api.schemas.accounts import NewToken, Token, TokenCreate, TokenPage
from api.schemas.base import PageQuery
from tailwatch import accounts, live
from tailwatch.db.models import ApiToken

routes = Routes("tokens", "Tokens")


@routes.get("/tokens")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(TokenPage)
def list_tokens(page: PageQuery) -> TokenPage:
    """List API tokens in force, newest first."""
    query = select(ApiToken).where(
        ApiToken.user_id == caller().user_id,
        ApiToken.revoked_at.is_(None),
        or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > datetime.now(UTC)),
    )
    if page.cursor:
        query = query.where(ApiToken.id < cursors.read_id(page.cursor))
    found = db().scalars(query.order_by(ApiToken.id.desc()).limit(page.limit + 1)).all()
    items = [Token.model_validate(token) for token in found[: page.limit]]
    return TokenPage(items=items, next_cursor=cursors.after_id(items[-1].id) if len(found) > page.limit else None)


@routes.post("/tokens")
@requires("write")
@routes.input(TokenCreate, arg_name="wanted")
@routes.output(NewToken, status_code=201)
def create_token(wanted: TokenCreate) -> NewToken:
    """Make an API token. Its secret is in this answer and nowhere else."""
    lifetime = None if wanted.expires_in_days is None else timedelta(days=wanted.expires_in_days)
    token, secret = accounts.create_token(
        db(), caller().user_id, wanted.name, wanted.scope, datetime.now(UTC), lifetime=lifetime
    )
    commit()
    return NewToken(**Token.model_validate(token).model_dump(), token=secret)


@routes.delete("/tokens/<int:token_id>")
@requires("write")
@routes.output({}, status_code=204)
def revoke_token(token_id: int) -> Response:
    """Revoke an API token; it is refused from now on, and its live connections end."""
    if not accounts.revoke_token(db(), caller().user_id, token_id, datetime.now(UTC)):
        raise not_found("token")
    edge_cache.will_change(token_id=token_id)
    commit()
    live.publish({"kind": "access", "token_id": token_id})
    return Response(status=204)
