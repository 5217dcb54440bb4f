"""What a price source is, and asking several in order.

A new source is one file with a class of this shape and a name in `PRICE_SOURCES`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, Protocol

from tailwatch import metrics
from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)

#: Time-outs in a row after which a source is left alone for the rest of a run: one may be that ticker's fault.
TIMEOUTS_TO_GIVE_UP: Final = 2


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
    """

    ticker: str
    source: str
    currency: str
    name: str | None
    since: date
    bars: Sequence[Bar]
    splits: Sequence[tuple[date, Decimal]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


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
    """Sources in order, for one run: the first that knows a ticker serves it.

    A source that cannot be reached, refuses, or lets two tickers in a row wait for nothing is not asked again in
    this run, so that a machine without a network waits once and not once a ticker.
    """

    sources: Sequence[PriceSource]
    _out_of_service: dict[str, PriceSourceError] = field(default_factory=dict)
    _timeouts: dict[str, int] = field(default_factory=dict)

    def fetch(self, ticker: str, start: date, now: datetime) -> Outcome:
        """Ask for one ticker; never raises a `PriceSourceError`."""
        failures: list[PriceSourceError] = []
        for source in self.sources:
            try:
                history = self._ask(source, ticker, start, now)
            except UnknownTickerError:
                continue
            except PriceSourceError as error:
                failures.append(error)
                continue
            return Outcome("ok", history, _sentences(failures), _retry_after(failures))
        if failures:
            return Outcome("failed", None, _sentences(failures), _retry_after(failures))
        asked = " and ".join(source.name for source in self.sources)
        return Outcome("unknown", None, f"No price source knows {ticker} (asked: {asked}). Is it spelt right?")

    def rank(self, source: str | None) -> int:
        """Return how early `source` stands in the order; an unknown name comes after all."""
        names = [each.name for each in self.sources]
        return names.index(source) if source in names else len(names)

    def _ask(self, source: PriceSource, ticker: str, start: date, now: datetime) -> PriceHistory:
        if source.name in self._out_of_service:
            # Its traceback would grow with every ticker.
            raise self._out_of_service[source.name].with_traceback(None)
        try:
            history = _measured(source, ticker, start, now)
        except SourceTimeoutError as error:
            self._timeouts[source.name] = self._timeouts.get(source.name, 0) + 1
            if self._timeouts[source.name] >= TIMEOUTS_TO_GIVE_UP:
                self._out_of_service[source.name] = error
            raise
        except (SourceUnreachableError, SourceRefusedError) as error:
            self._out_of_service[source.name] = error
            raise
        except PriceSourceError:
            # It answered.
            self._timeouts[source.name] = 0
            raise
        finally:
            metrics.PROVIDER_OUT.set(float(source.name in self._out_of_service), source.name)
        self._timeouts[source.name] = 0
        return history


def _measured(source: PriceSource, ticker: str, start: date, now: datetime) -> PriceHistory:
    """Ask, and count what came of it."""
    begun = time.perf_counter()
    outcome = "ok"
    try:
        return source.history(ticker, start, now)
    except PriceSourceError as error:
        outcome = _OUTCOMES.get(type(error), "failed")
        raise
    except Exception:
        outcome = "broken"
        raise
    finally:
        metrics.PROVIDER_REQUESTS.inc(source.name, outcome)
        metrics.PROVIDER_SECONDS.observe(time.perf_counter() - begun, source.name)


_OUTCOMES: Final[dict[type[PriceSourceError], str]] = {
    UnknownTickerError: "unknown",
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
