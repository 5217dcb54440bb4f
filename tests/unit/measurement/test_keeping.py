"""What is kept between computations is bounded by its weight."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.measurement.keeping import Kept


@given(st.lists(st.integers(0, 120), max_size=40))
def test_no_more_is_kept_than_may_be_and_everything_is_handed_back(lengths: list[int]) -> None:
    kept: Kept[int, np.ndarray] = Kept(800, lambda array: int(array.nbytes))
    for number, length in enumerate(lengths):
        array = np.zeros(length)
        assert kept.keep(number, array) is array
        assert (number in kept) == (array.nbytes <= 800)
        assert sum(one.nbytes for one in kept.values()) <= 800


def test_what_was_used_last_stays() -> None:
    kept: Kept[str, int] = Kept(2, lambda _: 1)
    kept.keep("old", 1)
    kept.keep("older", 2)
    assert kept.get("old") == 1
    kept.keep("new", 3)
    assert set(kept) == {"old", "new"}
