"""When pages get news: at once, never too often, and the newest state always in the end."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.quotes.feed import FIRST_WAIT, LONGEST_WAIT, Backoff
from worker.quotes.pace import Pace


def test_the_first_news_go_out_at_once_and_the_next_wait_their_turn() -> None:
    pace = Pace(4, 5)
    pace.touch(1)
    assert pace.due(100.0) == [1]
    pace.sent(1, 100.0)
    pace.touch(1)
    assert pace.due(100.2) == []
    assert pace.next() == 100.25
    assert pace.due(100.25) == [1]


def test_an_unchanged_state_is_sent_again_after_a_while_and_a_forgotten_one_is_not() -> None:
    pace = Pace(4, 5)
    pace.touch(1)
    pace.sent(1, 100.0)
    assert (pace.due(104.9), pace.next(), pace.due(105.0)) == ([], 105.0, [1])
    pace.forget(1)
    assert (pace.due(1e9), pace.next()) == ([], math.inf)


def test_one_that_has_news_all_the_time_does_not_hold_up_the_others() -> None:
    pace = Pace(4, 5)
    pace.touch(1)
    pace.sent(1, 100.0)
    pace.touch(1)
    pace.touch(2)
    assert pace.due(100.3) == [2, 1]


@given(
    gaps=st.lists(st.floats(0, 0.6), min_size=1, max_size=200),
    per_second=st.sampled_from([1.0, 4.0, 20.0]),
)
def test_no_portfolio_is_told_too_often_and_the_last_price_is_told_in_time(
    gaps: list[float], per_second: float
) -> None:
    """Prices at any times; the teller is woken by a price, or when one is due, as the process does it."""
    pace = Pace(per_second, 5)
    told: list[tuple[float, int]] = []

    def tell(now: float) -> None:
        for each in pace.due(now):
            told.append((now, newest))
            pace.sent(each, now)

    now, newest = 0.0, -1
    for newest, gap in enumerate(gaps):
        # What fell due before this price came was told when it fell due.
        while pace.next() <= now:
            told_at = max(pace.next(), 0.0)
            told.append((told_at, newest - 1))
            pace.sent(1, told_at)
        pace.touch(1)
        tell(now)
        now += gap
    while told[-1][1] != newest:
        tell(pace.next())
    times = [at for at, _ in told]
    assert all(later - earlier >= 1 / per_second - 1e-9 for earlier, later in itertools.pairwise(times))
    last_price = sum(gaps[:-1])
    first_told = next(at for at, which in told if which == newest)
    assert first_told - last_price <= 1 / per_second + 1e-9


def test_waiting_doubles_to_its_longest_with_a_random_part_of_up_to_half() -> None:
    patient, hasty = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    waits = [patient.wait() for _ in range(12)]
    assert waits[:4] == [FIRST_WAIT * each for each in (1, 2, 4, 8)]
    assert waits[-1] == LONGEST_WAIT
    assert [hasty.wait() for _ in range(12)] == pytest.approx([each / 2 for each in waits])
    patient.reset()
    assert patient.wait() == FIRST_WAIT
