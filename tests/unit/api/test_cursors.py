from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import cursors
from api.problems import ProblemError

ids = st.integers(min_value=0, max_value=2**63 - 1)


@given(ids)
def test_ids_come_back(row_id: int) -> None:
    assert cursors.read_id(cursors.after_id(row_id)) == row_id


@given(st.datetimes(timezones=st.just(UTC)), ids)
def test_moments_come_back(moment: datetime, row_id: int) -> None:
    assert cursors.read_moment(cursors.after_moment(moment, row_id)) == (moment, row_id)


@given(st.text())
def test_anything_else_is_refused_or_read(text: str) -> None:
    for read in (cursors.read_id, cursors.read_moment):
        with contextlib.suppress(ProblemError):
            read(text)


@pytest.mark.parametrize("forged", ["", "-1", "x", str(2**63), "1|2", "٣"])
def test_forged_ids_are_refused(forged: str) -> None:
    with pytest.raises(ProblemError):
        cursors.read_id(cursors._encode(forged))


@pytest.mark.parametrize("forged", ["", "2024-01-01T00:00:00|1", "x|1", "2024-01-01T00:00:00+00:00|x", "2024-01-01|"])
def test_forged_moments_are_refused(forged: str) -> None:
    with pytest.raises(ProblemError):
        cursors.read_moment(cursors._encode(forged))
