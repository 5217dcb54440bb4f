"""The histogram counts every day once, on round edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tailwatch.risk.distribution import BINS, histogram, round_width

amounts = st.one_of(st.floats(-1e9, 1e9, allow_subnormal=False), st.sampled_from([0.0, 1.0, -250.0]))


@given(nps.arrays(np.float64, st.integers(1, 300), elements=amounts, fill=st.nothing()))
def test_every_day_is_counted_once_in_its_bin(pnl: np.ndarray) -> None:
    edges, counts = histogram(pnl)
    assert counts.sum() == pnl.size
    assert edges.size == counts.size + 1 <= BINS + 3
    assert (np.diff(edges) > 0).all()
    # A value within rounding of an edge may lie on either side of it.
    slack = 1e-9 * float(np.abs(edges).max())
    ordered = np.sort(pnl)
    for edge, below in zip(edges, np.concatenate([[0], np.cumsum(counts)]), strict=True):
        assert np.searchsorted(ordered, edge - slack) <= below <= np.searchsorted(ordered, edge + slack, "right")


def test_losses_never_share_a_bin_with_gains() -> None:
    edges, _ = histogram(np.random.default_rng(1).normal(40, 1000, 500))
    assert 0.0 in edges.tolist()
    assert 25 <= edges.size <= BINS + 3


@pytest.mark.parametrize("value", [0.0, -1234.5, 3e-7])
def test_equal_outcomes_are_one_bin(value: float) -> None:
    edges, counts = histogram(np.full(60, value))
    assert counts.tolist() == [60]
    assert edges[0] <= value < edges[1]


@pytest.mark.parametrize(
    ("width", "round_one"), [(1.0, 1.0), (1.1, 2.0), (2.2, 2.5), (33, 50.0), (0.06, 0.1), (999, 1000)]
)
def test_round_width(width: float, round_one: float) -> None:
    assert round_width(width) == pytest.approx(round_one)
