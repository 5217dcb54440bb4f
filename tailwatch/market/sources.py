"""What a price source is, and asking several in order.

A new source is one file with a class of this shape and a name in `PRICE_SOURCES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol

from tailwatch.errors import PriceSourceError, SourceRefusedError, SourceUnreachableError, UnknownTickerError


@dataclass(frozen=True, slots=True)
class Bar:
    """One finished session.

    Attributes:
        day: In the exchange's time zone.
        close: Adjusted for splits only.
        adjusted_close: Adjusted for splits and dividends.
        volume: Shares; None where the source has none.
    """

    day: date
    close: Decimal
    adjusted_close: Decimal
    volume: int | None = None


@dataclass(frozen=True)
class PriceHistory:
    """Everything one source said about one ticker.

    Attributes:
        ticker: As asked for.
        source: The source's name.
        currency: As the source names it: USD, GBp.
        name: The instrument's, or None.
        bars: Days rising, one a day, at least one.
        splits: Day and new shares for one old share.
    """

    ticker: str
    source: str
    currency: str
    name: str | None
    bars: Sequence[Bar]
    splits: Sequence[tuple[date, Decimal]] = ()


class PriceSource(Protocol):
    """Where prices come from."""

    @property
    def name(self) -> str:
        """What `PRICE_SOURCES`, instruments and bars call it."""

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        """Return the finished sessions of `ticker` from `start` on.

        Raises:
            UnknownTickerError: it does not know the ticker.
            SourceUnreachableError: no connection, or no answer in time.
            SourceRefusedError: it answered that it will not answer now.
            BadAnswerError: its answer makes no sense.
        """


@dataclass(frozen=True)
class Outcome:
    """What came of asking for one ticker.

    Attributes:
        status: ok, unknown (every source that answered says so, and all did) or failed.
        history: With ok only.
        reason: A sentence: why it is not ok, or why an earlier source did not serve it.
        retry_after: With a reason that may pass: no sooner than this; None where a source gave no time.
    """

    status: Literal["ok", "unknown", "failed"]
    history: PriceHistory | None
    reason: str | None
    retry_after: timedelta | None = None


@dataclass
class SourceChain:
    """Sources in order, for one run: the first that knows a ticker serves it.

    A source that cannot be reached or refuses is not asked again in this run, so that a machine without a network
    waits once and not once a ticker.
    """

    sources: Sequence[PriceSource]
    _out_of_service: dict[str, PriceSourceError] = field(default_factory=dict)

    def fetch(self, ticker: str, start: date, now: datetime) -> Outcome:
        """Ask for one ticker; never raises a `PriceSourceError`."""
        failures: list[PriceSourceError] = []
        for source in self.sources:
            if source.name in self._out_of_service:
                failures.append(self._out_of_service[source.name])
                continue
            try:
                history = source.history(ticker, start, now)
            except UnknownTickerError:
                continue
            except PriceSourceError as error:
                if isinstance(error, SourceUnreachableError | SourceRefusedError):
                    self._out_of_service[source.name] = error
                failures.append(error)
                continue
            return Outcome("ok", history, _sentence(failures), _retry_after(failures))
        if failures:
            return Outcome("failed", None, _sentence(failures), _retry_after(failures))
        asked = " and ".join(source.name for source in self.sources)
        return Outcome("unknown", None, f"No price source knows {ticker} (asked: {asked}). Is it spelt right?")

    def rank(self, source: str | None) -> int:
        """Return how early `source` stands in the order; an unknown name comes after all."""
        names = [each.name for each in self.sources]
        return names.index(source) if source in names else len(names)


def _sentence(failures: Sequence[PriceSourceError]) -> str | None:
    return " ".join(str(failure) for failure in failures) or None


def _retry_after(failures: Sequence[PriceSourceError]) -> timedelta | None:
    seconds = [f.retry_after_seconds for f in failures if isinstance(f, SourceRefusedError) and f.retry_after_seconds]
    return timedelta(seconds=max(seconds)) if seconds else None
