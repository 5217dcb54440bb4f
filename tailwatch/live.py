"""Valkey pub/sub between the workers, which know what changed, and the web processes, which hold the sockets.

A message that is lost costs nothing but time: a page gets the current state whenever it (re)connects, and every
message carries the revision it speaks of.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
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
#: One key for each portfolio that some page looks at; it expires unless it is renewed.
_WATCHED: Final = "tailwatch:watched:"
WATCHED_SECONDS: Final = 15.0
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


class QuoteMessage(TypedDict):
    """What a portfolio is worth at live prices (worker/quotes): all of it each time, and never stored.

    A snapshot stays what it is; these are its positions and its scenarios at other prices.
    """

    kind: Literal["quote"]
    portfolio_id: int
    #: The snapshot whose positions these are, and its revision.
    snapshot_id: int
    revision: int
    base_currency: str
    #: ISO day of the newest stored close; `pnl` counts from the stored closes.
    close_day: str | None
    #: Exact, as everywhere in JSON.
    nav: str
    pnl: str
    #: Of NAV at the stored closes.
    pnl_fraction: float | None
    # Of the live NAV, on the weights of now.
    annualized_volatility: float | None
    var_95_1d: float | None
    es_95_1d: float | None
    var_975_1d: float | None
    es_975_1d: float | None
    var_99_1d: float | None
    es_99_1d: float | None
    #: The same seven in base currency; None: nothing is modelled.
    amounts: dict[str, float] | None
    #: Those with a live price or a live exchange rate.
    positions: list[dict[str, Any]]
    #: How the stream is: `state`, `message` and `last_tick_at`.
    feed: dict[str, Any]
    at: str
    #: Epoch seconds: `received` (the newest price in it) and `published`.
    timing: dict[str, float]


class AccessMessage(TypedDict, total=False):
    """Somebody lost access: the sockets of this session or token, or the room of this portfolio, must go."""

    kind: Literal["access"]
    session_id: int
    token_id: int
    portfolio_id: int


class ResyncMessage(TypedDict):
    """Everything may have changed: the database was restored."""

    kind: Literal["resync"]


Message = RiskMessage | ProgressMessage | QuoteMessage | AccessMessage | ResyncMessage


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


def publish(*messages: Message) -> bool:
    """Send messages to every web process; return whether Valkey took them. Never raises."""
    try:
        if len(messages) == 1:
            client().publish(CHANNEL, orjson.dumps(messages[0]))
        else:
            pipeline = client().pipeline(transaction=False)
            for message in messages:
                pipeline.publish(CHANNEL, orjson.dumps(message))
            pipeline.execute()
    except redis.RedisError as error:
        for message in messages:
            log.warning(
                "live message not sent; pages catch up when they poll or reconnect",
                error=str(error),
                **about(message),
            )
            metrics.LIVE_MESSAGES.inc(message["kind"], "lost")
        return False
    for message in messages:
        metrics.LIVE_MESSAGES.inc(message["kind"], "sent")
    return True


def announce(portfolio_ids: Collection[int]) -> None:
    """Say that pages look at these portfolios, for the next `WATCHED_SECONDS`. Never raises."""
    pipeline = client().pipeline(transaction=False)
    for each in portfolio_ids:
        pipeline.set(f"{_WATCHED}{each}", b"", px=int(1000 * WATCHED_SECONDS))
    # What is lost is said again in a few seconds; whoever is to learn it knows by itself that Valkey is away.
    with suppress(redis.RedisError):
        pipeline.execute()


def watched() -> set[int]:
    """Return the portfolios that some page looks at.

    Raises:
        redis.RedisError: Valkey does not answer.
    """
    return {int(key.removeprefix(_WATCHED.encode())) for key in client().scan_iter(f"{_WATCHED}*", count=1000)}


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
