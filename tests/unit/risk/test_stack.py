"""Portfolios that are computed side by side, on a sample of more than they hold, come out as each does alone."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import Method, PriceSeries, RiskInputs, RiskSettings, Sample, align, measure, to_json_dict
from tailwatch.risk.episodes import EPISODES, EpisodeReturns, episode_returns
from tailwatch.risk.explain import Book, Case, explain, explain_all, standings
from tailwatch.risk.report import measure_all
from tailwatch.risk.stress import stress, stress_all
from tests.support.risk_samples import prices_of

NAMES = 9
DAYS = 1500
#: Back to the first of the episodes of stress; the last but one name begins in the middle of them.
SESSIONS = np.busday_offset(np.datetime64("1998-01-02"), np.arange(6200), roll="forward")
AS_OF: date = SESSIONS[-1].astype(object)


def histories() -> list[PriceSeries]:
    chance = np.random.default_rng(11)
    market = chance.standard_t(5, SESSIONS.size - 1) * 0.006
    found = []
    for number in range(NAMES + 1):
        own = chance.standard_t(5, SESSIONS.size - 1) * 0.008 * (number > 0)
        first = 3000 if number == NAMES - 1 else 0
        closes = prices_of(np.clip(market * (1 + number / 10) + own, -0.3, 0.3))
        found.append(PriceSeries(f"N{number}", SESSIONS[first:], closes[first:]))
    return found


SERIES = histories()
MARKET = SERIES[0]
WIDE = align(SERIES[1:], benchmark=MARKET)
WIDE_THEN = align([PriceSeries(one.ticker, one.dates[:-1], one.closes[:-1]) for one in SERIES[1:]], benchmark=MARKET)
EPISODES_OF_ALL = episode_returns(SERIES[1:], MARKET)

amounts = st.one_of(st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1), st.sampled_from([1e3, -1e3, 5e5]))
books = st.dictionaries(st.integers(1, NAMES), amounts, max_size=NAMES)
methods = st.sampled_from(list(Method))


def given_to(book: dict[int, float], sample: Sample, method: Method) -> RiskInputs:
    values = {f"N{number}": value for number, value in book.items()}
    gross = sum(map(abs, values.values()))
    return RiskInputs(
        sample, values, AS_OF, RiskSettings(method), 1.5 * gross, labels={"sector": dict.fromkeys(values, "All")}
    )


def own_sample(book: dict[int, float]) -> Sample:
    """Return the sample of a portfolio's own, whose columns lie as they do in the wide one: by ticker."""
    return align([SERIES[number] for number in sorted(book)], benchmark=MARKET)


def episodes_of(book: dict[int, float], sample: Sample) -> tuple[EpisodeReturns, ...]:
    return episode_returns([SERIES[int(ticker[1:])] for ticker in sample.tickers], MARKET)


@given(st.lists(st.tuples(books, methods), min_size=1, max_size=6))
def test_side_by_side_on_a_wide_sample_is_alone_on_its_own_to_the_last_bit(
    portfolios: list[tuple[dict[int, float], Method]],
) -> None:
    together = [given_to(book, WIDE, method) for book, method in portfolios]
    reports = measure_all(together)
    stressed = stress_all(together, reports, EPISODES_OF_ALL)
    for (book, method), report, found in zip(portfolios, reports, stressed, strict=True):
        own = given_to(book, own_sample(book), method)
        alone = measure(own)
        said, expected = to_json_dict(report), to_json_dict(alone)
        if not book:
            # There is no sample of nothing: neither days nor a benchmark.
            for one in (said, expected):
                del one["coverage"]["observations"], one["benchmark"]
        assert said == expected
        if book:
            assert found == stress(own, alone, episodes_of(book, own.sample))


@given(st.lists(st.tuples(books, books, methods), min_size=1, max_size=5))
def test_explanations_side_by_side_are_those_alone(
    portfolios: list[tuple[dict[int, float], dict[int, float], Method]],
) -> None:
    def case(then: dict[int, float], now: dict[int, float], method: Method) -> Case:
        settings = RiskSettings(method)
        traded, current = (Book({f"N{n}": v for n, v in one.items()}, 1e7) for one in (then, now))
        before, after = standings([(traded, WIDE_THEN, settings), (current, WIDE, settings)])
        return Case(before, after, before, traded, current, WIDE_THEN, WIDE, settings)

    cases = [case(*one) for one in portfolios]
    assert explain_all(cases) == [explain(one) for one in cases]


def test_the_samples_of_the_tests_are_what_they_claim() -> None:
    assert WIDE.tickers == tuple(one.ticker for one in SERIES[1:])
    assert len(WIDE.filtered) == 1000
    # One name has no history in some of the episodes: stress rests on its beta.
    known = [one.known.all() for one in EPISODES_OF_ALL]
    assert any(known)
    assert not all(known)
    assert len(known) == len(EPISODES)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_many_more_than_fit_a_cache_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    inputs = [given_to({1: 1e3 + number, 2: -5e2}, WIDE, Method.FILTERED) for number in range(count)]
    expected = [to_json_dict(one) for one in measure_all(inputs)]
    monkeypatch.setattr("tailwatch.risk.stack._BYTES", 1)
    assert [to_json_dict(one) for one in measure_all(inputs)] == expected
