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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

import numpy as np

from tailwatch.risk.arrays import Indices, Matrix, Vector
from tailwatch.risk.caveats import LARGEST_LEVERAGE
from tailwatch.risk.covariance import NO_MOVEMENT
from tailwatch.risk.methods import Figures
from tailwatch.risk.results import HeadlineFigures
from tailwatch.risk.stack import fitting, headline_stack
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


class Case(NamedTuple):
    """The two measurements of a portfolio that are told apart, and what lies between them."""

    previous: Standing
    """As it was stored."""
    current: Standing
    """As it is stored."""
    restated: Standing
    """The previous positions by the previous settings on today's knowledge of the previous day: `standings` of their
    values on that history; `previous` itself where nothing was restated."""
    traded: Book
    """Today's quantities at the previous day's prices."""
    now: Book
    """Today's positions."""
    before: Sample
    """Today's instruments on the history up to the previous day."""
    after: Sample
    """Today's instruments on today's history."""
    settings: RiskSettings
    """Today's."""


def explain(case: Case) -> Explanation:
    """Take the change of every headline figure of one portfolio apart."""
    return explain_all([case])[0]


def explain_all(cases: Sequence[Case]) -> list[Explanation]:
    """Take the changes of many portfolios apart, those on one sample with as many positions in one go."""
    figures = _figures([_request(case) for case in cases])
    return [
        attribute(
            [
                case.previous,
                case.restated,
                _standing(rows, 0, 0, case.traded),
                _standing(rows, 1, 1, case.now),
                _standing(rows, 2, 3, case.now),
                case.current,
            ]
        )
        for case, rows in zip(cases, figures, strict=True)
    ]


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


def standings(measured: Sequence[tuple[Book, Sample, RiskSettings]]) -> list[Standing]:
    """Return the headline figures of positions on samples, as `tailwatch.risk.measure` has them."""
    requests = []
    for book, sample, settings in measured:
        columns = _columns(sample, book.values)
        requests.append(_Request(sample, settings, columns, _on(sample, columns, book)[None, :]))
    return [_standing(rows, 0, 0, book) for (book, _, _), rows in zip(measured, _figures(requests), strict=True)]


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


class _Request(NamedTuple):
    """Headline figures that are wanted: of (k, n) values on (n,) columns of a sample."""

    sample: Sample
    settings: RiskSettings
    columns: Indices
    values: Matrix


def _request(case: Case) -> _Request:
    """Return the four rows of a case: traded, now, and now at the new volatilities of the window and of the tails."""
    before, after = case.before, case.after
    columns = _columns(before, case.traded.values.keys() | case.now.values.keys())
    held = _on(before, columns, case.now)
    same = np.array([after.index.get(before.tickers[column], -1) for column in columns.tolist()], dtype=np.intp)
    # Volatility and tails rest on different scenarios, and so does what scales them.
    for_volatility = held * _ratios(before.volatilities[columns], after.volatilities, same)
    old, new = _tail_volatilities(case.settings.method, before), _tail_volatilities(case.settings.method, after)
    for_tails = held * _ratios(old[columns], new, same)
    rows = np.stack([_on(before, columns, case.traded), held, for_volatility, for_tails])
    return _Request(before, case.settings, columns, rows)


def _figures(requests: Sequence[_Request]) -> list[Figures | None]:
    """Return the figures of each request, (k,) and (k, L); None where the sample has no instrument."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, one in enumerate(requests):
        if one.sample.tickers:
            key = (id(one.sample), one.settings.method, one.settings.covariance, one.values.shape)
            alike.setdefault(key, []).append(place)
    found: dict[int, Figures] = {}
    for places in alike.values():
        first = requests[places[0]]
        at_once = fitting(first.sample, first.columns.size)
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            together = headline_stack(
                first.sample,
                first.settings,
                np.array([requests[each].columns for each in some]),
                np.array([requests[each].values for each in some]),
            )
            size = len(first.values)
            for row, each in enumerate(some):
                rows = slice(row * size, (row + 1) * size)
                found[each] = Figures(
                    together.volatility[rows], together.value_at_risk[rows], together.expected_shortfall[rows]
                )
    return [found.get(place) for place in range(len(requests))]


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
    amounts = (var_95, es_95, var_975, es_975, var_99, es_99, annual)
    fractions = HeadlineFigures()
    if book.is_fraction_usable:
        fractions = HeadlineFigures(*[value / nav for value in amounts])
    return Standing(nav, HeadlineFigures(*amounts), fractions)


def _columns(sample: Sample, tickers: Iterable[str]) -> Indices:
    """Return the columns of those tickers that have one, in the order of the sample."""
    columns = (sample.index.get(ticker) for ticker in tickers)
    return np.array(sorted(column for column in columns if column is not None), dtype=np.intp)


def _on(sample: Sample, columns: Indices, book: Book) -> Vector:
    tickers = (sample.tickers[column] for column in columns.tolist())
    return np.array([book.values.get(ticker, 0.0) for ticker in tickers], dtype=np.float64)


def _ratios(old: Vector, new: Vector, same: Indices) -> Vector:
    """Return (n,) what instruments are scaled by; 1 for one that did not or does not move.

    Args:
        old: (n,) volatilities.
        new: Volatilities of another sample.
        same: (n,) columns of the instruments in that, −1 where there is none.
    """
    found = np.where(same >= 0, new[same], 0.0) if new.size else np.zeros(old.size)
    moving = (old > NO_MOVEMENT) & (found > NO_MOVEMENT)
    return np.divide(found, old, out=np.ones_like(old), where=moving)


def _tail_volatilities(method: Method, sample: Sample) -> Vector:
    """Return (M,) the volatilities that a method's tails are in proportion to."""
    if method is Method.FILTERED:
        return sample.volatility_now
    return sample.ewma_volatilities if method is Method.EWMA else sample.volatilities


def _money(amount: float, currency: str) -> str:
    digits = f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"
    symbol = _CURRENCIES.get(currency)
    return f"{symbol}{digits}" if symbol else f"{currency} {digits}"
