"""What `model fit` compares, and what it says of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tailwatch.cli.model import compare
from tailwatch.cli.model_report import Comparison, verdict
from tailwatch.errors import InputFileError, TooLittleHistoryError
from tailwatch.measurement.universe import Universe
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.fit import fit, observe
from tailwatch.risk.volatility import VolatilityModel

DAYS = 2000
LONG_RUN = VolatilityModel(squares=(0, 0, 0, 0, 0, 1.0), downside=(0, 0), market=(0, 0))


def universe() -> Universe:
    """Four names whose volatility doubles and halves every quarter: the long-run average alone is a poor forecast."""
    rng = np.random.default_rng(5)
    sizes = np.where(np.arange(DAYS) // 66 % 2, 0.02, 0.005)
    labels = tuple((np.datetime64("2015-01-01") + np.arange(DAYS)).astype(str).tolist())
    return Universe(("A", "B", "C", "D"), labels, sizes[:, None] * rng.standard_t(6, (DAYS, 4)))


def compared(in_use: VolatilityModel, until: str | None = None) -> Comparison:
    return compare(universe(), None, in_use, until, "made up")


def test_what_was_held_out_is_not_learned_from() -> None:
    found = compared(LONG_RUN)
    given = universe()
    assert found.past == fit(observe(given.returns[:1500])).model
    assert found.new == fit(observe(given.returns)).model
    assert (found.learned[1], found.held_out[0]) == (given.days[1499], given.days[1500])
    assert found.new.provenance["data"] == f"made up: 4 instruments, {given.days[0]} to {given.days[-1]}"


def test_until_is_the_last_day_that_is_learned_from() -> None:
    given = universe()
    assert compared(LONG_RUN, given.days[1300]).learned == (given.days[0], given.days[1300])


def test_the_verdict_says_which_is_better() -> None:
    found = compared(LONG_RUN)
    assert "forecast better than those in use (-" in verdict(found)
    other_way = dataclasses.replace(found, scores=compared(found.past).scores)
    assert "forecast as well as those in use" in verdict(other_way)
    assert "may have learned from some of these days" in verdict(compared(default_model()))


@pytest.mark.parametrize("until", ["2019-12-31", "2014-12-31", "1990"])
def test_days_that_leave_too_few_are_refused(until: str) -> None:
    with pytest.raises(TooLittleHistoryError):
        compared(LONG_RUN, until)


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(InputFileError, match="no day"):
        compared(LONG_RUN, "yesterday")
