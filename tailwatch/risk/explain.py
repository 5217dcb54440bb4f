"""Why the figures moved: the change between two measurements of a portfolio, cause by cause, adding up exactly.

The portfolio is revalued step by step from what was stored to what is new. Each step changes one thing and keeps
what the steps before it changed, and a cause's part is what its step adds:

1. corrections: the previous positions, at the previous day's prices and on the history up to that day, as both are
   known today. Restated prices, and prices that arrived since, stand here.
2. trades: today's quantities and settings, still at the previous day's prices and scenarios.
3. prices: today's market values, prices and exchange rates, on the previous day's scenarios.
4. volatility: each instrument's scenarios at its new volatility: the old standardised scenarios times σ_now.
5. correlation: the new scenarios. What moves here is how the instruments move together, and the shape of tails.

A scenario matrix whose columns are scaled by k gives v the outcomes that the unscaled one gives k∘v. So every step is
a vector of exposures on one of two samples, and a whole explanation is a handful of rows of one product.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

import numpy as np

from tailwatch.risk.arrays import Vector
from tailwatch.risk.caveats import LARGEST_LEVERAGE
from tailwatch.risk.covariance import NO_MOVEMENT, ewma_variances
from tailwatch.risk.headline import headline_figures
from tailwatch.risk.methods import Figures
from tailwatch.risk.results import HeadlineFigures
from tailwatch.risk.types import Method, RiskSettings, Sample

#: The causes, in the order in which they are taken apart.
ORDER: Final = ("corrections", "trades", "prices", "volatility", "correlation")
#: The headline figures that are taken apart.
FIGURES: Final = tuple(one.name for one in fields(HeadlineFigures))
#: Of a portfolio without positions, in currency.
NO_RISK: Final = HeadlineFigures(**dict.fromkeys(FIGURES, 0.0))

_ANNUAL: Final = 252**0.5
_CURRENCIES: Final = {"USD": "$", "EUR": "€", "GBP": "£"}
#: Parts below this share of the figure are rounding to a reader of the sentence.
_WORTH_TELLING: Final = 0.0005


@dataclass(frozen=True)
class Standing:
    """A portfolio's headline figures at one step.

    Attributes:
        nav: Base currency.
        amounts: Base currency, one day but for the annualised volatility; None where there is no such figure.
        fractions: The same over NAV; None where NAV is no measure.
    """

    nav: float
    amounts: HeadlineFigures
    fractions: HeadlineFigures


@dataclass(frozen=True)
class Book:
    """Positions at one step.

    Attributes:
        values: Signed market value by ticker, base currency.
        cash: Base currency.
    """

    values: Mapping[str, float]
    cash: float = 0.0

    @property
    def nav(self) -> float:
        """Sum of the values, and cash."""
        return math.fsum([*self.values.values(), self.cash])

    @property
    def is_fraction_usable(self) -> bool:
        """Whether figures may be stated as fractions of NAV."""
        gross = math.fsum(map(abs, self.values.values()))
        return self.nav > 0 and gross <= LARGEST_LEVERAGE * self.nav


@dataclass(frozen=True)
class Change:
    """One figure between two measurements.

    Attributes:
        previous: As it was stored; None where it did not exist.
        current: As it is; None where it does not exist.
        parts: By cause, adding up to current − previous; None where the figure is missing at some step.
    """

    previous: float | None
    current: float | None
    parts: Mapping[str, float] | None

    @property
    def change(self) -> float | None:
        """Current − previous."""
        return None if self.previous is None or self.current is None else self.current - self.previous


@dataclass(frozen=True)
class Explanation:
    """All figures taken apart.

    Attributes:
        nav: Base currency.
        fractions: By the name of the headline figure.
        amounts: The same in base currency.
    """

    nav: Change
    fractions: Mapping[str, Change] = field(default_factory=dict)
    amounts: Mapping[str, Change] = field(default_factory=dict)


def explain(
    previous: Standing,
    current: Standing,
    *,
    restated: Standing,
    traded: Book,
    now: Book,
    before: Sample,
    after: Sample,
    settings: RiskSettings,
) -> Explanation:
    """Take the change of every headline figure apart.

    Args:
        previous: As it was stored.
        current: As it is stored.
        restated: The previous positions by the previous settings on today's knowledge of the previous day: `standing`
            of their values on that history; `previous` itself where nothing was restated.
        traded: Today's quantities at the previous day's prices.
        now: Today's positions.
        before: Today's instruments on the history up to the previous day.
        after: Today's instruments on today's history.
        settings: Today's.
    """
    figures = None
    if before.tickers:
        held = _exposures(now, before)
        # Volatility and tails rest on different scenarios, and so does what scales them.
        for_volatility = held * _ratios(before, after, before.volatilities, after.volatilities)
        for_tails = held * _tail_ratios(settings.method, before, after)
        rows = np.stack([_exposures(traded, before), held, for_volatility, for_tails])
        figures = headline_figures(before, rows, settings)
    return attribute(
        [
            previous,
            restated,
            _standing(figures, 0, 0, traded),
            _standing(figures, 1, 1, now),
            _standing(figures, 2, 3, now),
            current,
        ]
    )


def explain_trades(previous: Standing, current: Standing) -> Explanation:
    """Take the change apart where prices and history are what they were: all of it is due to trades and settings."""
    return attribute([previous, previous, current, current, current, current])


def attribute(steps: Sequence[Standing]) -> Explanation:
    """Return the differences from step to step, of which there is one more than causes."""
    return Explanation(
        nav=_change([step.nav for step in steps]),
        fractions={name: _change([getattr(step.fractions, name) for step in steps]) for name in FIGURES},
        amounts={name: _change([getattr(step.amounts, name) for step in steps]) for name in FIGURES},
    )


def standing(book: Book, sample: Sample, settings: RiskSettings) -> Standing:
    """Return the headline figures of positions on a sample, as `tailwatch.risk.measure` has them."""
    figures = headline_figures(sample, _exposures(book, sample)[None, :], settings) if sample.tickers else None
    return _standing(figures, 0, 0, book)


def sentence(explanation: Explanation, settings: RiskSettings, currency: str) -> str:
    """Say how the leading VaR moved and why: "VaR 95 rose by $512 (1.99 % → 2.21 %): +$430 trades, …"."""
    level = f"{100 * settings.confidence:g}"
    key = f"var_{level.replace('.', '')}_1d"
    amount, fraction = explanation.amounts[key], explanation.fractions[key]
    if amount.current is None:
        return f"There is no VaR {level} to compare with the one before."
    if amount.change is None or amount.previous is None:
        return f"There was no VaR {level} in the snapshot before."
    shares = ""
    if fraction.previous is not None and fraction.current is not None:
        shares = f" ({100 * fraction.previous:.2f} % → {100 * fraction.current:.2f} %)"
    size = max(abs(amount.current), abs(amount.previous))
    if abs(amount.change) <= _WORTH_TELLING * size:
        return f"VaR {level} is unchanged at {_money(amount.current, currency)}{shares}."
    head = f"VaR {level} {'rose' if amount.change > 0 else 'fell'} by {_money(abs(amount.change), currency)}{shares}"
    told = [
        f"{'+' if part > 0 else '−'}{_money(abs(part), currency)} {cause}"
        for cause, part in (amount.parts or {}).items()
        if abs(part) > _WORTH_TELLING * size
    ]
    return f"{head}: {', '.join(told)}." if told else f"{head}."


def to_json_dict(explanation: Explanation) -> dict[str, Any]:
    """Return `figures`, fractions of NAV with NAV itself, and `amounts`, as JSON-ready members."""
    figures = {name: _change_json(change, "fraction") for name, change in explanation.fractions.items()}
    figures["nav"] = _change_json(explanation.nav, "currency")
    amounts = {name: _change_json(change, "currency") for name, change in explanation.amounts.items()}
    return {"figures": figures, "amounts": amounts}


def _change_json(change: Change, unit: str) -> dict[str, Any]:
    return {
        "unit": unit,
        "previous": change.previous,
        "current": change.current,
        "change": change.change,
        "parts": None if change.parts is None else dict(change.parts),
    }


def _change(values: Sequence[float | None]) -> Change:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Change(values[0], values[-1], None)
    parts = [new - old for old, new in itertools.pairwise(known)]
    # The last one takes what rounding the others left over.
    parts[-1] = (known[-1] - known[0]) - sum(parts[:-1])
    return Change(known[0], known[-1], dict(zip(ORDER, parts, strict=True)))


def _standing(figures: Figures | None, volatility: int, tails: int, book: Book) -> Standing:
    """Return a step's figures from these rows of them: an empty book risks nothing, whatever is known of prices."""
    nav = book.nav
    if not any(book.values.values()):
        return Standing(nav, NO_RISK, HeadlineFigures())
    if figures is None:
        return Standing(nav, HeadlineFigures(), HeadlineFigures())
    (var_95, var_975, var_99), (es_95, es_975, es_99) = (
        figures.value_at_risk[tails].tolist(),
        figures.expected_shortfall[tails].tolist(),
    )
    annual = float(figures.volatility[volatility]) * _ANNUAL
    amounts = HeadlineFigures(var_95, es_95, var_975, es_975, var_99, es_99, annual)
    if not book.is_fraction_usable:
        return Standing(nav, amounts, HeadlineFigures())
    return Standing(nav, amounts, HeadlineFigures(**{name: value / nav for name, value in asdict(amounts).items()}))


def _exposures(book: Book, sample: Sample) -> Vector:
    exposures = np.zeros(len(sample.tickers))
    for ticker, value in book.values.items():
        column = sample.index.get(ticker)
        if column is not None:
            exposures[column] = value
    return exposures


def _ratios(before: Sample, after: Sample, old: Vector, new: Vector) -> Vector:
    """Return (M,) what the instruments of `before` are scaled by; 1 for one that did not or does not move."""
    ratios = np.ones(len(before.tickers))
    for ticker, column in before.index.items():
        other = after.index.get(ticker)
        if other is not None and old[column] > NO_MOVEMENT and new[other] > NO_MOVEMENT:
            ratios[column] = new[other] / old[column]
    return ratios


def _tail_ratios(method: Method, before: Sample, after: Sample) -> Vector:
    if method is Method.FILTERED:
        return _ratios(before, after, before.volatility_now, after.volatility_now)
    if method is Method.EWMA:
        return _ratios(before, after, *(np.sqrt(ewma_variances(sample.returns)) for sample in (before, after)))
    return _ratios(before, after, before.volatilities, after.volatilities)


def _money(amount: float, currency: str) -> str:
    digits = f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"
    symbol = _CURRENCIES.get(currency)
    return f"{symbol}{digits}" if symbol else f"{currency} {digits}"
