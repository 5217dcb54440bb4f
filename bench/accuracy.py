"""How good the forecasts of VaR are: every method, one day ahead, on data that its coefficients have not seen.

    ./run bench accuracy [--prices FILE.csv] [--write]    # prints a table, then JSON; takes some minutes

By default the 20 US stocks that are shipped, 2000 to 2022: each alone, and 250 portfolios of them drawn with a fixed
seed (200 long only, 50 long and short). A portfolio has the same weights on every day. The coefficients of the
filtered method are fitted at the start of each year, on the days before it and nothing else.

`--write` puts the table into docs/risk-methods.md. Ends with 1 if the shipped data miss a bar.
"""

from __future__ import annotations

import os

# The products of matrices are small: more threads would only wait for one another. Set before numpy loads its BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tailwatch.cli.price_files import Prices, read_prices
from tailwatch.embedded.environment import ROOT
from tailwatch.risk import CONFIDENCES, Method
from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.averages import SEED_DAYS
from tailwatch.risk.backtest import AverageScores, Forecasts, LevelScores, average, forecasts, level_name, score
from tailwatch.risk.backtest.summary import mean
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.fit import fit, observe
from tailwatch.risk.scenarios import SCENARIO_DAYS
from tailwatch.risk.volatility import VolatilityModel, ewma_variance_path

SAMPLE: Final = ROOT / "tailwatch" / "market" / "data" / "us20_adjclose_1990_2022.csv.gz"
#: A column of it that is no stock.
INDEX: Final = "SP500"
DOCUMENT: Final = ROOT / "docs" / "risk-methods.md"
BEGIN: Final = "<!-- accuracy -->"
END: Final = "<!-- /accuracy -->"

LONG_ONLY, LONG_SHORT, SEED = 200, 50, 20_000_103
FIRST_DAY: Final = "2000-01-01"
#: Portfolios whose forecasts are in memory at the same time.
AT_ONCE: Final = 90

#: Of the shipped data: the largest ratio of pinball loss to the historical method's, and how far, in percentage
#: points, the rate of exceedances may be from the wanted one.
BARS: Final = {0.95: (0.89, 0.25), 0.975: (0.84, 0.15), 0.99: (0.79, 0.10)}
HISTORICAL: Final = "historical, 500 days"
DEFAULT: Final = "filtered, refitted yearly"

#: Forecasts of some portfolios, (K, N) weights, by one row of the table.
Forecaster = Callable[[Matrix], Forecasts]


@dataclass(frozen=True, eq=False)
class Study:
    """What is forecast: (T, N) returns, (T,) the market's, (K, N) weights, and the row of the first day."""

    prices: Prices
    returns: Matrix
    market: Vector
    weights: Matrix
    start: int


def study(path: Path, first_day: str | None, *, index: str | None = None, market: str | None = None) -> Study:
    """Read the prices and draw the portfolios.

    Args:
        path: Adjusted closes.
        first_day: First day to forecast; None: the first with 1250 returns before it.
        index: A column that is in no portfolio.
        market: The market of the volatility model, in no portfolio; None: the mean of what portfolios hold.
    """
    prices = read_prices(path)
    held = [column for column, name in enumerate(prices.names) if name not in {index, market}]
    returns = np.ascontiguousarray(prices.returns[:, held])
    average_or_index = returns.mean(axis=1) if market is None else prices.returns[:, prices.names.index(market)]
    start = SEED_DAYS + SCENARIO_DAYS if first_day is None else prices.row(first_day) - 1
    weights = np.vstack([np.eye(len(held)), drawn_portfolios(len(held))])
    held_prices = replace(prices, names=tuple(prices.names[each] for each in held), closes=prices.closes[:, held])
    return Study(held_prices, returns, average_or_index, weights, start)


def drawn_portfolios(names: int) -> Matrix:
    """Return (250, N) weights, the same at every run: of 3 to all names, gross exposure 1."""
    rng = np.random.default_rng(SEED)
    weights = np.zeros((LONG_ONLY + LONG_SHORT, names))
    for row, portfolio in enumerate(weights):
        chosen = rng.permutation(names)[: rng.integers(min(3, names), names + 1)]
        sizes = rng.exponential(size=chosen.size)
        if row >= LONG_ONLY:
            sizes *= rng.choice([-1.0, 1.0], size=chosen.size)
        portfolio[chosen] = sizes / np.abs(sizes).sum()
    return weights


def fitted_models(given: Study) -> Iterator[tuple[int, int, VolatilityModel]]:
    """Yield, for each year, its first and last row + 1 and the model of what was known before it."""
    observed = observe(given.returns, given.market)
    years = [label[:4] if given.prices.dated else str(row // 252) for row, label in enumerate(given.prices.labels)]
    edges = [row for row in range(given.start + 1, len(given.returns)) if years[row + 1] != years[row]]
    for first, end in zip([given.start, *edges], [*edges, len(given.returns)], strict=True):
        yield first, end, fit(observed.between(0, first)).model


def forecasters(given: Study, models: list[tuple[int, int, VolatilityModel]]) -> dict[str, Forecaster]:
    """Return the rows of the table."""

    def plain(method: Method, **options: Any) -> Forecaster:
        return lambda weights: forecasts(
            given.returns, weights, method, start=given.start, market=given.market, **options
        )

    def refitted(weights: Matrix) -> Forecasts:
        parts = [
            forecasts(
                given.returns[:end],
                weights,
                Method.FILTERED,
                start=first,
                market=given.market[:end],
                model=model,
            )
            for first, end, model in models
        ]
        var, es, pnl = (
            np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("var", "es", "pnl")
        )
        return Forecasts(Method.FILTERED, CONFIDENCES, given.start, var, es, pnl)

    return {
        HISTORICAL: plain(Method.HISTORICAL),
        "covariance, normal, 500 days": plain(Method.COVARIANCE),
        "Student-t covariance, 500 days": plain(Method.STUDENT_T),
        "EWMA .94, normal": plain(Method.EWMA),
        "filtered, EWMA .94, 1000 days": plain(Method.FILTERED, variances=ewma_variance_path(given.returns)),
        DEFAULT: refitted,
        "filtered, the shipped coefficients": plain(Method.FILTERED, model=default_model()),
    }


def scores(given: Study, rows: dict[str, Forecaster]) -> dict[str, list[tuple[LevelScores, ...]]]:
    """Return the scores of every portfolio by every row of the table."""
    found: dict[str, list[tuple[LevelScores, ...]]] = {name: [] for name in rows}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("forecasts", total=len(rows) * len(given.weights))
        for name, forecaster in rows.items():
            for first in range(0, len(given.weights), AT_ONCE):
                some = given.weights[first : first + AT_ONCE]
                found[name] += score(forecaster(some))
                bar.update(task, advance=len(some), description=name)
    return found


def summary(found: dict[str, list[tuple[LevelScores, ...]]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return the figures of the table, by row and level."""
    return {
        name: {
            level_name(level): _figures(
                average([one[column] for one in every]),
                mean(
                    [
                        one[column].pinball / plain[column].pinball
                        for one, plain in zip(every, found[HISTORICAL], strict=True)
                    ]
                ),
            )
            for column, level in enumerate(CONFIDENCES)
        }
        for name, every in found.items()
    }


def _figures(scored: AverageScores, ratio: float | None) -> dict[str, float | None]:
    return {
        "pinball_ratio": ratio,
        "exceedance_rate": scored.exceedance_rate,
        "conditional_coverage_passed": scored.conditional_coverage_passed,
        "kupiec_passed": scored.kupiec_passed,
        "green": scored.green,
        "fz0": scored.fz0,
        "z2": scored.z2,
    }


def missed(figures: dict[str, dict[str, float | None]]) -> list[str]:
    """Return a sentence for each bar that the default misses."""
    found = []
    for level, (largest, distance) in BARS.items():
        one = figures[level_name(level)]
        ratio, rate = one["pinball_ratio"] or 0.0, 100 * (one["exceedance_rate"] or 0.0)
        if ratio > largest:
            found.append(f"At {level_name(level)} % the loss is {ratio:.3f} of the historical one, not {largest}.")
        if abs(rate - 100 * (1 - level)) > distance:
            found.append(f"At {level_name(level)} % the VaR is exceeded on {rate:.2f} % of days.")
    return found


def cells(results: dict[str, dict[str, dict[str, float | None]]]) -> list[list[str]]:
    """Return the table's cells, a list a row, the header first."""
    levels = [level_name(level) for level in CONFIDENCES]
    header = ["method", *[f"{level} %" for level in levels], "exceeded, %", "coverage passed, %", "Z2 of the ES"]

    def joined(row: dict[str, dict[str, float | None]], figure: str, scale: float, form: str) -> str:
        return " / ".join(f"{scale * (row[level][figure] or 0.0):{form}}" for level in levels)

    return [header] + [
        [
            name,
            *[f"{row[level]['pinball_ratio'] or 0.0:.3f}" for level in levels],
            joined(row, "exceedance_rate", 100, ".2f"),
            joined(row, "conditional_coverage_passed", 100, ".0f"),
            joined(row, "z2", 1, ".2f"),
        ]
        for name, row in results.items()
    ]


def write(given: Study, table: list[list[str]]) -> None:
    """Put the table between the marks in the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        sys.exit(f"{DOCUMENT} has no lines “{BEGIN}” and “{END}” to write between.")
    labels = given.prices.labels
    days = f"{len(given.returns) - given.start} days from {labels[given.start + 1]} to {labels[-1]}"
    lines = [
        f"{len(given.weights)} series of {len(given.prices.names)} stocks, {days}. The first three columns are mean",
        "pinball loss over that of historical simulation, lower is better; the last ones are, at the three levels,",
        "the rate of exceedances, the share of series that pass Christoffersen's conditional coverage at 5 %, Z2.",
        "Coefficients are refitted at the start of each year on the days before; the shipped ones have seen all.",
        "",
        "| " + " | ".join(table[0]) + " |",
        "|" + "---|" * len(table[0]),
        *["| " + " | ".join(f"**{one}**" if row[0] == DEFAULT else one for one in row) + " |" for row in table[1:]],
    ]
    DOCUMENT.write_text(before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + after)


def main() -> int:
    """Print the table, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prices", type=Path, help="adjusted closes of another market; portfolios are drawn of it")
    parser.add_argument("--market", help="the column that is the market, and no stock; default: the mean of all")
    parser.add_argument("--start", help="first day to forecast; default: after 1250 returns")
    parser.add_argument("--write", action="store_true", help="put the table into docs/risk-methods.md")
    options = parser.parse_args()
    if options.prices is None:
        given = study(SAMPLE, options.start or FIRST_DAY, index=INDEX)
    else:
        given = study(options.prices, options.start, market=options.market)
    models = list(fitted_models(given))
    results = summary(scores(given, forecasters(given, models)))
    rows = cells(results)
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*row)
    console = Console()
    console = console if console.is_terminal else Console(width=160)
    console.print(table)
    failed = missed(results[DEFAULT]) if options.prices is None and options.start is None else []
    for sentence in failed:
        console.print(f"[red]{sentence}[/red]")
    if options.write:
        write(given, rows)
    content = {
        "threads": os.environ["OPENBLAS_NUM_THREADS"],
        "days": len(given.returns) - given.start,
        "series": len(given.weights),
        "coefficients": {given.prices.labels[first + 1]: model.coefficients for first, _, model in models},
        "results": results,
    }
    json.dump(content, sys.stdout, indent=2)
    print()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
