"""Valkey pub/sub between the workers, which know what changed, and the web processes, which hold the sockets.

A message that is lost costs nothing but time: a page gets the current state whenever it (re)connects, and every
message carries the revision it speaks of.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypedDict

import orjson
import redis
import structlog
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from tailwatch import metrics
from tailwatch.settings import get_settings

CHANNEL: Final = "tailwatch:live"
RECONNECT_SECONDS: Final = 0.5
_IDS: Final = ("kind", "portfolio_id", "snapshot_id", "revision", "request_id", "stage")

log = structlog.get_logger(__name__)


class RiskMessage(TypedDict):
    """A snapshot was stored: the headline for the page at once, the id for the rest."""

    kind: Literal["risk"]
    portfolio_id: int
    snapshot_id: int
    revision: int
    state: str
    annualized_volatility: float | None
    var_95_1d: float | None
    es_95_1d: float | None
    #: Exact, as everywhere in JSON.
    nav: str
    computed_at: str
    #: The request that set it off, as its answer's X-Request-ID named it; None: new prices did.
    request_id: str | None
    #: Where the time went (`load_ms`, `compute_ms`, `save_ms`; `started` and `published` as epoch seconds).
    timing: dict[str, float]


class ProgressMessage(TypedDict):
    """A longer job goes on: `fraction` of `stage` is done, from 0 to 1."""

    kind: Literal["progress"]
    portfolio_id: int
    stage: str
    fraction: float


class AccessMessage(TypedDict, total=False):
    """Somebody lost access: the sockets of this session or token, or the room of this portfolio, must go."""

    kind: Literal["access"]
    session_id: int
    token_id: int
    portfolio_id: int


class ResyncMessage(TypedDict):
    """Everything may have changed: the database was restored."""

    kind: Literal["resync"]


Message = RiskMessage | ProgressMessage | AccessMessage | ResyncMessage


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """Return this process's Valkey client for publishing: quick to give up, because nothing waits for a page."""
    return redis.Redis.from_url(
        get_settings().redis_url,
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        # One more try over a new connection: the pooled one may have died with a restarted server.
        retry=Retry(ConstantBackoff(0), 1),
    )


def about(message: Mapping[str, object]) -> dict[str, object]:
    """Return the members that say what `message` is about, for logs."""
    return {name: message[name] for name in _IDS if name in message}


def publish(message: Message) -> bool:
    """Send `message` to every web process; return whether Valkey took it. Never raises."""
    try:
        client().publish(CHANNEL, orjson.dumps(message))
    except redis.RedisError as error:
        log.warning(
            "live message not sent; pages catch up when they poll or reconnect", error=str(error), **about(message)
        )
        metrics.LIVE_MESSAGES.inc(message["kind"], "lost")
        return False
    metrics.LIVE_MESSAGES.inc(message["kind"], "sent")
    return True


def messages() -> Iterator[dict[str, Any]]:
    """Yield every message sent from now on, for ever; while Valkey is away, wait for it.

    Some are of this end: `{"kind": "connected"}` once what is sent will arrive, `{"kind": "interrupted"}` when that
    is no longer so, and `{"kind": "resync"}` when it is so again: whatever was sent meanwhile is gone.
    """
    subscriber = redis.Redis.from_url(
        get_settings().redis_url,
        # Notices a connection that died without saying so.
        health_check_interval=10,
        socket_connect_timeout=2,
        # A connection renewed in silence would hide what was missed.
        retry=Retry(NoBackoff(), 0),
    )
    lost = False
    while True:
        pubsub = subscriber.pubsub()  # type: ignore[no-untyped-call]
        try:
            pubsub.subscribe(CHANNEL)
            while True:
                received = pubsub.get_message(timeout=5.0)
                if received is None:
                    continue
                if received["type"] == "subscribe":
                    yield {"kind": "resync" if lost else "connected"}
                    lost = False
                elif received["type"] == "message":
                    yield orjson.loads(received["data"])
        except redis.RedisError as error:
            if not lost:
                log.warning("live messages interrupted; waiting for Valkey", error=str(error))
                yield {"kind": "interrupted"}
            lost = True
            time.sleep(RECONNECT_SECONDS)
        finally:
            pubsub.close()
