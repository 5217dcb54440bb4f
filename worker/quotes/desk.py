"""Open portfolios, their prices and their pages, brought together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import redis
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from tailwatch import live, metrics
from tailwatch.market.ticks import Close, Tick
from tailwatch.measurement.loading import load_with
from tailwatch.measurement.revaluing import Revaluing
from worker.quotes.feed import Feed
from worker.quotes.message import compose, feed_state, quotes_of
from worker.quotes.pace import Pace
from worker.quotes.ticks import SHOWN, Quote, Quotes

#: How often is asked which portfolios are open, and whether they have new snapshots.
LOOK_SECONDS: Final = 0.5
#: The whole state is sent again after this long, for pages that were opened since.
KEEPALIVE_SECONDS: Final = 5.0
#: After a message that Valkey did not take.
PAUSE_SECONDS: Final = 1.0
#: How often is asked which markets are open.
HOURS_SECONDS: Final = 30.0

_NEWEST: Final = text(
    """
    SELECT p.id, s.id AS snapshot_id, s.revision, s.market_revision,
           (p.revision, p.market_revision) = (s.revision, s.market_revision) AS is_current
    FROM portfolios p JOIN risk_snapshots s ON s.id = p.snapshot_id WHERE p.id = ANY(:ids)
    """
)

_CALENDARS: Final = text("SELECT DISTINCT calendar FROM instruments WHERE id = ANY(:ids) AND calendar IS NOT NULL")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Newest:
    """The newest snapshot of a portfolio, and the revisions it was computed from.

    Without `is_current` something has changed since, and a newer one comes.
    """

    snapshot_id: int
    revision: int
    market_revision: int
    is_current: bool


@dataclass(frozen=True)
class Open:
    """A portfolio that some page looks at, as its newest snapshot has it."""

    snapshot_id: int
    revaluing: Revaluing
    #: Of the markets of its positions, as far as known.
    calendars: frozenset[str]


class Desk:
    """Keeps the open portfolios, and tells their pages what they are worth."""

    def __init__(self, engine: Engine, url: str | None, per_second: float, health_dir: Path | None) -> None:
        """Begin without portfolios.

        Args:
            engine: Of the database.
            url: Of another stream than Yahoo's.
            per_second: News of one portfolio at most.
            health_dir: Where a file `quotes` is touched at every round.
        """
        self._engine = engine
        self._feed = Feed(url, self._take, self._tell_all)
        self._quotes = Quotes()
        self._pace = Pace(per_second, KEEPALIVE_SECONDS)
        self._open: dict[int, Open] = {}
        self._watchers: dict[str, set[int]] = {}
        self._news = asyncio.Event()
        #: When the newest price came that a portfolio's page was not told yet.
        self._arrived: dict[int, float] = {}
        self._health_dir = health_dir
        self._answered = time.monotonic()
        self._watched: set[int] = set()
        #: Whether the market of each calendar is open.
        self._hours: dict[str, bool] = {}
        self._failing = False

    async def run(self) -> None:
        """Work until it is cancelled."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._feed.run())
            parts.create_task(self._look_for_ever())
            parts.create_task(self._tell_for_ever())
            parts.create_task(self._ask_hours_for_ever())

    # --- prices ---

    def _take(self, tick: Tick) -> None:
        now = time.time()
        outcome = self._quotes.take(tick, now)
        metrics.QUOTE_TICKS.inc(outcome)
        if outcome == "suspicious":
            log.warning("a live price is far from the last close; it does not count", ticker=tick.ticker)
        if outcome not in SHOWN:
            return
        for portfolio_id in self._watchers.get(tick.ticker, ()):
            self._pace.touch(portfolio_id)
            self._arrived[portfolio_id] = now
            self._news.set()

    def _tell_all(self) -> None:
        """Tell all pages how the stream is."""
        for portfolio_id in self._open:
            self._pace.touch(portfolio_id)
        self._news.set()

    # --- portfolios ---

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self._look()
                self._failing = False
            except SQLAlchemyError as error:
                if not self._failing:
                    log.warning("the database does not answer; trying again", error=str(error).splitlines()[0])
                self._failing = True
            if self._health_dir is not None:
                (self._health_dir / "quotes").touch()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        """Open what pages have come to look at, load anew what has a new snapshot, and close the rest."""
        watched = await self._who_is_watched()
        newest = await asyncio.to_thread(_newest, self._engine, watched)
        behind = [
            each for each, one in newest.items() if one.is_current and self._snapshot_of(each) != one.snapshot_id
        ]
        gone = self._open.keys() - newest.keys()
        for portfolio_id in gone:
            del self._open[portfolio_id]
            self._arrived.pop(portfolio_id, None)
            self._pace.forget(portfolio_id)
        changed = bool(gone)
        for portfolio_id in behind:
            opened = await asyncio.to_thread(_load, self._engine, portfolio_id, newest[portfolio_id])
            if opened is not None:
                self._open[portfolio_id] = opened
                self._pace.touch(portfolio_id)
                changed = True
        if changed:
            self._follow()

    def _snapshot_of(self, portfolio_id: int) -> int | None:
        opened = self._open.get(portfolio_id)
        return None if opened is None else opened.snapshot_id

    async def _who_is_watched(self) -> set[int]:
        """Return the portfolios that pages look at; while Valkey is away, those that lately were."""
        try:
            self._watched = await asyncio.to_thread(live.watched)
            self._answered = time.monotonic()
        except redis.RedisError:
            if time.monotonic() - self._answered > live.WATCHED_SECONDS:
                self._watched = set()
        return self._watched

    def _follow(self) -> None:
        """Follow the prices of what is open, and of nothing else."""
        closes: dict[str, Close] = {}
        watchers: dict[str, set[int]] = {}
        for portfolio_id, opened in self._open.items():
            for ticker, close in opened.revaluing.closes.items():
                watchers.setdefault(ticker, set()).add(portfolio_id)
                # Two that were loaded at different times: the newer close says more.
                if ticker not in closes or close.day > closes[ticker].day:
                    closes[ticker] = close
        self._watchers = watchers
        self._quotes.hold_against(closes)
        self._feed.want(closes.keys())
        metrics.QUOTE_PORTFOLIOS.set(len(self._open))
        log.info("live prices are followed", portfolios=len(self._open), tickers=len(closes))
        self._news.set()

    async def _ask_hours_for_ever(self) -> None:
        while True:
            names = frozenset[str]().union(*(one.calendars for one in self._open.values()))
            if names:
                self._hours = await asyncio.to_thread(_open_now, names)
            await asyncio.sleep(HOURS_SECONDS if names else LOOK_SECONDS)

    def _is_open(self, opened: Open, known: Collection[Quote]) -> bool | None:
        """Say whether one of the markets of a portfolio is open: by its calendars, or else by the last prices."""
        answers = [self._hours[each] for each in opened.calendars if each in self._hours]
        if answers:
            return any(answers)
        # The last price of a day's regular hours looks like any other.
        return None if not known or any(one.newest.session == "regular" for one in known) else False

    # --- pages ---

    async def _tell_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            for portfolio_id in self._pace.due(loop.time()):
                opened = self._open.get(portfolio_id)
                if opened is None:
                    self._pace.forget(portfolio_id)
                    continue
                self._pace.sent(portfolio_id, loop.time())
                if not await self._tell(opened):
                    await asyncio.sleep(PAUSE_SECONDS)
            try:
                async with asyncio.timeout_at(self._pace.next()):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _tell(self, opened: Open) -> bool:
        """Tell the pages of a portfolio what it is worth; return whether Valkey took it."""
        now = time.time()
        known = quotes_of(opened.revaluing, self._quotes)
        state = feed_state(
            known,
            connected_since=self._feed.connected_since,
            problem=self._feed.problem,
            is_open=self._is_open(opened, known),
            now=now,
        )
        message = compose(opened.revaluing, opened.snapshot_id, self._quotes, state, datetime.fromtimestamp(now, UTC))
        message["timing"]["published"] = time.time()
        arrived = self._arrived.pop(message["portfolio_id"], None)
        taken = await asyncio.to_thread(live.publish, message)
        if arrived is not None:
            metrics.QUOTE_SECONDS.observe(time.time() - arrived)
        return taken


def _newest(engine: Engine, portfolio_ids: Collection[int]) -> Mapping[int, Newest]:
    if not portfolio_ids:
        return {}
    with engine.connect() as connection:
        rows = connection.execute(_NEWEST, {"ids": list(portfolio_ids)})
        return {each: Newest(*newest) for each, *newest in rows}


def _load(engine: Engine, portfolio_id: int, newest: Newest) -> Open | None:
    """Return a portfolio as its newest snapshot has it; None where something has changed since."""
    found = load_with(engine, portfolio_id, ())
    if found is None:
        return None
    loaded, _ = found
    if (loaded.revision, loaded.market_revision) != (newest.revision, newest.market_revision):
        return None
    with engine.connect() as connection:
        calendars = connection.scalars(_CALENDARS, {"ids": [one.instrument_id for one in loaded.holdings]}).all()
    return Open(newest.snapshot_id, Revaluing(loaded, datetime.now(UTC).date()), frozenset(calendars))


def _open_now(calendars: Collection[str]) -> dict[str, bool]:
    # The calendars come with pandas: only once somebody looks, and beside the event loop.
    from worker.quotes.hours import open_now  # noqa: PLC0415 - see above

    return open_now(calendars, datetime.now(UTC))
