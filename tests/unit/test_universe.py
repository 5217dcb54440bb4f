"""Stored instruments side by side: sessions, gaps, and what is traded at weekends."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tailwatch.measurement.universe import side_by_side
from tailwatch.risk import PriceSeries

#: A Monday.
START = np.datetime64("2022-01-03")


def days(count: int, *, weekends: bool = False) -> NDArray[np.datetime64]:
    if weekends:
        return START + np.arange(count)
    return np.busday_offset(START, np.arange(count))


def test_weekends_of_one_are_no_sessions() -> None:
    stocks = [PriceSeries(name, days(20), np.linspace(10, 20, 20)) for name in "ABC"]
    coin = PriceSeries("COIN", days(26, weekends=True), 1.01 ** np.arange(26))
    found = side_by_side([*stocks, coin])
    assert found.names == ("A", "B", "C", "COIN")
    assert found.days == tuple(days(20)[1:].astype(str))
    # From Friday to Monday three days pass.
    assert found.returns[:5, 3] == pytest.approx([0.01, 0.01, 0.01, 0.01, 1.01**3 - 1], rel=1e-12)
    assert found.returns[:, 0] == pytest.approx(np.diff(stocks[0].closes) / stocks[0].closes[:-1], rel=1e-12)


def test_five_missing_prices_are_carried_and_six_are_a_gap() -> None:
    whole = PriceSeries("A", days(40), np.full(40, 7.0))
    for missing in (5, 6):
        keep = np.r_[0:10, 10 + missing : 40]
        one = PriceSeries("B", days(40)[keep], np.arange(1.0, 41.0)[keep])
        returns = side_by_side([whole, one]).returns[:, 1]
        # Return t ends on session t+1: the gap begins with the one that ends on session 10.
        if missing == 5:
            assert returns[9:14].tolist() == [0.0] * 5
            assert returns[14] == pytest.approx(16 / 10 - 1)
        else:
            assert returns[9:14].tolist() == [0.0] * 5
            assert np.isnan(returns[14:16]).all()
        assert np.isfinite(returns[:14]).all()
        assert np.isfinite(returns[16:]).all()


def test_before_the_first_price_and_after_the_last_there_is_none() -> None:
    late = PriceSeries("LATE", days(30)[10:], np.full(20, 3.0))
    gone = PriceSeries("GONE", days(30)[:15], np.full(15, 3.0))
    returns = side_by_side([PriceSeries("A", days(30), np.full(30, 5.0)), late, gone]).returns
    assert np.isnan(returns[:10, 1]).all()
    assert np.isfinite(returns[10:, 1]).all()
    assert np.isnan(returns[14 + 5 :, 2]).all()


def test_prices_that_are_none_are_missing() -> None:
    closes = np.full(30, 5.0)
    closes[10], closes[20] = 0.0, 5e9
    returns = side_by_side([PriceSeries("A", days(30), np.full(30, 5.0)), PriceSeries("B", days(30), closes)]).returns
    assert returns[9:11, 1].tolist() == [0.0, 0.0]
    assert np.isnan(returns[19:21, 1]).all()


def test_nothing_is_no_universe() -> None:
    assert side_by_side([]).names == ()
