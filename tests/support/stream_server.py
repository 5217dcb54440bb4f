"""A server that speaks as Yahoo's stream of live prices does: JSON in, base64 of protobufs out."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve
from yfinance.pricing_pb2 import PricingData

PRE, REGULAR, POST = 0, 1, 2
HEARTBEAT, EQUITY, CURRENCY = 7, 8, 14


class StreamServer:
    """Sends what a test tells it to, to everybody who subscribed to it."""

    def __init__(self) -> None:
        self._followed: dict[ServerConnection, set[str]] = {}
        self._lock = threading.Lock()
        #: Connections that were ever made.
        self.connections = 0
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/?version=2"

    def start(self) -> None:
        """Listen: on any port at first, on the same one again after `stop`."""
        self._server = serve(self._serve, "127.0.0.1", self.port)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self.hang_up()
        self._thread.join(10)

    def hang_up(self) -> None:
        """End every connection without a word, as a network does that breaks."""
        with self._lock:
            connections = list(self._followed)
        for one in connections:
            one.socket.close()

    def _serve(self, connection: ServerConnection) -> None:
        with self._lock:
            self.connections += 1
            self._followed[connection] = set()
        with suppress(ConnectionClosed):
            for message in connection:
                asked = json.loads(message)
                with self._lock:
                    self._followed[connection] |= set(asked.get("subscribe", ()))
                    self._followed[connection] -= set(asked.get("unsubscribe", ()))
        with self._lock:
            del self._followed[connection]

    @property
    def followed(self) -> set[str]:
        """What somebody is subscribed to just now."""
        with self._lock:
            return set().union(*self._followed.values())

    @property
    def connected(self) -> int:
        with self._lock:
            return len(self._followed)

    def send(
        self,
        ticker: str,
        price: float,
        at: datetime,
        *,
        currency: str = "USD",
        hours: int = REGULAR,
        kind: int = EQUITY,
        to_all: bool = False,
    ) -> None:
        """Send a price to those who asked for it, or (a mistake of the server's) to everybody."""
        priced = PricingData(
            id=ticker,
            price=price,
            time=round(1000 * at.timestamp()),
            currency=currency,
            market_hours=hours,
            quote_type=kind,
        )
        frame = json.dumps(
            {"type": "pricing", "message": base64.b64encode(priced.SerializeToString()).decode("ascii")}
        )
        self.send_raw(frame, None if to_all else ticker)

    def send_raw(self, frame: str, ticker: str | None = None) -> None:
        with self._lock:
            receivers = [one for one, tickers in self._followed.items() if ticker is None or ticker in tickers]
        for one in receivers:
            with suppress(ConnectionClosed, OSError):
                one.send(frame)


@contextmanager
def stream_server() -> Iterator[StreamServer]:
    server = StreamServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
