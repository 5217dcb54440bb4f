"""The deepest fall against a plain search over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tailwatch.risk.drawdown import deepest_fall, price_relatives
from tests.support.risk_samples import prices_of, return_matrices

paths_of_values = nps.arrays(
    np.float64, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=st.integers(1, 30).map(float)
)


@given(paths_of_values)
def test_deepest_fall_is_the_worst_pair(paths: np.ndarray) -> None:
    fall = deepest_fall(paths)
    for row, path in enumerate(paths.tolist()):
        pairs = [1 - path[late] / path[early] for early in range(len(path)) for late in range(early, len(path))]
        peak, trough, recovery = int(fall.peak[row]), int(fall.trough[row]), int(fall.recovery[row])
        assert fall.depth[row] == pytest.approx(max(pairs), abs=1e-12)
        assert peak <= trough
        assert fall.depth[row] == pytest.approx(1 - path[trough] / path[peak], abs=1e-12)
        back = [day for day in range(trough + 1, len(path)) if path[day] >= path[peak]]
        assert recovery == (back[0] if back and fall.depth[row] > 0 else -1)


def test_a_rising_path_never_falls() -> None:
    fall = deepest_fall(np.array([[1.0, 2.0, 3.0]]))
    assert (fall.depth[0], fall.peak[0], fall.trough[0], fall.recovery[0]) == (0, 0, 0, -1)


@given(return_matrices(max_names=4))
def test_price_relatives_undo_returns(returns: np.ndarray) -> None:
    relatives = price_relatives(returns)
    for column in range(returns.shape[1]):
        prices = prices_of(returns[:, column])
        np.testing.assert_allclose(relatives[:, column], prices / prices[-1], rtol=1e-9)
