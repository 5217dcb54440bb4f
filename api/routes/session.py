"""Signing in and out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import gevent
from flask import Response, make_response

from api import edge_cache, limits
from api.auth import caller, drop_session_cookie, requires, set_session_cookie
from api.database import commit, db
from api.problems import ProblemError, unauthenticated
from api.routing import Routes, documented
from api.schemas.accounts import Account, LinkRedemption, Me, SignIn
from tailwatch import accounts, live
from tailwatch.settings import get_settings

routes = Routes("session", "Session")


@routes.post("/session")
@limits.by_address
@limits.by_account
@routes.input(SignIn, arg_name="credentials")
@routes.output(Me)
@documented(401)
def sign_in(credentials: SignIn) -> Response:
    """Sign in with e-mail address and password."""
    account = accounts.find_account(db(), credentials.email)
    user_id, password_hash = account or (None, None)
    # A tenth of a second of pure computing: in a thread, so that the other requests of this process go on.
    held = gevent.get_hub().threadpool.apply(accounts.verify_password, (password_hash, credentials.password))
    if user_id is None or not held:
        raise ProblemError(
            401, "wrong-password", "Not signed in", "The e-mail address or the password is wrong. Check both."
        )
    return _signed_in(user_id)


@routes.post("/session/link")
@limits.by_address
@routes.input(LinkRedemption, arg_name="link")
@routes.output(Me)
@documented(401)
def redeem_sign_in_link(link: LinkRedemption) -> Response:
    """Sign in with the token of a one-time link."""
    user_id = accounts.redeem_sign_in_link(db(), link.token, datetime.now(UTC))
    if user_id is None:
        raise unauthenticated("This link was used before or is older than a day. Ask for a new one.")
    return _signed_in(user_id)


@routes.delete("/session")
@requires("write")
@routes.output({}, status_code=204)
@documented(400)
def sign_out() -> Response:
    """End this session."""
    session_id = caller().session_id
    if session_id is None:
        raise ProblemError(
            400,
            "no-session",
            "No session",
            "An API token has no session to end; revoke it under /api/tokens instead.",
        )
    accounts.close_session(db(), session_id)
    edge_cache.will_change(session_id=session_id)
    commit()
    live.publish({"kind": "access", "session_id": session_id})
    response = Response(status=204)
    drop_session_cookie(response)
    return response


@routes.get("/me")
@requires("read")
@routes.output(Me)
def get_me() -> Me:
    """Tell who is signed in, and the CSRF token for writes."""
    return _me(caller())


def _signed_in(user_id: int) -> Response:
    opened = accounts.open_session(db(), user_id, datetime.now(UTC), timedelta(days=get_settings().session_days))
    commit()
    response = make_response(_me(opened.principal).model_dump(mode="json"))
    set_session_cookie(response, opened.token, opened.expires_at)
    return response


def _me(principal: accounts.Principal) -> Me:
    return Me(user=Account(id=principal.user_id, email=principal.email), csrf_token=principal.csrf_token)
