"""What `tailwatch validate` says: a JSON document, and a table with a sentence on each method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from tailwatch.risk import CONFIDENCES, Method
from tailwatch.risk.backtest import AverageScores, average, level_name, to_json_dict
from tailwatch.risk.backtest.summary import SIGNIFICANCE, mean
from tailwatch.risk.tail import tail_probability

if TYPE_CHECKING:
    from tailwatch.cli.validate import Backtest

#: A method is said to hold where that share of the portfolios passes a test: one in twenty fails by chance, and
#: portfolios of the same names fail together.
MOST: Final = 0.8
#: The level that the sentence on a method speaks of: the one that supervisors count exceedances at.
JUDGED: Final = 0.99

#: Columns of the terminal where the output goes into a file.
_WIDTH: Final = 120
#: Members that carry the name of their author among tests of several.
_NAMES: Final = {
    "independence_p": "christoffersen_independence_p",
    "conditional_coverage_p": "christoffersen_cc_p",
}

#: Of each method: pinball loss over that of the historical method, a row a portfolio, a column a level.
Ratios = dict[Method, list[list[float | None]]]


def document(backtest: Backtest) -> dict[str, object]:
    """Return the JSON document: the data, the averages by method and level, and every portfolio."""
    ratios = _ratios(backtest)
    return {
        "data": _data(backtest),
        "methods": {
            method.value: {
                level_name(level): _average_json(
                    _average(backtest, method, column), _mean_ratio(ratios, method, column)
                )
                for column, level in enumerate(CONFIDENCES)
            }
            for method in backtest.scores
        },
        "portfolios": {
            name: {
                method.value: _portfolio_json(to_json_dict(scores[row]), ratios[method][row])
                for method, scores in backtest.scores.items()
            }
            for row, name in enumerate(backtest.portfolios.names)
        },
    }


def show(backtest: Backtest) -> None:
    """Print the table of all methods, and a sentence on each."""
    console = Console(highlight=False)
    if not console.is_terminal:
        # A file or a pipe has no width, and rich would take 80 columns for one.
        console = Console(highlight=False, width=_WIDTH)
    data = _data(backtest)
    ratios = _ratios(backtest)
    console.print(
        f"{data['n']} days, {data['start']} to {data['end']}, {len(backtest.portfolios.names)} portfolios of "
        f"{len(backtest.prices.names)} names; forecasts one day ahead.",
        markup=False,
    )
    console.print(_table(backtest, ratios))
    tests = "p-values" if len(backtest.portfolios.names) == 1 else f"share of portfolios with p ≥ {SIGNIFICANCE:.0%}"
    console.print(
        "Loss: pinball loss over that of historical; lower is better, as is FZ0 (VaR and ES together). Tests, "
        f"{tests}: as many exceedances as wanted (Kupiec), not following one another (independent), both "
        "(Christoffersen). Light: share of 250-day runs in green / yellow / red. Z2: below zero, ES was too small.",
        style="dim",
    )
    for method in backtest.scores:
        console.print(f"[bold]{method.value}[/bold]: {verdict(backtest, method)}")


def verdict(backtest: Backtest, method: Method) -> str:
    """Return one sentence on a method at the 99 % level."""
    column = CONFIDENCES.index(JUDGED)
    scores = _average(backtest, method, column)
    wanted = tail_probability(JUDGED)
    if (scores.kupiec_passed or 0.0) >= MOST:
        judgement = "the number of exceedances is as wanted"
    elif scores.exceedance_rate > wanted:
        judgement = "risk is understated"
    else:
        judgement = "risk is overstated"
    if scores.independence_passed is not None and scores.independence_passed < MOST:
        judgement += ", and exceedances come in clusters"
    sentence = (
        f"{judgement} at {JUDGED:.0%}, with losses beyond the VaR on {scores.exceedance_rate:.2%} of days where "
        f"{wanted:.0%} is wanted"
    )
    ratio = _mean_ratio(_ratios(backtest), method, column)
    if ratio is not None and method is not Method.HISTORICAL:
        sentence += f"; its forecasts are {abs(1 - ratio):.1%} {'better' if ratio < 1 else 'worse'} than historical's"
    return f"{sentence}."


def _data(backtest: Backtest) -> dict[str, object]:
    prices, portfolios = backtest.prices, backtest.portfolios
    return {
        "prices": str(prices.path),
        "names": list(prices.names),
        "rows": len(prices.labels),
        "first": prices.labels[0],
        "last": prices.labels[-1],
        "start": prices.labels[backtest.start],
        "start_row": backtest.start,
        "end": prices.labels[-1],
        "n": len(prices.labels) - backtest.start,
        "portfolios": len(portfolios.names),
        "market": backtest.market,
        "carried": prices.carried,
        "left_out": {"names": prices.left_out, "portfolios": portfolios.left_out},
        "remarks": list(prices.remarks),
    }


def _average(backtest: Backtest, method: Method, column: int) -> AverageScores:
    return average([levels[column] for levels in backtest.scores[method]])


def _ratios(backtest: Backtest) -> Ratios:
    """Return the ratios; None where the historical method was not run or lost nothing."""
    base = backtest.scores.get(Method.HISTORICAL)
    return {
        method: [
            [
                one.pinball / base[row][column].pinball if base and base[row][column].pinball > 0 else None
                for column, one in enumerate(levels)
            ]
            for row, levels in enumerate(scores)
        ]
        for method, scores in backtest.scores.items()
    }


def _mean_ratio(ratios: Ratios, method: Method, column: int) -> float | None:
    return mean([row[column] for row in ratios[method]])


def _portfolio_json(levels: dict[str, dict[str, object]], ratios: list[float | None]) -> dict[str, dict[str, object]]:
    return {
        level: {_NAMES.get(name, name): value for name, value in members.items()} | {"pinball_ratio": ratio}
        for (level, members), ratio in zip(levels.items(), ratios, strict=True)
    }


def _average_json(scores: AverageScores, ratio: float | None) -> dict[str, object]:
    light = {"green": scores.green, "yellow": scores.yellow, "red": scores.red}
    return {
        "n": scores.n,
        "exceedances": scores.exceedances,
        "exceedance_rate": scores.exceedance_rate,
        "pinball": scores.pinball,
        "pinball_ratio": ratio,
        "fz0": scores.fz0,
        "kupiec_p": scores.kupiec_p,
        "christoffersen_independence_p": scores.independence_p,
        "christoffersen_cc_p": scores.conditional_coverage_p,
        "traffic_light": None if scores.green is None else light,
        "z2": scores.z2,
        "passed": {
            "kupiec": scores.kupiec_passed,
            "christoffersen_independence": scores.independence_passed,
            "christoffersen_cc": scores.conditional_coverage_passed,
        },
    }


def _table(backtest: Backtest, ratios: Ratios) -> Table:
    table = Table(pad_edge=False)
    for heading in ("Method", "Level"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Exceeded", "Wanted", "Loss", "FZ0", "Kupiec", "Independent", "Both", "Light", "Z2"):
        table.add_column(heading, justify="right", no_wrap=True)
    for method in backtest.scores:
        for column, level in enumerate(CONFIDENCES):
            scores = _average(backtest, method, column)
            shares = (scores.kupiec_passed, scores.independence_passed, scores.conditional_coverage_passed)
            tests = [_share(share) for share in shares]
            if scores.portfolios == 1:
                p_values = (scores.kupiec_p, scores.independence_p, scores.conditional_coverage_p)
                tests = [_figure(p_value) for p_value in p_values]
            zones = (scores.green, scores.yellow, scores.red)
            table.add_row(
                method.value if column == 0 else "",
                f"{level_name(level)} %",
                f"{scores.exceedance_rate:.2%}",
                f"{tail_probability(level):.1%}",
                _figure(_mean_ratio(ratios, method, column)),
                _figure(scores.fz0),
                *tests,
                "–" if scores.green is None else " / ".join(_share(part) for part in zones),
                _figure(scores.z2),
                end_section=column == len(CONFIDENCES) - 1,
            )
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
