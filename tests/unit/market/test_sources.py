from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from traceback import walk_tb

import pytest
from prometheus_client import CollectorRegistry

from tailwatch import metrics
from tailwatch.errors import (
    BadAnswerError,
    PriceSourceError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UnknownTickerError,
)
from tailwatch.market.sources import Bar, PriceHistory, SourceChain

NOW = datetime(2024, 3, 1, 22, tzinfo=UTC)
START = date(2023, 1, 1)


@dataclass
class Source:
    """A price source that fails as told and counts how often it was asked."""

    name: str
    failure: Callable[[str], PriceSourceError | None] = lambda _: None
    asked: list[str] = field(default_factory=list)

    def history(self, ticker: str, start: date, now: datetime) -> PriceHistory:
        self.asked.append(ticker)
        failure = self.failure(ticker)
        if failure is not None:
            raise failure
        bars = [Bar(now.date(), Decimal(10), Decimal(9))]
        return PriceHistory(ticker, self.name, "USD", None, start, bars)


def failing(*failures: PriceSourceError | None) -> Callable[[str], PriceSourceError | None]:
    """Fail with one after the other, then not at all."""
    to_come = list(failures)
    return lambda _: to_come.pop(0) if to_come else None


def always(failure: PriceSourceError) -> Callable[[str], PriceSourceError]:
    return lambda _: failure


def test_the_first_source_that_knows_the_ticker_serves_it() -> None:
    first, second = Source("first", always(UnknownTickerError())), Source("second")
    outcome = SourceChain([first, second]).fetch("KO", START, NOW)
    assert (outcome.status, outcome.reason, outcome.retry_after) == ("ok", None, None)
    assert outcome.history is not None
    assert outcome.history.source == "second"


def test_nobody_asks_further_than_needed() -> None:
    first, second = Source("first"), Source("second")
    SourceChain([first, second]).fetch("KO", START, NOW)
    assert (first.asked, second.asked) == (["KO"], [])


def test_unknown_is_what_every_source_says() -> None:
    unknown = always(UnknownTickerError())
    outcome = SourceChain([Source("yahoo", unknown), Source("sample", unknown)]).fetch("NOSUCH", START, NOW)
    assert (outcome.status, outcome.history) == ("unknown", None)
    assert outcome.reason == "No price source knows NOSUCH (asked: yahoo and sample)."


@pytest.mark.parametrize(
    "failure",
    [
        SourceRefusedError("Yahoo refused."),
        SourceTimeoutError("Yahoo was slow."),
        SourceUnreachableError("Yahoo was away."),
        BadAnswerError("Yahoo mumbled."),
    ],
)
def test_after_a_failure_the_next_source_serves_and_the_reason_stays(failure: PriceSourceError) -> None:
    served = SourceChain([Source("yahoo", always(failure)), Source("sample")]).fetch("KO", START, NOW)
    assert (served.status, served.reason) == ("ok", str(failure))
    unknown = Source("sample", always(UnknownTickerError()))
    failed = SourceChain([Source("yahoo", always(failure)), unknown]).fetch("KO", START, NOW)
    assert (failed.status, failed.history, failed.reason) == ("failed", None, str(failure))


@pytest.mark.parametrize("failure", [SourceRefusedError(), SourceUnreachableError()])
def test_a_source_that_is_away_or_refuses_is_asked_once_a_run(failure: PriceSourceError) -> None:
    yahoo, sample = Source("yahoo", always(failure)), Source("sample")
    chain = SourceChain([yahoo, sample])
    reasons = {chain.fetch(ticker, START, NOW).reason for ticker in ("KO", "PEP", "XOM")}
    assert (yahoo.asked, sample.asked) == (["KO"], ["KO", "PEP", "XOM"])
    assert reasons == {str(failure)}


def test_a_failure_told_of_a_thousand_tickers_does_not_grow() -> None:
    failure = SourceRefusedError()
    chain = SourceChain([Source("yahoo", always(failure))])
    for number in range(1000):
        chain.fetch(str(number), START, NOW)
    assert len(list(walk_tb(failure.__traceback__))) < 10


def test_two_timeouts_in_a_row_end_the_asking_and_one_does_not() -> None:
    slow = SourceTimeoutError()
    answers = failing(slow, BadAnswerError(), slow, None, slow, UnknownTickerError(), slow, slow)
    yahoo = Source("yahoo", answers)
    chain = SourceChain([yahoo])
    statuses = [chain.fetch(str(number), START, NOW).status for number in range(10)]
    assert len(yahoo.asked) == 8
    assert statuses == ["failed"] * 3 + ["ok", "failed", "unknown"] + ["failed"] * 4


def test_a_bad_answer_is_about_one_ticker_only() -> None:
    yahoo = Source("yahoo", failing(BadAnswerError()))
    chain = SourceChain([yahoo])
    assert [chain.fetch(ticker, START, NOW).status for ticker in ("KO", "PEP")] == ["failed", "ok"]


def test_the_longest_wait_that_a_source_asked_for_counts() -> None:
    first = Source("first", always(SourceRefusedError(retry_after_seconds=60)))
    second = Source("second", always(SourceRefusedError(retry_after_seconds=900)))
    outcome = SourceChain([first, second, Source("third")]).fetch("KO", START, NOW)
    assert outcome.retry_after == timedelta(seconds=900)


def test_ranks_follow_the_order_and_strangers_come_last() -> None:
    chain = SourceChain([Source("yahoo"), Source("sample")])
    assert [chain.rank(name) for name in ("yahoo", "sample", "gone", None)] == [0, 1, 2, 2]


def test_a_source_that_was_given_up_is_told_of_at_once_and_until_it_answers() -> None:
    registry = CollectorRegistry()
    for measure in metrics.ALL:
        measure.begin(registry)
    try:
        source = Source("yahoo", failing(SourceUnreachableError("No connection.")))

        def told() -> float | None:
            return registry.get_sample_value("tailwatch_provider_out_of_service", {"source": "yahoo"})

        SourceChain([source]).fetch("KO", START, NOW)
        assert told() == 1
        SourceChain([source]).fetch("KO", START, NOW)
        assert told() == 0
        counted = {"source": "yahoo", "outcome": "unreachable"}
        assert registry.get_sample_value("tailwatch_provider_requests_total", counted) == 1
    finally:
        metrics.stop()
