"""`tailwatch validate`: backtest the risk methods on a file of prices, without server or database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from tailwatch.errors import InputFileError, InvalidRiskSettingsError, TailwatchError, TooLittleHistoryError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwatch.cli.price_files import Prices
    from tailwatch.cli.weight_files import Portfolios
    from tailwatch.risk import Method
    from tailwatch.risk.backtest import LevelScores

#: Portfolios forecast at once: what bounds the memory.
PORTFOLIOS_AT_ONCE: Final = 128
#: Days that a backtest has to score unless its start is given.
FEWEST_DAYS: Final = 250


class Output(StrEnum):
    """What is written to standard output."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, eq=False)
class Backtest:
    """Everything that is to be shown.

    Attributes:
        prices: What was read.
        portfolios: What was forecast.
        start: Price row of the first day scored.
        market: Column that is the market, or None for the mean of all.
        scores: Of each portfolio in order, by level, for each method.
    """

    prices: Prices
    portfolios: Portfolios
    start: int
    market: str | None
    scores: dict[Method, list[tuple[LevelScores, ...]]]


def validate(
    prices: Annotated[
        Path,
        typer.Option(
            help="CSV of adjusted closes: dates or row numbers in the first column, then one column a name. "
            "May be gzipped; commas, semicolons or tabs.",
        ),
    ],
    *,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="CSV of portfolios, one a row: a header of names of the price file, optionally a first column of "
            "portfolio names. Short positions are negative; fractions of NAV, or amounts (losses are then amounts). "
            "Default: each column alone.",
        ),
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Which methods, separated by commas.", metavar="NAME,…")
    ] = "historical,covariance,student_t,ewma,filtered",
    start: Annotated[
        str | None,
        typer.Option(
            help="First day to score: a date, or a row number as in the file's first column; in a file of dates a "
            "row counted from 0. Default: after 1250 returns, after 500 in a file of fewer than 1500.",
            metavar="DATE|ROW",
        ),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option(
            help="Column that is the market in the filtered method's volatility; it is no portfolio by default. "
            "Without: the equal-weight mean of all columns.",
            metavar="NAME",
        ),
    ] = None,
    skip_gaps: Annotated[
        bool,
        typer.Option(
            "--skip-gaps", help="Leave out names with more than 5 prices missing in a row, and portfolios of them."
        ),
    ] = False,
    out: Annotated[Output, typer.Option(help="A table to read, or JSON with every portfolio.")] = Output.TABLE,
) -> None:
    """Check the risk methods on prices of your own: each day's VaR and ES against the next day's result.

    A day's forecast uses the days before it only; a portfolio has the same
    weights on every day; all methods are scored on the same days. Up to 5
    missing prices in a row are carried forward. The result goes to standard
    output, remarks and progress to standard error; exit code 2 says that a file
    or an option cannot be used. docs/risk-methods.md explains every figure.
    """
    remarks = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        backtest = run(prices, weights, methods, start, market, skip_gaps=skip_gaps, remarks=remarks)
    except TailwatchError as error:
        remarks.print(str(error))
        raise typer.Exit(2) from error
    from tailwatch.cli import validation_report

    if out is Output.JSON:
        typer.echo(json.dumps(validation_report.document(backtest), indent=1, allow_nan=False))
    else:
        validation_report.show(backtest)


def run(
    prices_file: Path,
    weights_file: Path | None,
    methods: str,
    start: str | None,
    market: str | None,
    *,
    skip_gaps: bool,
    remarks: Console,
) -> Backtest:
    """Read the files and score every portfolio by every method.

    Raises:
        TailwatchError: a file or an option cannot be used.
    """
    from tailwatch.cli.price_files import read_prices

    wanted = _methods(methods)
    prices = read_prices(prices_file, skip_gaps=skip_gaps)
    for remark in prices.remarks:
        remarks.print(remark)
    for reason in prices.left_out.values():
        remarks.print(f"Left out: {reason}.")
    portfolios = _portfolios(prices, weights_file, market)
    if portfolios.left_out:
        remarks.print(f"{len(portfolios.left_out)} portfolios hold a name that is left out, and are left out, too.")
    row = _start(prices, start, remarks)
    scores = _score(prices, portfolios, wanted, row=row, market=market, remarks=remarks)
    return Backtest(prices, portfolios, row, market, scores)


def _methods(names: str) -> list[Method]:
    """Return the methods of a list of names, each once."""
    from tailwatch.risk import Method

    chosen = []
    for name in names.split(","):
        try:
            chosen.append(Method(name.strip().lower()))
        except ValueError:
            known = ", ".join(method.value for method in Method)
            raise InvalidRiskSettingsError(f"There is no method “{name.strip()}”. There are: {known}.") from None
    return list(dict.fromkeys(chosen))


def _portfolios(prices: Prices, weights: Path | None, market: str | None) -> Portfolios:
    """Return the portfolios of the file, or each column alone, the market aside."""
    import numpy as np

    from tailwatch.cli.weight_files import Portfolios, read_weights

    if market is not None and market not in prices.names:
        close = get_close_matches(market, prices.names, n=1)
        guess = f" Meant is perhaps {close[0]}." if close else ""
        raise InputFileError(prices.left_out.get(market, f"{prices.path} has no column {market}.") + guess)
    if weights is not None:
        return read_weights(weights, prices)
    alone = [column for column, name in enumerate(prices.names) if name != market]
    if not alone:
        raise InputFileError(f"{prices.path} has no column besides the market.")
    return Portfolios(tuple(prices.names[column] for column in alone), np.eye(len(prices.names))[alone], {})


def _start(prices: Prices, wanted: str | None, remarks: Console) -> int:
    """Return the price row of the first day to score: the one asked for, or the default that fits the file."""
    from tailwatch.risk import DEFAULT_WINDOW
    from tailwatch.risk.averages import SEED_DAYS
    from tailwatch.risk.backtest import EARLIEST_START
    from tailwatch.risk.scenarios import SCENARIO_DAYS

    days = len(prices.labels) - 1
    full = SEED_DAYS + SCENARIO_DAYS
    if wanted is None:
        if days >= full + FEWEST_DAYS:
            return full + 1
        if days >= DEFAULT_WINDOW + FEWEST_DAYS:
            remarks.print(f"With {days} returns the first {DEFAULT_WINDOW} are only learned from; {full} are better.")
            return DEFAULT_WINDOW + 1
        raise TooLittleHistoryError(
            f"{prices.path} has {days} daily returns, too few for a backtest worth the name: it takes "
            f"{DEFAULT_WINDOW} to learn from and {FEWEST_DAYS} to score. --start names a day of your own, with "
            f"{EARLIEST_START} or more returns before it."
        )
    row = prices.row(wanted)
    # The return of price row r is the r-th, so r−1 returns lie before it.
    if row - 1 < EARLIEST_START:
        earliest = "" if days <= EARLIEST_START else f"; the earliest such day is {prices.labels[EARLIEST_START + 1]}"
        raise TooLittleHistoryError(
            f"{prices.labels[row]} has {max(row - 1, 0)} returns before it; a forecast needs "
            f"{EARLIEST_START}{earliest}."
        )
    if row - 1 < full:
        remarks.print(f"The first days have {row - 1} returns to learn from; the filtered method sees up to {full}.")
    return row


def _score(
    prices: Prices,
    portfolios: Portfolios,
    methods: Sequence[Method],
    *,
    row: int,
    market: str | None,
    remarks: Console,
) -> dict[Method, list[tuple[LevelScores, ...]]]:
    """Return the scores of every portfolio by every method; a bar shows how far it is."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from tailwatch.risk import Method
    from tailwatch.risk.backtest import forecasts, score, variance_path

    returns: NDArray[np.float64] = prices.returns
    average = returns.mean(axis=1) if market is None else returns[:, prices.names.index(market)]
    weights = portfolios.weights
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    scores: dict[Method, list[tuple[LevelScores, ...]]] = {method: [] for method in methods}
    with Progress(*columns, console=remarks, transient=True, disable=not remarks.is_terminal) as bar:
        task = bar.add_task("volatility", total=len(methods) * len(weights) * (len(prices.labels) - row))
        variances = variance_path(returns, market=average) if Method.FILTERED in methods else None
        for first in range(0, len(weights), PORTFOLIOS_AT_ONCE):
            for method in methods:
                bar.update(task, description=method.value)
                some = forecasts(
                    returns,
                    weights[first : first + PORTFOLIOS_AT_ONCE],
                    method,
                    start=row - 1,
                    market=average,
                    variances=variances,
                    progress=lambda done: bar.advance(task, done),
                )
                scores[method] += score(some)
    return scores
