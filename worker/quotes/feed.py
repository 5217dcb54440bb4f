"""The connection to the stream: there while somebody looks at anything, and made again whenever it is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Final

import structlog

from tailwatch import metrics
from tailwatch.errors import BadAnswerError, SourceUnreachableError
from tailwatch.market.ticks import Tick

if TYPE_CHECKING:
    from tailwatch.market.yahoo.stream import QuoteStream

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 60.0

log = structlog.get_logger(__name__)


class Backoff:
    """How long to wait before the next attempt: twice as long each time, less a random part of up to half.

    The random part keeps many installations from coming back at the same moment.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        """Begin with the shortest; `chance` gives numbers from 0 to 1."""
        self._chance = chance
        self._failures = 0

    def reset(self) -> None:
        """Note that it works again."""
        self._failures = 0

    def wait(self) -> float:
        """Return seconds to wait after one more failure."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0**self._failures)
        # Beyond the longest wait the count says nothing.
        self._failures = min(self._failures + 1, 16)
        return longest * (1 - self._chance() / 2)


class Feed:
    """Hands every tick of the tickers that are wanted to `take`."""

    def __init__(self, url: str | None, take: Callable[[Tick], None], changed: Callable[[], None]) -> None:
        """Prepare; `run` does the work.

        Args:
            url: Of another server than Yahoo's that speaks the same, for tests.
            take: Called with each tick, in the event loop.
            changed: Called when the connection is there, and when it is not any more.
        """
        self._url = url
        self._take = take
        self._changed = changed
        self._wanted: frozenset[str] = frozenset()
        self._news = asyncio.Event()
        self._backoff = Backoff()
        #: Since when, epoch seconds; None: it is not.
        self.connected_since: float | None = None
        #: Why not, in words.
        self.problem: str | None = None

    def want(self, tickers: Collection[str]) -> None:
        """Have the ticks of exactly these from now on; none of any closes the connection."""
        if frozenset(tickers) != self._wanted:
            self._wanted = frozenset(tickers)
            self._news.set()

    async def run(self) -> None:
        """Stay connected while anything is wanted, for ever."""
        while True:
            if not self._wanted:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                await self._connection()
            except SourceUnreachableError as error:
                self.problem = str(error)
                self._changed()
                metrics.QUOTE_CONNECTIONS.inc("failed")
                seconds = self._backoff.wait()
                log.warning("the stream of prices is lost; trying again", error=str(error), seconds=round(seconds, 2))
                await asyncio.sleep(seconds)

    async def _connection(self) -> None:
        """Connect, and hand over what comes until nothing is wanted any more.

        Raises:
            SourceUnreachableError: the connection could not be made, broke, or was closed by the other end.
        """
        stream = await asyncio.to_thread(_new_stream, self._url)
        if not self._wanted:
            return
        try:
            # Before the subscriptions are sent: what changes meanwhile is seen in `_subscribing`.
            self._news.clear()
            await stream.follow(self._wanted)
            self.connected_since, self.problem = time.time(), None
            metrics.QUOTE_CONNECTIONS.inc("made")
            metrics.QUOTE_FEED.set(1)
            self._changed()
            log.info("the stream of prices is connected", tickers=len(self._wanted))
            await self._until_first(self._reading(stream), self._subscribing(stream))
        finally:
            self.connected_since = None
            metrics.QUOTE_FEED.set(0)
            await stream.close()

    async def _until_first(self, *parts: Coroutine[object, object, None]) -> None:
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _reading(self, stream: QuoteStream) -> None:
        async for frame in stream.frames():
            self._backoff.reset()
            try:
                tick = stream.read(frame)
            except BadAnswerError as error:
                metrics.QUOTE_TICKS.inc("bad_frame")
                log.debug("a frame of the stream was skipped", error=str(error))
                continue
            if tick is not None:
                self._take(tick)
        raise SourceUnreachableError("Yahoo's stream of prices was closed by its other end.")

    async def _subscribing(self, stream: QuoteStream) -> None:
        """Keep the subscriptions to what is wanted; return when that is nothing."""
        while self._wanted:
            await self._news.wait()
            self._news.clear()
            await stream.follow(self._wanted)
        log.info("nobody looks at a price; the stream is closed")


def _new_stream(url: str | None) -> QuoteStream:
    # yfinance, with pandas, costs a second and 100 MB: only once somebody looks, and beside the event loop.
    from tailwatch.market.yahoo.stream import QuoteStream  # noqa: PLC0415 - see above

    return QuoteStream(url)
