"""Price series and samples for tests of the risk core."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.typing import NDArray

from tailwatch.risk import AlignedInstrument, PriceSeries, Sample, Status
from tailwatch.risk.types import AlignedBenchmark

FIRST_DAY = np.datetime64("2020-01-01", "D")


def weekdays(count: int, start: np.datetime64 = FIRST_DAY) -> NDArray[np.datetime64]:
    """Return that many weekdays from `start` on."""
    return np.busday_offset(start, np.arange(count), roll="forward")


def prices_of(returns: NDArray[np.float64], start: float = 100.0) -> NDArray[np.float64]:
    """Return the (n+1,) prices that (n,) simple returns make of `start`."""
    return start * np.cumprod(np.concatenate([[1.0], 1 + returns]))


def random_series(ticker: str, count: int, seed: int, volatility: float = 0.012) -> PriceSeries:
    """Return `count` prices on weekdays with independent normal returns."""
    returns = np.random.default_rng(seed).normal(0.0004, volatility, count - 1)
    return PriceSeries(ticker, weekdays(count), prices_of(returns))


def sample_of(returns: NDArray[np.float64], benchmark: NDArray[np.float64] | None = None) -> Sample:
    """Return a sample with these (T, M) returns as they are; tickers A0, A1, …"""
    days, count = returns.shape
    sessions = weekdays(days + 1)
    last: date = sessions[-1].astype(object)
    tickers = tuple(f"A{column}" for column in range(count))
    return Sample(
        tickers=tickers,
        sessions=sessions,
        returns=np.asfortranarray(returns),
        instruments=tuple(AlignedInstrument(one, Status.MODELLED, None, days, 0, last) for one in tickers),
        window=days,
        benchmark=None if benchmark is None else AlignedBenchmark("MARKET", benchmark, np.ones(days, dtype=np.bool_)),
    )


def pnl_matrices(max_portfolios: int = 3, min_days: int = 1, max_days: int = 400) -> st.SearchStrategy:
    """Draw (P, T) profit and loss with ties, zeros and outliers."""
    shapes = st.tuples(st.integers(1, max_portfolios), st.integers(min_days, max_days))
    values = st.one_of(
        st.floats(-1e6, 1e6, allow_subnormal=False),
        st.sampled_from([0.0, -1.0, 1.0, -1e6]),
    )
    return shapes.flatmap(lambda shape: nps.arrays(np.float64, shape, elements=values, fill=st.nothing()))


@st.composite
def return_matrices(
    draw: st.DrawFn, min_days: int = 60, max_days: int = 260, max_names: int = 12
) -> NDArray[np.float64]:
    """Draw (T, M) returns: heavy tails, a common factor, and now and then the awkward columns that data has."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    days, names = draw(st.integers(min_days, max_days)), draw(st.integers(1, max_names))
    common = 0.008 * rng.standard_t(4, days)
    returns = common[:, None] * rng.uniform(-0.5, 1.8, names) + 0.01 * rng.standard_t(4, (days, names))
    for column in range(names):
        match draw(st.sampled_from(["plain"] * 5 + ["constant", "twin", "mirror", "steady", "mostly still"])):
            case "constant":
                returns[:, column] = 0.0
            case "twin":
                returns[:, column] = returns[:, 0]
            case "mirror":
                returns[:, column] = -returns[:, 0]
            case "steady":
                returns[:, column] = 0.0003
            case "mostly still":
                returns[rng.random(days) < 0.9, column] = 0.0
    return np.clip(returns, -0.9, 3.0)


@st.composite
def books(draw: st.DrawFn, **limits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw (T, M) returns with (M,) signed market values: long, short, mixed, tiny beside huge."""
    returns = draw(return_matrices(**limits))
    amounts = st.floats(1.0, 1e7)
    signs = draw(st.sampled_from(["long", "short", "mixed"]))
    values = draw(nps.arrays(np.float64, returns.shape[1], elements=amounts, fill=st.nothing()))
    if signs == "short":
        values = -values
    elif signs == "mixed":
        values = values * np.where(draw(nps.arrays(np.bool_, values.size)), 1, -1)
    return returns, values
