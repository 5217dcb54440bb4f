"""Yahoo's stream of live prices, through yfinance's own WebSocket client.

How yfinance 1.7 works, as far as this file rests on it: `AsyncWebSocket` connects on the first `subscribe`, keeps the
set of subscriptions in `_subscriptions`, the connection in `_ws`, sends the whole set again every 15 s from
`_heartbeat_task`, and turns one message (base64 of a protobuf) into a dictionary with `_decode_message`, which leaves
out whatever is zero. Its `listen` is not used: it spins without end on a connection that was closed in order, and one
broken frame ends it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]
from websockets.exceptions import WebSocketException
from yfinance import AsyncWebSocket
from yfinance.config import YfConfig

from tailwatch.errors import BadAnswerError, SourceUnreachableError
from tailwatch.market.ticks import Session, Tick

URL: Final = "wss://streamer.finance.yahoo.com/?version=2"
#: Yahoo's prices are single-precision floats.
_SIGNIFICANT_DIGITS: Final = 7
_HEARTBEAT: Final = 7
#: Currencies, futures and cryptocurrencies: traded around the clock, whatever the flag says.
_ALWAYS_OPEN: Final = frozenset({14, 18, 41})
_SESSIONS: Final[Mapping[int, Session]] = {0: "pre", 1: "regular", 2: "post", 3: "extended", 4: "extended"}

# Raise instead of logging and handing out half an answer.
YfConfig.debug.hide_exceptions = False


class QuoteStream(AsyncWebSocket):  # type: ignore[misc]
    """One connection. Made anew after each failure: whoever uses it decides when to try again."""

    def __init__(self, url: str | None = None) -> None:
        """Prepare a connection to `url`, or to Yahoo; nothing is sent yet."""
        super().__init__(url or URL, verbose=False)

    async def follow(self, tickers: Collection[str]) -> None:
        """Have the prices of exactly these sent from now on.

        Raises:
            SourceUnreachableError: the connection could not be made, or is gone.
        """
        try:
            gone = sorted(self._subscriptions - set(tickers))
            if gone:
                await self.unsubscribe(gone)
            new = sorted(set(tickers) - self._subscriptions)
            if new:
                await self.subscribe(new)
        except (OSError, WebSocketException) as error:
            raise _unreachable(error) from error

    async def frames(self) -> AsyncIterator[str | bytes]:
        """Yield what comes, until the other end closes the connection in order.

        Raises:
            SourceUnreachableError: the connection broke.
        """
        try:
            async for frame in self._ws:
                yield frame
        except (OSError, WebSocketException) as error:
            raise _unreachable(error) from error

    def read(self, frame: str | bytes) -> Tick | None:
        """Return the tick in a frame; None: it is a sign of life.

        Raises:
            BadAnswerError: it is none of both.
        """
        try:
            said = self._decode_message(json.loads(frame)["message"])
        except (ValueError, LookupError, TypeError, DecodeError) as error:
            raise BadAnswerError(f"A frame of the stream could not be read ({type(error).__name__}).") from error
        return tick_of(said)

    async def close(self) -> None:
        """End the connection, and the task that keeps its subscriptions alive."""
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
            await asyncio.gather(self._heartbeat_task, return_exceptions=True)
        if self._ws is not None:
            await self._ws.close()


def tick_of(said: Mapping[str, Any]) -> Tick | None:
    """Return the tick that a decoded message is; None: a sign of life.

    Raises:
        BadAnswerError: it has no symbol, no price above zero or no time.
    """
    kind = said.get("quote_type", 0)
    if kind == _HEARTBEAT:
        return None
    ticker, price = said.get("id"), said.get("price")
    # A float that is no number comes as the word for it.
    if not isinstance(ticker, str) or not isinstance(price, float) or price <= 0:
        raise BadAnswerError("A message of the stream has no symbol or no price.")
    try:
        at = datetime.fromtimestamp(int(said["time"]) / 1000, UTC)
    except (KeyError, ValueError, OverflowError, OSError) as error:
        raise BadAnswerError(f"A price of {ticker} came without a time.") from error
    session = "regular" if kind in _ALWAYS_OPEN else _SESSIONS.get(said.get("market_hours", 0), "extended")
    return Tick(ticker.upper(), Decimal(f"{price:.{_SIGNIFICANT_DIGITS}g}"), said.get("currency"), at, session)


def _unreachable(error: Exception) -> SourceUnreachableError:
    return SourceUnreachableError(f"Yahoo's stream of prices is not connected ({error or type(error).__name__}).")
