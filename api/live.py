"""Socket.IO: pushes what the workers publish to the pages that may see it.

Each process holds its own sockets and listens to Valkey by itself; there is no Socket.IO message queue in between.
Before an event leaves, one statement asks for all sockets of its portfolio whether their session or token still
holds and the portfolio is still theirs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final

import gevent.event
import orjson
import structlog
from flask import Flask, request
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import SocketIO
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from api import edge_cache, metrics
from api.auth import authenticate
from api.problems import ProblemError, from_exception, invalid, not_found, unauthenticated
from tailwatch import live
from tailwatch.accounts import Credential, Principal, find_holder, still_allowed
from tailwatch.db.session import get_engine
from tailwatch.snapshots import read_answer, read_newest

log = structlog.get_logger(__name__)

# Its own way to log is a handler of its own. What it says of packets is their content.
_LIBRARY_LOGS: Final = {"logger": logging.getLogger("socketio"), "engineio_logger": logging.getLogger("engineio")}
for _library in _LIBRARY_LOGS.values():
    _library.setLevel(logging.WARNING)

socketio = SocketIO(
    **_LIBRARY_LOGS,
    # eventlet and threads are other ways; left out, the library would pick by what is installed.
    async_mode="gevent",
    # Without long polling no request of a connection depends on reaching the same process again.
    transports=["websocket"],
    # None: only pages of the same host (as the Host header has it) may connect.
    cors_allowed_origins=None,
    # Sessions are ours, in the database.
    manage_session=False,
    # A portfolio id is all that a client ever sends.
    max_http_buffer_size=10_000,
    ping_interval=20,
    ping_timeout=20,
)

#: The headline of a snapshot, as events carry it.
_HEADLINE: Final = (
    "revision",
    "computed_at",
    "annualized_volatility",
    "var_95_1d",
    "es_95_1d",
)


#: How often is said which portfolios are watched: often enough that one lost time does not matter.
_ANNOUNCE_SECONDS: Final = live.WATCHED_SECONDS / 3


class Sockets:
    """The open sockets of this process: whose they are, and which portfolios they watch."""

    def __init__(self) -> None:
        self._principals: dict[str, Principal] = {}
        self._rooms: dict[int, set[str]] = {}

    def open(self, sid: str, principal: Principal) -> None:
        """Keep a new socket."""
        self._principals[sid] = principal

    def close(self, sid: str) -> bool:
        """Forget a socket; return whether it was known."""
        for portfolio_id in [room for room, sids in self._rooms.items() if sid in sids]:
            self.leave(sid, portfolio_id)
        return self._principals.pop(sid, None) is not None

    def principal(self, sid: str) -> Principal | None:
        """Return whose socket this is."""
        return self._principals.get(sid)

    def join(self, sid: str, portfolio_id: int) -> None:
        """Let a socket watch a portfolio."""
        self._rooms.setdefault(portfolio_id, set()).add(sid)

    def leave(self, sid: str, portfolio_id: int) -> None:
        """Let a socket no longer watch a portfolio."""
        watching = self._rooms.get(portfolio_id, set())
        watching.discard(sid)
        if not watching:
            self._rooms.pop(portfolio_id, None)

    def watching(self, portfolio_id: int) -> dict[str, Principal]:
        """Return the sockets that watch a portfolio."""
        return {sid: self._principals[sid] for sid in self._rooms.get(portfolio_id, ())}

    def rooms(self) -> list[int]:
        """Return the portfolios that anyone watches."""
        return list(self._rooms)

    def of(self, *, session_id: int | None, token_id: int | None) -> list[str]:
        """Return the sockets that a session or token opened."""
        return [
            sid
            for sid, principal in self._principals.items()
            if (session_id is not None and principal.session_id == session_id)
            or (token_id is not None and principal.token_id == token_id)
        ]


sockets = Sockets()
#: Somebody watches what nobody did before.
_new_room = gevent.event.Event()


def register(app: Flask) -> None:
    """Answer `/socket.io` of `app`."""
    socketio.init_app(app)


def start() -> None:
    """Deliver live messages in this process from now on, in the background."""
    socketio.start_background_task(_deliver_for_ever)
    socketio.start_background_task(_announce_for_ever)
    socketio.start_background_task(edge_cache.sweep_for_ever)


# --- what clients send ---


def _named(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Bind the connection's id to what `handler` logs; requests that its greenlet served before are over."""

    @wraps(handler)
    def bound(*args: object) -> Any:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(connection_id=request.sid)  # type: ignore[attr-defined]
        return handler(*args)

    return bound


@socketio.on("connect")  # type: ignore[untyped-decorator]
@_named
def _connect(auth: object = None) -> None:
    try:
        sockets.open(request.sid, _who(auth))  # type: ignore[attr-defined]
    except Exception as error:
        raise Refused(_problem(error)) from error
    log.debug("live connection opened")
    metrics.SOCKETS.inc()


def _who(auth: object) -> Principal:
    token = auth.get("token") if isinstance(auth, dict) else None
    with get_engine().connect() as connection:
        if token is None:
            return authenticate(connection, request)
        principal = None
        if isinstance(token, str):
            principal = find_holder(connection, Credential("token", token), datetime.now(UTC))
    if principal is None:
        raise unauthenticated("The API token is unknown, revoked or expired. Make a new one and use that.")
    return principal


@socketio.on("disconnect")  # type: ignore[untyped-decorator]
@_named
def _disconnect(_reason: object = None) -> None:
    if sockets.close(request.sid):  # type: ignore[attr-defined]
        log.debug("live connection closed")
        metrics.SOCKETS.dec()


@socketio.on("subscribe")  # type: ignore[untyped-decorator]
@_named
def _subscribe(message: object = None) -> dict[str, Any]:
    """Watch a portfolio; acknowledged with its current state, or a problem."""
    sid = request.sid  # type: ignore[attr-defined]
    try:
        return _watch(sid, _portfolio_id(message))
    except Exception as error:  # noqa: BLE001 - whatever it is, the client learns it
        return _problem(error)


def _watch(sid: str, portfolio_id: int) -> dict[str, Any]:
    principal = sockets.principal(sid)
    if principal is None:
        raise unauthenticated("The connection has ended. Connect again.")
    # Joined before the state is read, so that no change falls between the two.
    sockets.join(sid, portfolio_id)
    state = None
    try:
        with get_engine().connect() as connection:
            if still_allowed(connection, portfolio_id, [principal], datetime.now(UTC)):
                state = current_state(connection, portfolio_id, principal.user_id)
    finally:
        if state is None:
            sockets.leave(sid, portfolio_id)
    if state is None:
        raise not_found()
    _new_room.set()
    return state


@socketio.on("unsubscribe")  # type: ignore[untyped-decorator]
@_named
def _unsubscribe(message: object = None) -> dict[str, Any]:
    """Stop watching a portfolio."""
    try:
        sockets.leave(request.sid, _portfolio_id(message))  # type: ignore[attr-defined]
    except ProblemError as error:
        return error.document()
    return {}


def _portfolio_id(message: object) -> int:
    value = message.get("portfolio_id") if isinstance(message, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise invalid(("portfolio_id", "must be the id of a portfolio"))
    return value


def _problem(error: Exception) -> dict[str, Any]:
    problem = from_exception(error)
    if problem is None:
        log.error("live request failed", exc_info=error)
        problem = ProblemError(500, "internal", "Something went wrong on our side", "The server's log says what.")
    return problem.document()


def current_state(connection: Connection, portfolio_id: int, user_id: int) -> dict[str, Any] | None:
    """Return a portfolio's state in the shape of a `risk` event; None if there is no such portfolio of this user."""
    newest = read_newest(connection, portfolio_id, user_id)
    if newest is None:
        return None
    answer = read_answer(lambda: connection, newest)
    if answer is None:
        return None
    snapshot = orjson.loads(answer)
    nav = snapshot["nav"]
    return {
        "portfolio_id": portfolio_id,
        "snapshot_id": newest.snapshot_id,
        "state": newest.state,
        "wanted_revision": newest.wanted_revision,
        "progress": newest.progress,
        **{name: snapshot[name] for name in _HEADLINE},
        "nav": None if nav is None else float(nav),
    }


# --- what workers publish ---


def _deliver_for_ever() -> None:
    for message in live.messages():
        try:
            deliver(message)
        except SQLAlchemyError as error:
            # Nobody can be asked who may see it. Pages catch up when they poll or reconnect.
            reason = str(error).splitlines()[0]
            log.warning("live message not delivered: database unreachable", error=reason, **live.about(message))
        except Exception:
            log.exception("live message not delivered", **live.about(message))


def _announce_for_ever() -> None:
    """Say which portfolios are watched, for whoever values those alone (worker/quotes)."""
    while True:
        _new_room.wait(_ANNOUNCE_SECONDS)
        _new_room.clear()
        if rooms := sockets.rooms():
            live.announce(rooms)


def deliver(message: dict[str, Any]) -> None:
    """Hand one message of the workers to the sockets that may see it."""
    # First: a page that is told of a change and asks must get it.
    edge_cache.heed(message)
    match message.get("kind"):
        case "risk" | "progress" as event:
            _emit(event, message)
        case "quote":
            _emit("prices", message)
        case "access":
            _drop(message)
        case "resync":
            _resync()


def _emit(event: str, message: dict[str, Any]) -> None:
    portfolio_id = message["portfolio_id"]
    payload = {name: value for name, value in message.items() if name != "kind"}
    sids = _allowed(portfolio_id)
    for sid in sids:
        socketio.emit(event, payload, to=sid)
    if sids:
        # Quotes come several times a second.
        log.log(
            logging.DEBUG if event == "prices" else logging.INFO,
            "live event pushed",
            sockets=len(sids),
            **live.about(message),
        )
        metrics.EVENTS.labels(event).inc(len(sids))
    if sids and (published := message.get("timing", {}).get("published")):
        metrics.PUSHES.observe(max(0.0, time.time() - published))


def _allowed(portfolio_id: int) -> list[str]:
    """Return the sockets watching a portfolio that still may; the others are dropped."""
    watching = sockets.watching(portfolio_id)
    if not watching:
        return []
    with get_engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        allowed = still_allowed(connection, portfolio_id, list(watching.values()), datetime.now(UTC))
    for sid, principal in watching.items():
        if principal not in allowed:
            _disconnect_socket(sid)
    return [sid for sid, principal in watching.items() if principal in allowed]


def _drop(message: dict[str, Any]) -> None:
    """End the sockets of a session or token that was revoked, or of a portfolio that is gone."""
    for sid in sockets.of(session_id=message.get("session_id"), token_id=message.get("token_id")):
        _disconnect_socket(sid)
    if portfolio_id := message.get("portfolio_id"):
        _allowed(portfolio_id)


def _resync() -> None:
    """Messages were missed: give everyone the current state instead."""
    for portfolio_id in sockets.rooms():
        for sid in _allowed(portfolio_id):
            principal = sockets.principal(sid)
            with get_engine().connect() as connection:
                state = principal and current_state(connection, portfolio_id, principal.user_id)
            if state and state["snapshot_id"] is not None:
                socketio.emit("risk", state, to=sid)


def _disconnect_socket(sid: str) -> None:
    socketio.server.disconnect(sid)
