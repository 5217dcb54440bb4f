from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.market.store import AFTER_SECOND_BEST, JITTER, LONGEST_WAIT, backoff


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 30), (2, 60), (3, 120), (10, 15_360), (11, 21_600), (1000, 21_600)]
)
def test_waits_double_up_to_six_hours(attempts: int, seconds: int) -> None:
    assert backoff(attempts, jitter=0) == timedelta(seconds=seconds)


def test_a_better_source_is_tried_again_after_a_quarter_of_an_hour_and_then_more_rarely() -> None:
    waits = [backoff(attempts, 0, AFTER_SECOND_BEST) for attempts in range(1, 7)]
    assert [wait / timedelta(minutes=1) for wait in waits] == [15, 30, 60, 120, 240, 360]


def test_the_source_is_not_asked_before_it_said() -> None:
    assert backoff(1, 0, retry_after=timedelta(minutes=15)) == timedelta(minutes=15)
    assert backoff(1, 1, retry_after=timedelta(minutes=15)) > timedelta(minutes=15)
    assert backoff(5, 0, retry_after=timedelta(seconds=1)) == timedelta(minutes=8)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_jitter_only_lengthens_and_by_a_bounded_share(attempts: int, jitter: float) -> None:
    plain = backoff(attempts, 0)
    assert plain <= backoff(attempts, jitter) <= plain * (1 + JITTER)
    assert backoff(attempts, jitter) <= LONGEST_WAIT * (1 + JITTER)
