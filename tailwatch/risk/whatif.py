"""What if: trades, and the size of one that keeps to a limit, by full revaluation on the sample's scenarios.

Nothing here is an approximation by derivatives: every figure is that of the portfolio with the trade in it. A trade
changes net asset value by its own value where the book has no cash and pays for nothing, and not at all where it has.

Profit and loss is linear in what is held: with u units of currency more of one instrument it is p + u·r on every day.
So a search over sizes looks at two columns, and never again at the rest of the portfolio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.caveats import LARGEST_LEVERAGE
from tailwatch.risk.covariance import NO_MOVEMENT
from tailwatch.risk.headline import figures_of, headline_figures
from tailwatch.risk.methods import Figures, Outcomes
from tailwatch.risk.types import CONFIDENCES, Method, RiskSettings, Sample

Figure = Literal["annualized_volatility", "var_95_1d", "es_95_1d", "var_975_1d", "es_975_1d", "var_99_1d", "es_99_1d"]
FIGURES: Final[tuple[Figure, ...]] = (
    "annualized_volatility",
    "var_95_1d",
    "es_95_1d",
    "var_975_1d",
    "es_975_1d",
    "var_99_1d",
    "es_99_1d",
)
#: A trade is looked for up to that many times the gross exposure.
LARGEST_TRADE: Final = 4.0

_ANNUAL: Final = 252**0.5
#: Sizes that are looked at together, and how often the search closes in on the best place between them.
_SIZES: Final = 48
_ROUNDS: Final = 6


def amounts(figures: Figures) -> dict[Figure, Vector]:
    """Return (P,) amounts of each figure in base currency, by its name."""
    found: dict[Figure, Vector] = {"annualized_volatility": figures.volatility * _ANNUAL}
    for level, _ in enumerate(CONFIDENCES):
        found[FIGURES[1 + 2 * level]] = figures.value_at_risk[:, level]
        found[FIGURES[2 + 2 * level]] = figures.expected_shortfall[:, level]
    return found


def with_trades(sample: Sample, held: Vector, trades: Matrix, settings: RiskSettings) -> Figures:
    """Return the figures of K + 2 portfolios: as it is, with all trades, and with each of them alone.

    Args:
        sample: Holds every instrument of both.
        held: (M,) signed market values.
        trades: (K, M) what each trade adds to them.
        settings: Of the portfolio.
    """
    return headline_figures(sample, np.vstack([held, held + trades.sum(axis=0), held + trades]), settings)


@dataclass(frozen=True, slots=True)
class Sized:
    """The size of a trade that keeps a figure to its limit.

    Attributes:
        value: Signed market value of the trade; negative sells. None where no size does.
        figure: What the portfolio comes to with it, or at its best where no size keeps to the limit; of NAV. None
            where fractions of NAV say nothing at any size.
        state: within: the wanted trade keeps to the limit as it is. cut: it was made smaller. needed: without any
            trade the limit is broken, and this is the smallest one that mends it. unreachable: none does.
    """

    value: float | None
    figure: float | None
    state: Literal["within", "cut", "needed", "unreachable"]


def size_to_limit(
    sample: Sample,
    held: Vector,
    column: int,
    *,
    wanted: float,
    nav: float,
    gross: float,
    figure: Figure,
    limit: float,
    settings: RiskSettings,
    pays: bool = False,
) -> Sized:
    """Return the size of a trade in one instrument that keeps a figure within `limit`.

    Purchases and sales are looked at as far as the snapshot would have fractions of NAV. ES and volatility over NAV
    are quasi-convex in the size; VaR is not, and a dip of it between two sizes of the first look is missed.

    Args:
        sample: Holds every instrument.
        held: (M,) signed market values without the trade.
        column: Of the instrument.
        wanted: Signed market value of the trade that was thought of; may be 0.
        nav: Without the trade.
        gross: Without the trade, of all that has a value, modelled or not.
        figure: Which.
        limit: The largest fraction of NAV allowed.
        settings: Of the portfolio.
        pays: Whether the trade is paid for in cash that is part of NAV.
    """
    line = _Line(sample, held, column, settings)
    before = float(held[column])

    def of_nav(values: Vector) -> Vector:
        found = amounts(line.figures(values))[figure]
        worth = np.full(values.size, nav) if pays else nav + values
        exposed = gross - abs(before) + np.abs(before + values)
        usable = (worth > 0) & (exposed <= LARGEST_LEVERAGE * worth)
        fractions: Vector = np.divide(found, worth, out=np.full(values.size, np.inf), where=usable)
        return fractions

    plain, asked = of_nav(np.array([0.0, wanted]))
    if asked <= limit:
        return Sized(wanted, float(asked), "within")
    if plain <= limit:
        inside = _boundary(of_nav, 0.0, wanted, limit)
        return Sized(inside, float(of_nav(np.array([inside]))[0]), "cut")
    reach = LARGEST_TRADE * max(gross, abs(wanted), nav)
    found = np.array([_first_within(of_nav, sizes, limit) for sizes in _both_ways(reach, -before)])
    reached = of_nav(found)
    mended = reached <= limit
    if mended.any():
        best = int(np.where(mended, np.abs(found), np.inf).argmin())
        return Sized(float(found[best]), float(reached[best]), "needed")
    lowest = float(reached.min())
    return Sized(None, lowest if np.isfinite(lowest) else None, "unreachable")


class _Path(NamedTuple):
    """Profit and loss of the positions on each day, and what one more unit of currency of an instrument adds."""

    pnl: Vector
    returns: Vector
    moves: float
    """Σ|v|σ of all other instruments; what is far below it is rounding."""
    volatility: float


class _Line:
    """A portfolio with any amount more of one instrument."""

    def __init__(self, sample: Sample, held: Vector, column: int, settings: RiskSettings) -> None:
        self._sample, self._held, self._column, self._settings = sample, held, column, settings
        self._window = self._path(sample.returns, sample.volatilities)
        self._scenarios = self._window
        if settings.method is Method.FILTERED:
            self._scenarios = self._path(sample.filtered, sample.volatility_now)
        self._others = float(held @ held) - float(held[column]) ** 2

    def figures(self, values: Vector) -> Figures:
        """Return the figures with each of (P,) market values more of the instrument."""
        window = self._outcomes(self._window, values)
        scenarios = window if self._scenarios is self._window else self._outcomes(self._scenarios, values)
        squares = self._others + (self._held[self._column] + values) ** 2
        return figures_of(self._sample, window, scenarios, squares, self._settings)

    def _path(self, returns: Matrix, volatilities: Vector) -> _Path:
        moves = np.abs(self._held) * volatilities
        others = float(moves.sum() - moves[self._column])
        return _Path(returns @ self._held, returns[:, self._column], others, float(volatilities[self._column]))

    def _outcomes(self, path: _Path, values: Vector) -> Outcomes:
        pnl = path.pnl + values[:, None] * path.returns
        # As `simulate` does: where everything is hedged away, only rounding is left.
        moves = path.moves + np.abs(self._held[self._column] + values) * path.volatility
        still = np.abs(pnl).max(axis=1) <= NO_MOVEMENT * moves
        pnl[still] = 0.0
        return Outcomes(pnl, still)


def _both_ways(reach: float, closing: float) -> tuple[Vector, Vector]:
    """Return sizes to look at, from zero on: sales and purchases, `closing` among them, denser near zero."""
    sizes = reach * np.linspace(0.0, 1.0, 2 * _SIZES) ** 2
    return -np.union1d(sizes, max(-closing, 0.0)), np.union1d(sizes, max(closing, 0.0))


def _first_within(of_nav: Callable[[Vector], Vector], values: Vector, limit: float) -> float:
    """Return the first size that keeps to the limit, going from zero on; without any, that with the lowest figure."""
    fractions = of_nav(values)
    good = np.flatnonzero(fractions <= limit)
    if good.size:
        return _boundary(of_nav, float(values[good[0]]), float(values[good[0] - 1]), limit)
    lowest = _lowest(of_nav, values, fractions)
    if of_nav(np.array([lowest]))[0] > limit:
        return lowest
    # What keeps to it lies between two of the sizes that were looked at.
    nearer = values[np.abs(values) < abs(lowest)][-1]
    return _boundary(of_nav, lowest, float(nearer), limit)


def _boundary(of_nav: Callable[[Vector], Vector], good: float, bad: float, limit: float) -> float:
    """Return the size furthest from `good` towards `bad` that keeps to the limit like all sizes before it."""
    for _ in range(_ROUNDS):
        values = np.linspace(good, bad, _SIZES)
        broken = np.flatnonzero(of_nav(values) > limit)
        first = int(broken[0]) if broken.size else _SIZES - 1
        good, bad = float(values[max(first - 1, 0)]), float(values[first])
    return good


def _lowest(of_nav: Callable[[Vector], Vector], values: Vector, fractions: Vector) -> float:
    """Return the size with the smallest figure, closing in around the best of `values`."""
    for _ in range(_ROUNDS):
        place = int(fractions.argmin())
        values = np.linspace(values[max(place - 1, 0)], values[min(place + 1, values.size - 1)], _SIZES)
        fractions = of_nav(values)
    return float(values[fractions.argmin()])
