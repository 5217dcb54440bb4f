"""The figures of many portfolios on one sample: what `measure` says of each, without a loop over portfolios.

The definitions are those of `tail`, `components`, `covariance` and `drawdown`; what is here is the order of the work.
Second moments come from the covariance matrix instead of the days, the derivatives of tail figures from the few days
of the tail, and the deepest fall is searched for in single precision and confirmed in double.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tailwatch.errors import InvalidRiskSettingsError
from tailwatch.risk import components, drawdown, tail
from tailwatch.risk.arrays import Flags, Indices, Matrix, Vector
from tailwatch.risk.covariance import sample_covariance
from tailwatch.risk.methods import Outcomes, scenarios_for, simulate
from tailwatch.risk.shrinkage import Shrinkage, shrunk_volatility
from tailwatch.risk.stack import COMPONENT_ES, COMPONENT_VAR
from tailwatch.risk.types import CONFIDENCES, CovarianceEstimator, Method, RiskSettings, Sample

#: Portfolios that are worked on at once: what they need stays in the cache, and products are still large.
BLOCK: Final = 256
#: Below this share of the undiversified risk, v'Σv has lost digits to cancellation: those few go by their days.
_CANCELLED: Final = 0.03
#: Daily volatility over gross exposure below which rounding may be all there is.
_UNMOVED: Final = 1e-9
#: In root mean squares: fewer outcomes than that lie beyond it, and nearly always more than the tail figures need.
_TAIL_BEGINS: Final = 1.2
#: Unit roundoff of single precision.
_ROUNDOFF: Final = 2.0**-24


@dataclass(frozen=True, eq=False)
class Shared:
    """What all portfolios of one sample and method share; made once, only read.

    Attributes:
        scenarios: (T, M) scenario returns of the method, column-contiguous.
        scenario_rows: The same, row-contiguous: a day's returns are next to each other.
        scenario_volatilities: (M,) daily, of the scenarios.
        returns: (W, M) returns of the window.
        volatilities: (M,) daily sample standard deviations of the window.
        covariance: (M, M) sample covariance of the window.
        shrinkage: Of that covariance; None where it is taken as it is.
        price_relatives: (W+1, M) prices over the newest price, row-contiguous.
        screening: The same in single precision, column-contiguous.
        highest_relatives: (M,) the highest of each instrument.
        betas: (M,) against the benchmark; None without one.
    """

    scenarios: Matrix
    scenario_rows: Matrix
    scenario_volatilities: Vector
    returns: Matrix
    volatilities: Vector
    covariance: Matrix
    shrinkage: Shrinkage | None
    price_relatives: Matrix
    screening: NDArray[np.float32]
    highest_relatives: Vector
    betas: Vector | None


@dataclass(frozen=True, eq=False)
class BatchFigures:
    """Figures of P portfolios, one day, base currency, positive losses; L levels of `CONFIDENCES`, M instruments.

    Attributes:
        volatility: (P,) daily, of the window.
        value_at_risk: (P, L)
        expected_shortfall: (P, L)
        component_volatility: (P, M) adding up to `volatility`.
        component_var: (P, M) of the 95 % VaR.
        component_es: (P, M) of the 97.5 % ES.
        beta: (P,) market value times beta, added up: over NAV it is the portfolio's beta. None without a benchmark.
        drawdown: (P,) deepest fall as a fraction of the peak; 0 where a path never falls, or where there is no path.
        has_drawdown: (P,) whether the value path is positive throughout.
        peak: (P,) session of the peak, 0 where there is no path.
        trough: (P,) session of the trough.
    """

    volatility: Vector
    value_at_risk: Matrix
    expected_shortfall: Matrix
    component_volatility: Matrix
    component_var: Matrix
    component_es: Matrix
    beta: Vector | None
    drawdown: Vector
    has_drawdown: Flags
    peak: Indices
    trough: Indices


def share(sample: Sample, settings: RiskSettings) -> Shared:
    """Return what all portfolios of a sample share, some milliseconds of work for 500 instruments.

    Args:
        sample: With at least one instrument.
        settings: The method, historical or filtered, and the covariance.

    Raises:
        InvalidRiskSettingsError: the method has no scenarios of its own.
    """
    if settings.method not in {Method.HISTORICAL, Method.FILTERED}:
        raise InvalidRiskSettingsError(f"A batch is measured by scenarios, and {settings.method} has none.")
    filtered = settings.method is Method.FILTERED
    scenarios = scenarios_for(settings.method, sample)
    with np.errstate(over="ignore"):  # an infinity is not screened but looked at in double precision
        screening = np.asfortranarray(sample.price_relatives, dtype=np.float32)
    return Shared(
        scenarios=scenarios,
        scenario_rows=np.ascontiguousarray(scenarios),
        scenario_volatilities=sample.volatility_now if filtered else sample.volatilities,
        returns=sample.returns,
        volatilities=sample.volatilities,
        covariance=sample_covariance(sample.returns),
        shrinkage=sample.shrinkage if settings.covariance is CovarianceEstimator.LEDOIT_WOLF else None,
        price_relatives=np.ascontiguousarray(sample.price_relatives),
        screening=screening,
        highest_relatives=sample.price_relatives.max(axis=0),
        betas=sample.betas,
    )


def measure_batch(shared: Shared, exposures: Matrix, navs: Vector, *, block: int = BLOCK) -> BatchFigures:
    """Return the figures of P portfolios.

    Each portfolio's are those of `measure`, and do not depend on the others: both to rounding, which the size of a
    matrix product changes in the last digits. Beside the result, memory is taken for `block` portfolios only.

    Args:
        shared: From `share`.
        exposures: (P, M) signed market values, base currency.
        navs: (P,) net asset values; only the drawdown rests on them.
        block: Portfolios worked on at once.
    """
    count, names = exposures.shape
    levels = len(CONFIDENCES)
    found = BatchFigures(
        volatility=np.empty(count),
        value_at_risk=np.empty((count, levels)),
        expected_shortfall=np.empty((count, levels)),
        component_volatility=np.empty((count, names)),
        component_var=np.empty((count, names)),
        component_es=np.empty((count, names)),
        beta=None if shared.betas is None else exposures @ shared.betas,
        drawdown=np.empty(count),
        has_drawdown=np.empty(count, dtype=np.bool_),
        peak=np.empty(count, dtype=np.intp),
        trough=np.empty(count, dtype=np.intp),
    )
    for start in range(0, count, block):
        rows = slice(start, start + block)
        held = exposures[rows]
        found.volatility[rows] = _volatility(shared, held, found.component_volatility[rows])
        figures = (found.value_at_risk[rows], found.expected_shortfall[rows])
        _tails(shared, held, figures, (found.component_var[rows], found.component_es[rows]))
        fall, has_path = _deepest_fall(shared, held, navs[rows])
        found.drawdown[rows], found.has_drawdown[rows] = fall.depth, has_path
        found.peak[rows], found.trough[rows] = fall.peak, fall.trough
    return found


def _volatility(shared: Shared, held: Matrix, component: Matrix) -> Vector:
    """Return (P,) daily volatilities, and put their (P, M) components into `component`."""
    np.matmul(held, shared.covariance, out=component)
    variances: Vector = np.einsum("pm,pm->p", component, held)
    volatility = np.sqrt(np.maximum(variances, 0.0))
    gross = np.abs(held)
    doubtful = np.flatnonzero(
        volatility <= np.maximum(_CANCELLED * (gross @ shared.volatilities), _UNMOVED * gross.sum(axis=1))
    )
    component /= np.where(volatility > 0, volatility, 1.0)[:, None]
    if doubtful.size:
        outcomes = simulate(held[doubtful], shared.returns, shared.volatilities)
        volatility[doubtful] = outcomes.sample_volatility
        component[doubtful] = components.marginal(outcomes.sample_volatility_gradient, shared.returns)
    if shared.shrinkage is not None:
        volatility, component[:] = shrunk_volatility(shared.shrinkage, held, volatility, component)
    component *= held
    return volatility


def _tails(shared: Shared, held: Matrix, figures: tuple[Matrix, Matrix], parts: tuple[Matrix, Matrix]) -> None:
    """Put (P, L) VaR and ES into `figures`, and their (P, M) components at their levels into `parts`."""
    outcomes = simulate(held, shared.scenarios, shared.scenario_volatilities)
    weights = outcomes.weights
    worst = _worst(outcomes, weights.depth)
    np.matmul(-worst.outcomes, weights.value_at_risk.T, out=figures[0])
    np.matmul(-worst.outcomes, weights.expected_shortfall.T, out=figures[1])
    var_row, es_row = CONFIDENCES.index(COMPONENT_VAR), CONFIDENCES.index(COMPONENT_ES)
    of_var = components.value_at_risk_weights(worst, weights.value_at_risk[var_row], weights.neighbourhood[var_row])
    of_es = np.broadcast_to(weights.expected_shortfall[es_row], of_var.shape)
    for day_weights, component in zip((of_var, of_es), parts, strict=True):
        moving = np.where(outcomes.still[:, None], 0.0, day_weights)
        np.multiply(_tail_marginal(worst, moving, shared.scenario_rows), held, out=component)


def _worst(outcomes: Outcomes, depth: int) -> tail.Worst:
    """Return the `depth` worst outcomes of each portfolio, looked for among the clearly bad ones only."""
    pnl = outcomes.pnl
    rms = np.sqrt(np.einsum("pt,pt->p", pnl, pnl) / outcomes.days)
    bad = pnl < -_TAIL_BEGINS * rms[:, None]
    counts = np.count_nonzero(bad, axis=1)
    enough = counts >= depth
    if not enough.any():
        return tail.worst_outcomes(pnl, depth)
    # One row of candidates a portfolio, filled up with outcomes that are never chosen.
    width, flat = int(counts.max()), np.flatnonzero(bad)
    firsts = np.cumsum(counts) - counts
    slots = np.arange(flat.size) + np.repeat(np.arange(len(pnl)) * width - firsts, counts)
    candidates, days = np.full((len(pnl), width), np.inf), np.zeros((len(pnl), width), dtype=np.intp)
    candidates.ravel()[slots] = pnl.ravel()[flat]
    days.ravel()[slots] = flat - np.repeat(np.arange(len(pnl)) * outcomes.days, counts)
    chosen = tail.worst_outcomes(candidates, depth)
    worst = tail.Worst(np.take_along_axis(days, chosen.days, axis=1), chosen.outcomes)
    if not enough.all():
        few = np.flatnonzero(~enough)
        others = tail.worst_outcomes(pnl[few], depth)
        worst.days[few], worst.outcomes[few] = others
    return worst


def _tail_marginal(worst: tail.Worst, weights: Matrix, scenario_rows: Matrix) -> Matrix:
    """Return (P, M) derivatives of a loss figure from its (P, depth) weights on the worst outcomes."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - memory that only a batch is worth

    used = np.flatnonzero(weights.any(axis=0))
    portfolios, size = len(weights), used.size
    shape = (portfolios, len(scenario_rows))
    ends = np.arange(0, (portfolios + 1) * size, size) if size else np.zeros(portfolios + 1, dtype=np.intp)
    placed = csr_array((-weights[:, used].ravel(), worst.days[:, used].ravel(), ends), shape=shape)
    return np.asarray(placed @ scenario_rows)


class _Screened(NamedTuple):
    """What single precision says of P value paths."""

    peak: Indices
    trough: Indices
    clear: Flags
    """(P,) whether its rounding leaves no doubt about either."""


def _deepest_fall(shared: Shared, held: Matrix, navs: Vector) -> tuple[drawdown.DeepestFall, Flags]:
    """Return the deepest falls of the value paths (recovery left out: −1), and which portfolios have a path."""
    screened = _screen(shared, held, navs)
    peak, trough = screened.peak, screened.trough
    depth, has_path = np.zeros(len(held)), screened.clear.copy()
    clear, doubtful = np.flatnonzero(screened.clear), np.flatnonzero(~screened.clear)
    if clear.size:
        others = navs[clear] - held[clear].sum(axis=1)
        high, low = (
            others + np.einsum("pm,pm->p", held[clear], shared.price_relatives[sessions[clear]])
            for sessions in (peak, trough)
        )
        depth[clear] = 1 - low / high
    if doubtful.size:
        with np.errstate(over="ignore", invalid="ignore"):
            paths = held[doubtful] @ shared.price_relatives.T
            paths += (navs[doubtful] - held[doubtful].sum(axis=1))[:, None]
        usable = np.isfinite(paths).all(axis=1) & (paths.min(axis=1) > 0)
        paths[~usable] = 1.0
        fall = drawdown.deepest_fall(paths)
        depth[doubtful], peak[doubtful], trough[doubtful] = fall.depth, fall.peak, fall.trough
        has_path[doubtful] = usable
    return drawdown.DeepestFall(depth, peak, trough, np.full(len(held), -1)), has_path


def _screen(shared: Shared, held: Matrix, navs: Vector) -> _Screened:
    """Look for the deepest falls in single precision.

    The error of a product of M terms is at most about M units of rounding of the sum of their sizes (Higham 2002,
    Accuracy and Stability of Numerical Algorithms, section 3.1). What lies within that of the deepest is in doubt.
    """
    with np.errstate(all="ignore"):
        weights = held / navs[:, None]
        sizes = np.abs(weights)
        error = (held.shape[1] + 8) * _ROUNDOFF * (1 + sizes @ (1 + shared.highest_relatives))
        paths = weights.astype(np.float32) @ shared.screening.T
        paths += (1 - weights.sum(axis=1)).astype(np.float32)[:, None]
        highs = np.maximum.accumulate(paths, axis=1)
        ratios = np.divide(paths, highs)
        trough = ratios.argmin(axis=1)
        portfolios = np.arange(len(held))
        lowest, level = ratios[portfolios, trough], highs[portfolios, trough]
        # A ratio is off by the errors of both its values over the high, and no high is below the first value.
        doubt = lowest + 4 * error / paths[:, 0]
        ratios[portfolios, trough] = np.inf
        one_trough = ratios.min(axis=1) > doubt
        as_high = paths >= (level - 4 * error).astype(np.float32)[:, None]
        peak = as_high.argmax(axis=1)
        as_high[portfolios, peak] = False
        # Up to the trough only the peak may be as high; beyond it the path has recovered.
        next_high = as_high.argmax(axis=1)
        one_peak = (next_high > trough) | ~as_high[portfolios, next_high]
        one_peak &= paths[portfolios, peak] == level
        positive = (navs > 0) & (paths.min(axis=1) > 4 * error) & (highs[:, -1] < np.inf)
    return _Screened(peak, trough, one_trough & one_peak & positive)
