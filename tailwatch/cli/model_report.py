"""What `tailwatch model` says: coefficients, and a comparison of two sets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from tailwatch.risk import CONFIDENCES
from tailwatch.risk.backtest import level_name
from tailwatch.risk.volatility import DOWNSIDE_SPANS, SQUARE_SPANS

if TYPE_CHECKING:
    from tailwatch.measurement.model import Choice
    from tailwatch.risk.backtest.models import HeldOut
    from tailwatch.risk.volatility import Measure, VolatilityModel

#: What each coefficient is the weight of, in their order.
TERMS: Final = (
    *[f"squares, {span} d" for span in SQUARE_SPANS],
    *[f"falls, {span} d" for span in DOWNSIDE_SPANS],
    *[f"market's falls, {span} d" for span in DOWNSIDE_SPANS],
)
#: A loss that differs by less says nothing.
_NO_DIFFERENCE: Final = 0.001
_WIDTH: Final = 100


@dataclass(frozen=True)
class Comparison:
    """New coefficients beside those in use.

    Attributes:
        in_use: What portfolios are measured with.
        past: Learned from the days before those held out.
        new: Learned from all days.
        instruments: How many were learned from.
        learned: First and last day that `past` learned from.
        held_out: First and last day that both were scored on.
        scores: Of `in_use` and of `past` on the days held out.
    """

    in_use: VolatilityModel
    past: VolatilityModel
    new: VolatilityModel
    instruments: int
    learned: tuple[str, str]
    held_out: tuple[str, str]
    scores: tuple[HeldOut, HeldOut]
    #: Of what was learned by squared returns and, where that could be tried, by the days' ranges; the better is new.
    by_measure: Mapping[Measure, HeldOut] = field(default_factory=dict)


def show_choice(choice: Choice) -> None:
    """Print the model in use."""
    console = _console()
    table = Table("average of", "coefficient")
    for term, value in zip(TERMS, choice.model.coefficients, strict=True):
        table.add_row(term, f"{value:.3f}")
    console.print(table)
    for name, text in choice.model.provenance.items():
        console.print(f"{name}: {text}", markup=False)
    since = "" if choice.chosen_at is None else f", since {choice.chosen_at:%Y-%m-%d %H:%M %Z}"
    whose = "the coefficients that Tailwatch comes with" if choice.shipped else "coefficients of your own"
    if choice.model.measure == "range":
        console.print("The instruments' own past is measured by the days' ranges where open, high and low are known.")
    console.print(f"In use: {whose}{since}. Digest: {choice.model.digest}", markup=False)


def show_comparison(comparison: Comparison) -> None:
    """Print how the new coefficients did on the days held out, and what they are."""
    console = _console()
    console.print(
        f"{comparison.instruments} instruments. Learned from {comparison.learned[0]} to {comparison.learned[1]}, "
        f"compared on {comparison.held_out[0]} to {comparison.held_out[1]}.",
        markup=False,
    )
    console.print(_scores(comparison))
    console.print(
        "Each instrument alone, and all in equal parts, one day ahead. Loss: mean pinball loss over that of the "
        "coefficients in use, lower is better. Log-likelihood: higher is better.",
        style="dim",
    )
    console.print(_coefficients(comparison))
    if len(comparison.by_measure) > 1:
        console.print(measures_compared(comparison), markup=False)
    console.print(verdict(comparison), markup=False)


def mean_loss(scores: HeldOut) -> float:
    """Return pinball loss over that of the model in use, the mean of the levels; 1 where none is known."""
    ratios = [ratio for ratio in scores.loss_ratios if ratio is not None]
    return sum(ratios) / len(ratios) if ratios else 1.0


def measures_compared(comparison: Comparison) -> str:
    """Return one sentence on whether open, high and low help."""
    squares, ranges = (mean_loss(comparison.by_measure[each]) - 1 for each in ("squares", "range"))
    chosen = "they are used" if comparison.new.measure == "range" else "they are not used"
    return f"With open, high and low: {ranges:+.2%} loss; by squared returns alone: {squares:+.2%}. So {chosen}."


def verdict(comparison: Comparison) -> str:
    """Return one sentence on whether the new coefficients forecast better."""
    change = mean_loss(comparison.scores[1]) - 1
    if abs(change) < _NO_DIFFERENCE:
        found = f"Out of sample the new coefficients forecast as well as those in use ({change:+.2%} loss)"
    elif change < 0:
        found = f"Out of sample the new coefficients forecast better than those in use ({change:+.2%} loss)"
    else:
        found = f"Out of sample the new coefficients forecast worse than those in use ({change:+.2%} loss)"
    origin = comparison.in_use.provenance.get("data")
    seen = f"; those in use may have learned from some of these days (they are from {origin})" if origin else ""
    return f"{found}{seen}."


def _scores(comparison: Comparison) -> Table:
    old, new = comparison.scores
    table = Table("", "in use", "new")
    table.add_row("log-likelihood", f"{old.log_likelihood:.4f}", f"{new.log_likelihood:.4f}")
    for column, level in enumerate(CONFIDENCES):
        ratios = [one.loss_ratios[column] for one in (old, new)]
        losses = ["–" if ratio is None else f"{ratio:.4f}" for ratio in ratios]
        table.add_row(f"{level_name(level)} %: loss", *losses)
        rates = [one.levels[column].exceedance_rate for one in (old, new)]
        table.add_row(f"{level_name(level)} %: exceeded ({1 - level:.1%} wanted)", *[f"{rate:.2%}" for rate in rates])
    return table


def _coefficients(comparison: Comparison) -> Table:
    table = Table("average of", "in use", "of the days compared with", "of all days: the new ones")
    models = (comparison.in_use, comparison.past, comparison.new)
    for term, *values in zip(TERMS, *[one.coefficients for one in models], strict=True):
        table.add_row(term, *[f"{value:.3f}" for value in values])
    return table


def _console() -> Console:
    console = Console(highlight=False)
    # A file or a pipe has no width, and rich would take 80 columns for one.
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)
