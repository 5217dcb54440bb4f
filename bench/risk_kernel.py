"""The risk core alone: aligning, measuring and converting one portfolio, in microseconds of CPU.

    ./run python bench/risk_kernel.py [--rounds 300]

Made-up prices of 1,300 sessions, a window of 500, one thread. "measure, warm" is what a trade costs a worker that
still holds the sample; "measure, cold" includes the statistics that a sample keeps; "figures" is the headline set
alone (volatility, VaR and ES at three levels, their components) without the report around it.
"""

from __future__ import annotations

import os

# One thread a process is how the workers run; set before numpy loads its BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date

import numpy as np
from rich.console import Console
from rich.table import Table

from tailwatch.risk import Method, PriceSeries, RiskInputs, align, measure, to_json_dict
from tailwatch.risk.components import marginal
from tailwatch.risk.methods import MODELS, simulate

SESSIONS = 1300
SIZES = (20, 500)


def made_up_prices(names: int) -> list[PriceSeries]:
    """Return price series with a common factor and fat tails, the same on every run."""
    rng = np.random.default_rng(names)
    days = np.busday_offset(np.datetime64("2018-01-01"), np.arange(SESSIONS), roll="forward")
    returns = 0.008 * rng.standard_t(5, (SESSIONS, 1)) + 0.01 * rng.standard_t(5, (SESSIONS, names))
    closes = 100 * np.cumprod(1 + np.clip(returns, -0.5, 0.5), axis=0)
    return [PriceSeries(f"N{name:03}", days, np.ascontiguousarray(closes[:, name])) for name in range(names)]


def cpu_microseconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median CPU time of one call, after a tenth of the rounds as warm-up."""
    taken = []
    for _ in range(rounds + rounds // 10):
        before = time.process_time_ns()
        work()
        taken.append((time.process_time_ns() - before) / 1e3)
    return statistics.median(taken[-rounds:])


def bench(names: int, rounds: int) -> dict[str, float]:
    """Return the microseconds of each step for a portfolio of that many names."""
    series = made_up_prices(names)
    sample = align(series, benchmark=series[0])
    values = {one.ticker: 1000.0 + 10 * number for number, one in enumerate(series)}
    as_of: date = sample.sessions[-1].astype(object)
    inputs = RiskInputs(sample, values, as_of)
    report = measure(inputs)
    exposures = np.array([list(values.values())])

    def figures() -> object:
        outcomes = simulate(exposures, sample.returns, sample.volatilities)
        model = MODELS[Method.HISTORICAL]
        gradients = model.gradients(outcomes, 0.95, 0.975)
        stacked = np.concatenate([gradients.volatility, gradients.value_at_risk, gradients.expected_shortfall])
        return model.figures(outcomes), marginal(stacked, sample.returns) * exposures

    steps: dict[str, Callable[[], object]] = {
        "align": lambda: align(series, benchmark=series[0]),
        "measure, cold": lambda: measure(RiskInputs(dataclasses.replace(sample), values, as_of)),
        "measure, warm": lambda: measure(RiskInputs(sample, values, as_of)),
        "figures": figures,
        "to_json_dict": lambda: to_json_dict(report),
    }
    return {step: cpu_microseconds(work, rounds) for step, work in steps.items()}


def main() -> None:
    """Print a table, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    results = {names: bench(names, rounds) for names in SIZES}
    table = Table("step", *[f"{names} names, µs" for names in SIZES])
    for step in results[SIZES[0]]:
        table.add_row(step, *[f"{results[names][step]:,.0f}" for names in SIZES])
    Console().print(table)
    threads = os.environ["OPENBLAS_NUM_THREADS"]
    json.dump({"threads": threads, "sessions": SESSIONS, "cpu_microseconds": results}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
