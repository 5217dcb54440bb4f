"""What a price source is, and asking several in order.

A new source is one file with a class of this shape and a name in `PRICE_SOURCES`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, Protocol, runtime_checkable

from tailwatch import metrics
from tailwatch.errors import (
    BadAnswerError,
    OtherSymbolError,
    PriceSourceError,
    SourceBrokenError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)

#: Relative. Yahoo's adjusted closes differ from answer to answer in their seventh digit (yfinance issue 1871); even a
#: small dividend moves them a hundred times as much.
SAME_PRICE: Final = 1e-6
#: Failures in a row after which a source is left alone for the rest of a run; fewer may be those tickers' fault.
GIVEN_UP_AFTER: Final[Mapping[type[PriceSourceError], int]] = {
    SourceUnreachableError: 1,
    SourceRefusedError: 1,
    SourceTimeoutError: 2,
    SourceBrokenError: 5,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One finished session.

    Attributes:
        day: In the exchange's time zone.
        close: Adjusted for splits only.
        adjusted_close: Adjusted for splits and dividends.
        volume: Shares; None where the source has none.
        open: On the basis of `close`, as are `high` and `low`; None where the source has none.
    """

    day: date
    close: Decimal
    adjusted_close: Decimal
    volume: int | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None


@dataclass(frozen=True)
class PriceHistory:
    """Everything one source said about one ticker, on one basis of adjustment.

    Attributes:
        ticker: As asked for.
        source: The source's name.
        currency: As the source names it: USD, GBp.
        name: The instrument's, or None.
        since: Every finished session from this day on is in `bars`, as far as the source knows.
        bars: Days rising, one a day, at least one.
        splits: Day and new shares for one old share, back to the listing; None where the source knows no splits.
        labels: What the source knows of `tailwatch.market.instruments.LABEL_KINDS`.
        calendar: Of its exchange, as `tailwatch.market.calendars` names it; None where the source does not say.
        blank: Days that the source lists as sessions and gives no price of.
        partial: Only what is newer than a `Known` was asked for: neither bars nor splits before `since` are told of.
    """

    ticker: str
    source: str
    currency: str
    name: str | None
    since: date
    bars: Sequence[Bar]
    splits: Sequence[tuple[date, Decimal]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    calendar: str | None = None
    blank: Sequence[date] = ()
    partial: bool = False

    @property
    def missing(self) -> list[date]:
        """The days after the newest bar that the source gives no price of."""
        return [day for day in self.blank if day > self.bars[-1].day]


@dataclass(frozen=True)
class Known:
    """The newest stored bars of an instrument: what a fetch of only newer ones must agree with.

    Attributes:
        source: That they are from.
        currency: As that source named it.
        bars: Days rising, at least one.
    """

    source: str
    currency: str
    bars: Sequence[Bar]

    @property
    def since(self) -> date:
        """The first day that is asked for again."""
        return self.bars[0].day

    def is_continued_by(self, history: PriceHistory) -> bool:
        """Say whether a history repeats every known bar and tells of no split since.

        A split, a dividend, a restated or a withdrawn bar does not: then what is older may be other than it was, too.
        A day that the source goes on listing, without its price now, is not withdrawn.
        """
        if history.currency != self.currency or any(day > self.bars[-1].day for day, _ in history.splits or ()):
            return False
        told = {bar.day: bar for bar in history.bars}
        blank = set(history.blank) - {self.since}
        return all(bar.day in blank or (bar.day in told and _is_same(bar, told[bar.day])) for bar in self.bars)

    def is_told_by(self, closes: Mapping[date, float]) -> bool:
        """Say whether closes, by day, are those that are known: an answer is about this very instrument."""
        return all(
            bar.day in closes and abs(float(bar.close) - closes[bar.day]) <= SAME_PRICE * closes[bar.day]
            for bar in self.bars
        )


def is_same_price(price: Decimal, other: Decimal) -> bool:
    """Say whether two prices differ by no more than `SAME_PRICE`; what is no number is no price."""
    finite = price.is_finite() and other.is_finite()
    return finite and abs(float(price) - float(other)) <= SAME_PRICE * float(other)


def _is_same(bar: Bar, other: Bar) -> bool:
    return is_same_price(bar.close, other.close) and is_same_price(bar.adjusted_close, other.adjusted_close)


class PriceSource(Protocol):
    """Where prices come from."""

    @property
    def name(self) -> str:
        """What `PRICE_SOURCES`, instruments and bars call it."""

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the finished sessions of `ticker` from `start` on.

        Raises:
            UnknownTickerError: it does not know the ticker.
            SourceUnreachableError: no connection; SourceTimeoutError: no answer in time.
            SourceRefusedError: it answered that it will not answer now.
            BadAnswerError: its answer makes no sense.
        """


@runtime_checkable
class IncrementalSource(PriceSource, Protocol):
    """One that can be asked for the newest sessions alone, for less than everything costs."""

    def newest(self, ticker: str, since: date, now: datetime) -> PriceHistory:
        """Return the finished sessions from `since` on, and the splits from then on; fails as `history` does."""


@dataclass(frozen=True)
class Outcome:
    """What came of asking for one ticker.

    Attributes:
        status: ok, unknown (every source answered, and none knows it) or failed.
        history: With ok only.
        reason: A sentence: why it is not ok, or why an earlier source did not serve it; None if the first did.
        retry_after: With a reason that may pass: no sooner than this; None where no source gave a time.
    """

    status: Literal["ok", "unknown", "failed"]
    history: PriceHistory | None
    reason: str | None
    retry_after: timedelta | None = None


@dataclass
class SourceChain:
    """Sources in order, for one run: the first that knows a ticker serves it. Threads may share it.

    A source that cannot be reached, refuses, lets two tickers in a row wait for nothing or breaks at five is not
    asked again in this run, so that a machine without a network waits once and not once a ticker.

    Attributes:
        sources: In order.
        out_of_service: Those that are not asked (any more), by name, and why. Some may be known from the start.
    """

    sources: Sequence[PriceSource]
    out_of_service: dict[str, PriceSourceError] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)
    _given_up: dict[str, PriceSourceError] = field(default_factory=dict)
    _learning: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, ticker: str, start: date, now: datetime, known: Known | None = None) -> Outcome:
        """Ask for one ticker; never raises a `PriceSourceError`.

        Args:
            ticker: Which.
            start: The first day of a whole history.
            now: What is not finished then is left out.
            known: What is stored of it. Its source is asked for what is newer, and for the whole history only if
                the answer is no continuation.
        """
        failures: list[PriceSourceError] = []
        for source in self.sources:
            try:
                history = self._ask(source, ticker, start, now, known)
            except UnknownTickerError:
                continue
            except PriceSourceError as error:
                failures.append(error)
                continue
            return Outcome("ok", history, _sentences(failures), _retry_after(failures))
        if failures:
            return Outcome("failed", None, _sentences(failures), _retry_after(failures))
        asked = " and ".join(source.name for source in self.sources)
        return Outcome("unknown", None, f"No price source knows {ticker} (asked: {asked}).")

    def take_news(self) -> tuple[set[str], dict[str, PriceSourceError]]:
        """Return the sources that answered since the last call, and those that were given up, with the reason."""
        with self._learning:
            news = self._answered - self._given_up.keys(), self._given_up
            self._answered, self._given_up = set(), {}
        return news

    def rank(self, source: str | None) -> int:
        """Return how early `source` stands in the order; an unknown name comes after all."""
        names = [each.name for each in self.sources]
        return names.index(source) if source in names else len(names)

    def _ask(self, source: PriceSource, ticker: str, start: date, now: datetime, known: Known | None) -> PriceHistory:
        name = source.name
        if name in self.out_of_service:
            metrics.PROVIDER_OUT.set(1.0, name)
            # Its traceback would grow with every ticker.
            raise self.out_of_service[name].with_traceback(None)
        try:
            history = _newest(source, ticker, now, known) or _measured(
                name, lambda: source.history(ticker, start, now)
            )
        except OtherSymbolError as error:
            self._learn(name, error)
            raise _renamed(source, ticker, known, error) from error
        except PriceSourceError as error:
            self._learn(name, error)
            raise
        finally:
            metrics.PROVIDER_OUT.set(float(name in self.out_of_service), name)
        self._learn(name, None)
        return history

    def _learn(self, name: str, error: PriceSourceError | None) -> None:
        """Note what a question says about the source itself; None: it had an answer."""
        limit = None if error is None else GIVEN_UP_AFTER.get(type(error))
        with self._learning:
            if error is None or limit is None:
                self._failures[name] = 0
                self._answered.add(name)
                return
            self._failures[name] = self._failures.get(name, 0) + 1
            if self._failures[name] >= limit:
                self.out_of_service[name] = self._given_up[name] = error


def _renamed(source: PriceSource, ticker: str, known: Known | None, error: OtherSymbolError) -> BadAnswerError:
    """Return the failure with what to do, where the answer is about the same instrument under a new symbol."""
    if known is None or known.source != source.name or not error.symbol or not known.is_told_by(error.closes):
        return error
    return OtherSymbolError(
        f"The source {source.name} calls {ticker} {error.symbol} now: the prices are those that are stored of it. To "
        f'follow, for all portfolios, run "tailwatch prices rename {ticker} {error.symbol}".',
        error.symbol,
        error.closes,
    )


def _newest(source: PriceSource, ticker: str, now: datetime, known: Known | None) -> PriceHistory | None:
    """Return what is newer than what is known; None: the whole history must be asked for."""
    if known is None or known.source != source.name or not isinstance(source, IncrementalSource):
        return None
    newest = _measured(source.name, lambda: source.newest(ticker, known.since, now))
    # Labels were taken with the whole history, which comes again every month.
    return replace(newest, partial=True, labels={}) if known.is_continued_by(newest) else None


def _measured(name: str, ask: Callable[[], PriceHistory]) -> PriceHistory:
    """Ask, and count what came of it."""
    begun = time.perf_counter()
    outcome = "ok"
    try:
        return ask()
    except PriceSourceError as error:
        outcome = next((word for kind, word in _OUTCOMES.items() if isinstance(error, kind)), "failed")
        raise
    except Exception:
        outcome = "broken"
        raise
    finally:
        metrics.PROVIDER_REQUESTS.inc(name, outcome)
        metrics.PROVIDER_SECONDS.observe(time.perf_counter() - begun, name)


_OUTCOMES: Final[dict[type[PriceSourceError], str]] = {
    UnknownTickerError: "unknown",
    # before what it is a kind of
    SourceTimeoutError: "timeout",
    SourceUnreachableError: "unreachable",
    SourceRefusedError: "refused",
    BadAnswerError: "bad_answer",
}


def _sentences(failures: Sequence[PriceSourceError]) -> str | None:
    return " ".join(str(failure) for failure in failures) or None


def _retry_after(failures: Sequence[PriceSourceError]) -> timedelta | None:
    seconds = [f.retry_after_seconds for f in failures if isinstance(f, SourceRefusedError) and f.retry_after_seconds]
    return timedelta(seconds=max(seconds)) if seconds else None
