"""What `tailwatch model` says: coefficients, and a comparison of two sets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from tailwatch.risk import CONFIDENCES
from tailwatch.risk.backtest import level_name
from tailwatch.risk.volatility import DOWNSIDE_SPANS, SQUARE_SPANS

if TYPE_CHECKING:
    from tailwatch.measurement.model import Choice
    from tailwatch.risk.backtest.models import HeldOut
    from tailwatch.risk.volatility import VolatilityModel

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
    console.print(verdict(comparison), markup=False)


def verdict(comparison: Comparison) -> str:
    """Return one sentence on whether the new coefficients forecast better."""
    ratios = [ratio for ratio in comparison.scores[1].loss_ratios if ratio is not None]
    change = sum(ratios) / len(ratios) - 1 if ratios else 0.0
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
