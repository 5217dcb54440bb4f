"""The risk core alone, in CPU time of one thread: one portfolio, and a thousand at once beside a floor and peers.

    ./run python bench/risk_kernel.py [--rounds 300] [--plot FILE.svg]

Made-up prices and returns, the same on every run. One portfolio: 1,300 sessions, a window of 500. "measure, warm" is
what a trade costs a worker that still holds the sample; "measure, cold" includes the statistics that a sample keeps;
"figures" is the headline set alone (volatility, VaR and ES at three levels, their components) without the report
around it; "what-if" is a trade before and after, and alone.

A thousand portfolios over 1,260 days: volatility, VaR and ES at three levels, the components of volatility, VaR and
ES, drawdown, beta. The floor is what profit and loss and its quantiles cost at least: one matrix product and one
np.partition. Peers are given the same returns and compute four figures only: volatility, VaR 95, ES 95, drawdown.
"""

from __future__ import annotations

import os

# One thread a process is how the workers run; set before numpy loads its BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import dataclasses
import importlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tailwatch.risk import Method, PriceSeries, RiskInputs, RiskSettings, Sample, align, measure, to_json_dict
from tailwatch.risk.components import marginal
from tailwatch.risk.headline import window_volatility
from tailwatch.risk.kernel import measure_batch, share
from tailwatch.risk.methods import MODELS, scenarios_for, simulate
from tailwatch.risk.types import AlignedBenchmark
from tailwatch.risk.whatif import with_trades

SESSIONS = 1300
SIZES = (20, 500)
DAYS = 1260
PORTFOLIOS = 1000
#: Bars of the batch against the floor, by instruments.
BATCH_BARS = {500: 1.5, 100: 3.0}
#: Calls of which the fastest counts: what disturbs only ever adds.
BATCH_ROUNDS = 11
#: Portfolios that a peer without arrays of portfolios is timed on.
PEER_PORTFOLIOS = 20

Array = NDArray[np.float64]


def made_up_returns(days: int, names: int) -> tuple[Array, Array]:
    """Return (T, M) returns with a common factor and fat tails, and the (T,) factor."""
    rng = np.random.default_rng(names)
    factor = 0.008 * rng.standard_t(5, (days, 1))
    returns = factor + 0.01 * rng.standard_t(5, (days, names))
    return np.clip(returns, -0.5, 0.5), factor[:, 0]


def made_up_prices(names: int) -> list[PriceSeries]:
    """Return price series of such returns."""
    days = np.busday_offset(np.datetime64("2018-01-01"), np.arange(SESSIONS), roll="forward")
    closes = 100 * np.cumprod(1 + made_up_returns(SESSIONS, names)[0], axis=0)
    return [PriceSeries(f"N{name:03}", days, np.ascontiguousarray(closes[:, name])) for name in range(names)]


def cpu_times(work: Callable[[], object], rounds: int) -> list[float]:
    """Return the seconds of CPU of each call, after a tenth of the rounds as warm-up."""
    taken = []
    for _ in range(rounds + max(rounds // 10, 1)):
        before = time.process_time_ns()
        work()
        taken.append((time.process_time_ns() - before) / 1e9)
    return taken[-rounds:]


def figures_of(sample: Sample, exposures: Array, method: Method) -> object:
    """Return the headline set: volatility of the window, VaR and ES of the method, and their components."""
    settings = RiskSettings(method)
    window = simulate(exposures, sample.returns, sample.volatilities)
    outcomes = window
    if method is Method.FILTERED:
        outcomes = simulate(exposures, sample.filtered, sample.volatility_now)
    volatility = window_volatility(sample, exposures, window, settings.covariance)
    model = MODELS[method]
    gradients = model.gradients(outcomes, 0.95, 0.975)
    tails = np.concatenate([gradients.value_at_risk, gradients.expected_shortfall])
    parts = marginal(tails, scenarios_for(method, sample)) * exposures
    return model.figures(outcomes), volatility.derivatives * exposures, parts


def bench_one(names: int, rounds: int) -> dict[str, float]:
    """Return the microseconds of each step for a portfolio of that many names."""
    series = made_up_prices(names)
    sample = align(series, benchmark=series[0])
    values = {one.ticker: 1000.0 + 10 * number for number, one in enumerate(series)}
    as_of: date = sample.sessions[-1].astype(object)
    report = measure(RiskInputs(sample, values, as_of))
    exposures = np.array([list(values.values())])
    trade = np.zeros((1, names))
    trade[0, 0] = 500.0
    steps: dict[str, Callable[[], object]] = {
        "align": lambda: align(series, benchmark=series[0]),
        "measure, cold": lambda: measure(RiskInputs(dataclasses.replace(sample), values, as_of)),
        "measure, warm": lambda: measure(RiskInputs(sample, values, as_of)),
        "figures, historical": lambda: figures_of(sample, exposures, Method.HISTORICAL),
        "figures, filtered": lambda: figures_of(sample, exposures, Method.FILTERED),
        "what-if": lambda: with_trades(sample, exposures[0], trade, RiskSettings()),
        "to_json_dict": lambda: to_json_dict(report),
    }
    return {step: statistics.median(cpu_times(work, rounds)) * 1e6 for step, work in steps.items()}


def made_up_sample(names: int) -> Sample:
    """Return a sample of 1,260 days with a benchmark."""
    returns, factor = made_up_returns(DAYS, names)
    sessions = np.busday_offset(np.datetime64("2018-01-01"), np.arange(DAYS + 1), roll="forward")
    market = AlignedBenchmark("MARKET", factor, np.ones(DAYS, dtype=np.bool_))
    tickers = tuple(f"N{name:03}" for name in range(names))
    return Sample(tickers, sessions, np.asfortranarray(returns), (), DAYS, market)


def made_up_books(portfolios: int, names: int) -> tuple[Array, Array]:
    """Return (P, M) market values, a tenth of them short, and (P,) net asset values."""
    rng = np.random.default_rng(portfolios)
    exposures = rng.uniform(100, 1000, (portfolios, names)) * np.where(rng.random((portfolios, names)) < 0.1, -1, 1)
    return exposures, exposures.sum(axis=1) + 100.0 * names


def bench_batch(names: int, portfolios: int = PORTFOLIOS, rounds: int = BATCH_ROUNDS) -> dict[str, float]:
    """Return the milliseconds of the floor and of the kernel; of what is shared, once a sample, beside them."""
    sample = made_up_sample(names)
    exposures, navs = made_up_books(portfolios, names)
    settings = RiskSettings(Method.HISTORICAL)
    shared = share(sample, settings)
    pnl = np.empty((portfolios, DAYS))

    def floor() -> object:
        np.matmul(exposures, sample.returns.T, out=pnl)
        return np.partition(pnl, (11, 12, 30, 31, 62, 63), axis=1)

    steps: dict[str, Callable[[], object]] = {
        "floor": floor,
        "kernel": lambda: measure_batch(shared, exposures, navs),
        "shared": lambda: share(dataclasses.replace(sample), settings),
    }
    return {step: min(cpu_times(work, rounds)) * 1e3 for step, work in steps.items()}


def skfolio_arrays(returns: Array, weights: Array) -> object:
    """Compute the four figures by skfolio's functions of arrays, all portfolios at once."""
    measures = importlib.import_module("skfolio.measures")
    pnl = returns @ weights.T
    drawdowns = measures.get_drawdowns(pnl, compounded=True)
    return (
        measures.standard_deviation(pnl),
        measures.value_at_risk(pnl, beta=0.95),
        measures.cvar(pnl, beta=0.95),
        measures.max_drawdown(drawdowns),
    )


def skfolio_portfolios(returns: Array, weights: Array) -> object:
    """Compute them as skfolio's own portfolios do."""
    portfolio = importlib.import_module("skfolio").Portfolio
    made = [portfolio(X=returns, weights=row) for row in weights]
    return [(one.standard_deviation, one.value_at_risk, one.cvar, one.max_drawdown) for one in made]


def riskfolio(returns: Array, weights: Array) -> object:
    """Compute them by Riskfolio-Lib's functions."""
    functions = importlib.import_module("riskfolio").RiskFunctions
    pnl = returns @ weights.T
    four = (np.std, functions.VaR_Hist, functions.CVaR_Hist, functions.MDD_Rel)
    return [[figure(column) for figure in four] for column in pnl.T]


def quantstats(returns: Array, weights: Array) -> object:
    """Compute them by quantstats' functions, on what pandas holds."""
    stats, pandas = importlib.import_module("quantstats.stats"), importlib.import_module("pandas")
    pnl = returns @ weights.T
    days = pandas.bdate_range("2018-01-01", periods=len(returns))
    found = []
    for column in pnl.T:
        one = pandas.Series(column, days)
        found.append(
            (
                stats.volatility(one, prepare_returns=False),
                stats.value_at_risk(one, prepare_returns=False),
                stats.cvar(one, prepare_returns=False),
                stats.max_drawdown(one),
            )
        )
    return found


def empyrical(returns: Array, weights: Array) -> object:
    """Compute them by empyrical's functions."""
    functions = importlib.import_module("empyrical")
    pnl = returns @ weights.T
    four = (functions.annual_volatility, functions.value_at_risk, functions.conditional_value_at_risk)
    return [[*(figure(column) for figure in four), functions.max_drawdown(column)] for column in pnl.T]


#: Each peer with the number of portfolios that it is timed on.
PEERS: dict[str, tuple[Callable[[Array, Array], object], int]] = {
    "skfolio, functions of arrays": (skfolio_arrays, PORTFOLIOS),
    "skfolio, portfolios": (skfolio_portfolios, PEER_PORTFOLIOS),
    "Riskfolio-Lib": (riskfolio, PEER_PORTFOLIOS),
    "quantstats": (quantstats, PEER_PORTFOLIOS),
    "empyrical": (empyrical, PEER_PORTFOLIOS),
}


def bench_peers(names: int) -> dict[str, float | None]:
    """Return the milliseconds that 1,000 portfolios take each peer; None where it is not installed."""
    returns = made_up_sample(names).returns
    exposures, navs = made_up_books(PORTFOLIOS, names)
    weights = exposures / navs[:, None]
    found: dict[str, float | None] = {}
    for name, (work, count) in PEERS.items():
        try:
            with warnings.catch_warnings(action="ignore"):
                taken = min(cpu_times(lambda work=work, count=count: work(returns, weights[:count]), 3))  # type: ignore[misc]
        except ModuleNotFoundError:
            found[name] = None
        else:
            found[name] = taken * 1e3 * PORTFOLIOS / count
    return found


def growth() -> dict[str, list[tuple[int, float]]]:
    """Return the kernel's milliseconds by portfolios, of 100 names, and by names, of 1,000 portfolios."""
    return {
        "portfolios of 100 names": [
            (count, bench_batch(100, count, rounds=5)["kernel"]) for count in (250, 500, 1000, 2000, 4000)
        ],
        "names in 1,000 portfolios": [
            (names, bench_batch(names, rounds=5)["kernel"]) for names in (50, 100, 200, 400, 600, 800)
        ],
    }


def plot(curves: dict[str, list[tuple[int, float]]]) -> str:
    """Return an SVG picture of each curve: milliseconds against its number."""
    width, height, left, bottom = 420, 300, 60, 50
    shapes = []
    for number, (title, points) in enumerate(curves.items()):
        most_x, most_y = max(x for x, _ in points), 1.1 * max(y for _, y in points)
        offset = number * width

        def at(
            x: float, y: float, offset: int = offset, most_x: float = most_x, most_y: float = most_y
        ) -> tuple[float, float]:
            across, up = (width - left - 30) * x / most_x, (height - bottom - 40) * y / most_y
            return offset + left + across, height - bottom - up

        (x0, y0), (x1, _), (_, y1) = at(0, 0), at(most_x, 0), at(0, most_y)
        shapes.append(f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="#888"/>')
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(*point) for point in points))
        shapes.append(f'<polyline points="{line}" fill="none" stroke="#2563eb" stroke-width="2"/>')
        for x, y in points:
            px, py = at(x, y)
            shapes.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="#2563eb"/>')
            shapes.append(f'<text x="{px:.1f}" y="{py - 8:.1f}" text-anchor="middle">{y:.0f}</text>')
            shapes.append(f'<text x="{px:.1f}" y="{y0 + 16:.1f}" text-anchor="middle">{x}</text>')
        shapes.append(f'<text x="{(x0 + x1) / 2:.1f}" y="{y0 + 36:.1f}" text-anchor="middle">{title}</text>')
        shapes.append(f'<text x="{x0:.1f}" y="{y1 - 10:.1f}">CPU, ms</text>')
    size = f'width="{width * len(curves)}" height="{height}"'
    style = '<rect width="100%" height="100%" fill="#fff"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
        f"{style}{''.join(shapes)}</svg>\n"
    )


def print_tables(
    console: Console,
    single: dict[int, dict[str, float]],
    batch: dict[int, dict[str, float]],
    peers: dict[int, dict[str, float | None]],
) -> None:
    """Print what was measured."""
    table = Table("one portfolio", *[f"{names} names, µs" for names in SIZES])
    for step in single[SIZES[0]]:
        table.add_row(step, *[f"{single[names][step]:,.0f}" for names in SIZES])
    console.print(table)
    table = Table(f"{PORTFOLIOS:,} portfolios, {DAYS:,} days", *[f"{names} names, ms" for names in BATCH_BARS])
    for step in ("floor", "kernel", "shared"):
        table.add_row(step, *[f"{batch[names][step]:,.1f}" for names in BATCH_BARS])
    ratios = {names: batch[names]["kernel"] / batch[names]["floor"] for names in BATCH_BARS}
    table.add_row("kernel over floor", *[f"{ratios[names]:.2f} (bar {bar})" for names, bar in BATCH_BARS.items()])
    for name in PEERS:
        cells = []
        for names in BATCH_BARS:
            taken = peers[names][name]
            ours = batch[names]["kernel"]
            cells.append("not installed" if taken is None else f"{taken:,.0f} ({taken / ours:.1f} × the kernel)")
        table.add_row(name, *cells)
    console.print(table)


def main() -> None:
    """Print two tables, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="also measure how cost grows, and draw it")
    arguments = parser.parse_args()
    single = {names: bench_one(names, arguments.rounds) for names in SIZES}
    batch = {names: bench_batch(names) for names in BATCH_BARS}
    peers = {names: bench_peers(names) for names in BATCH_BARS}
    print_tables(Console(), single, batch, peers)
    results: dict[str, Any] = {
        "threads": os.environ["OPENBLAS_NUM_THREADS"],
        "sessions": SESSIONS,
        "cpu_microseconds": single,
        "batch": {"portfolios": PORTFOLIOS, "days": DAYS, "cpu_milliseconds": batch, "peers": peers},
    }
    if arguments.plot is not None:
        curves = growth()
        arguments.plot.write_text(plot(curves), encoding="utf-8")
        results["growth"] = curves
    json.dump(results, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
