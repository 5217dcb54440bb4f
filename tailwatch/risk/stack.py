"""The figures of portfolios that have one number of positions, side by side: what `measure` says of each of them.

The positions of a portfolio are rows of its own, cut from a sample that all of them share. So the work for one
portfolio is in proportion to its positions, whatever else the sample holds, and one portfolio is a stack of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Flags, Indices, Matrix, Values, Vector, row_by_row
from tailwatch.risk.covariance import NO_MOVEMENT, principal_components
from tailwatch.risk.decomposition import effective_bets
from tailwatch.risk.drawdown import DeepestFall, deepest_fall
from tailwatch.risk.headline import at_volatility, figures_of
from tailwatch.risk.methods import MODELS, OF_COVARIANCE, Figures, Outcomes
from tailwatch.risk.shrinkage import shrunk_volatility
from tailwatch.risk.types import CovarianceEstimator, Method, RiskSettings, Sample

#: Levels of the component figures.
COMPONENT_VAR: Final = 0.95
COMPONENT_ES: Final = 0.975
#: Positions in the correlation matrix: what a reader can still take in.
CORRELATION_POSITIONS: Final = 50
#: Returns of positions that are worked on at once.
_BYTES: Final = 4 * 2**20


@dataclass(frozen=True, eq=False, slots=True)
class Stack:
    """P portfolios with n > 0 modelled positions each.

    Attributes:
        sample: That all of them are measured on.
        settings: Of all of them. Shrinkage is that of the sample: with it, a sample is one portfolio's own.
        columns: (P, n) of the positions in the sample.
        values: (P, n) signed market values, base currency.
        navs: (P,) net asset values; only the drawdown rests on them.
    """

    sample: Sample
    settings: RiskSettings
    columns: Indices
    values: Matrix
    navs: Vector


@dataclass(frozen=True, eq=False, slots=True)
class StackFigures:
    """Figures of a stack, one day, base currency, positive losses.

    Attributes:
        figures: Of each method, (P,) and (P, L).
        outcomes: Of the headline method.
        volatility: (P,) daily, under the covariance that was asked for.
        moved: (P,) whether the portfolio has any variance in the window.
        instrument_volatility: (P, n) daily, of the positions.
        component_volatility: (P, n) adding up to `volatility`.
        component_var: (P, n) of the 95 % VaR.
        component_es: (P, n) of the 97.5 % ES.
        marginal_var: (P, n) by unit of currency, of the 95 % VaR.
        betas: (P, n) of the positions; None without a benchmark that moves.
        beta: (P,) market value times beta, added up; None like `betas`.
        fall: Of the value paths; `has_path` says which of them there are.
        has_path: (P,) whether the value path is positive throughout.
        correlation: (P, k, k) of the first positions, NaN where one of the two never moved.
        effective_bets: (P,); NaN without any variance.
    """

    figures: dict[Method, Figures]
    outcomes: Outcomes
    volatility: Vector
    moved: Flags
    instrument_volatility: Matrix
    component_volatility: Matrix
    component_var: Matrix
    component_es: Matrix
    marginal_var: Matrix
    betas: Matrix | None
    beta: Vector | None
    fall: DeepestFall
    has_path: Flags
    correlation: Values
    effective_bets: Vector


def fitting(sample: Sample, positions: int) -> int:
    """Return how many portfolios of so many positions are worked on at once: as many as fit a cache."""
    days = 2 * len(sample.returns) + len(sample.filtered)
    return max(_BYTES // max(8 * days * positions, 1), 1)


def rows_of(returns: Matrix, columns: Indices) -> Values:
    """Return (P, n, T) the columns of a (T, M) matrix, each in one piece."""
    rows: Values = returns.T[columns]
    return rows


def outcomes_of(values: Values, rows: Values, volatilities: Matrix) -> Outcomes:
    """Return the outcomes of (P, k, n) values on (P, n, T) returns, k portfolios on each; see `methods.simulate`."""
    pnl = np.matmul(values, rows).reshape(-1, rows.shape[2])
    hedged = np.matmul(np.abs(values), volatilities[:, :, None]).ravel()
    still = np.abs(pnl).max(axis=1) <= NO_MOVEMENT * hedged
    pnl[still] = 0.0
    return Outcomes(pnl, still)


def headline_stack(sample: Sample, settings: RiskSettings, columns: Indices, values: Values) -> Figures:
    """Return the headline figures of (P, k, n) values on the (P, n) columns of a sample; see `headline_figures`.

    Returns:
        Figures of P·k portfolios, the k of one after the other.
    """
    window = outcomes_of(values, rows_of(sample.returns, columns), sample.volatilities[columns])
    scenarios = window
    if settings.method is Method.FILTERED:
        scenarios = outcomes_of(values, rows_of(sample.filtered, columns), sample.volatility_now[columns])
    return figures_of(sample, window, scenarios, (values * values).sum(axis=2).ravel(), settings)


def by_position(day_weights: Matrix, rows: Values) -> Matrix:
    """Return (P, n) derivatives, per unit of currency, from (P, T) day weights and (P, n, T) returns."""
    derivatives: Matrix = np.matmul(rows, day_weights[:, :, None])[:, :, 0]
    return derivatives


def measure_stack(stack: Stack) -> StackFigures:
    """Return every figure of a stack; memory is taken for three copies of its positions' returns."""
    sample, settings, values = stack.sample, stack.settings, stack.values
    rows = rows_of(sample.returns, stack.columns)
    window = outcomes_of(values[:, None, :], rows, sample.volatilities[stack.columns])
    volatility, derivatives, own = _volatility(stack, window, rows)
    outcomes = dict.fromkeys(MODELS, window)
    scenarios = rows_of(sample.filtered, stack.columns)
    outcomes[Method.FILTERED] = outcomes_of(values[:, None, :], scenarios, sample.volatility_now[stack.columns])
    figures = {method: model.figures(outcomes[method]) for method, model in MODELS.items()}
    figures |= {method: at_volatility(method, volatility) for method in OF_COVARIANCE}
    if settings.method is not Method.FILTERED:
        scenarios = rows
    marginal_var, marginal_es = _marginal_tails(settings.method, outcomes[settings.method], scenarios, derivatives)
    fall, has_path = _deepest_fall(stack)
    deviations = rows - rows.mean(axis=2, keepdims=True)
    return StackFigures(
        figures=figures,
        outcomes=outcomes[settings.method],
        volatility=volatility,
        moved=window.sample_volatility > 0,
        instrument_volatility=own,
        component_volatility=derivatives * values,
        component_var=marginal_var * values,
        component_es=marginal_es * values,
        marginal_var=marginal_var,
        betas=None if sample.betas is None else sample.betas[stack.columns],
        beta=None if sample.beta_weights is None else row_by_row(window.pnl, sample.beta_weights),
        fall=fall,
        has_path=has_path,
        correlation=correlations(deviations[:, :CORRELATION_POSITIONS]),
        effective_bets=_effective_bets(stack, deviations),
    )


def _volatility(stack: Stack, window: Outcomes, rows: Values) -> tuple[Vector, Matrix, Matrix]:
    """Return (P,) volatilities, (P, n) derivatives of them, and (P, n) those of the positions."""
    sample = stack.sample
    volatility = window.sample_volatility
    derivatives = by_position(window.sample_volatility_gradient, rows)
    if stack.settings.covariance is CovarianceEstimator.SAMPLE:
        return volatility, derivatives, sample.volatilities[stack.columns]
    intensity, variance = sample.shrinkage
    own = np.sqrt((1 - intensity) * sample.sample_variances + intensity * variance)
    return *shrunk_volatility(sample.shrinkage, stack.values, volatility, derivatives), own[stack.columns]


def _marginal_tails(
    method: Method, outcomes: Outcomes, scenarios: Values, of_volatility: Matrix
) -> tuple[Matrix, Matrix]:
    """Return the (P, n) derivatives of the VaR and of the ES at their levels."""
    if method in OF_COVARIANCE:
        multiples = OF_COVARIANCE[method]
        return of_volatility * multiples(COMPONENT_VAR)[0], of_volatility * multiples(COMPONENT_ES)[1]
    gradients = MODELS[method].gradients(outcomes, COMPONENT_VAR, COMPONENT_ES)
    both = np.stack([gradients.value_at_risk, gradients.expected_shortfall], axis=2)
    derivatives = np.matmul(scenarios, both)
    return derivatives[:, :, 0], derivatives[:, :, 1]


def _deepest_fall(stack: Stack) -> tuple[DeepestFall, Flags]:
    """Return the deepest falls had today's shares been held; cash and what is not modelled stand still."""
    with np.errstate(over="ignore", invalid="ignore"):
        paths = np.matmul(stack.values[:, None, :], rows_of(stack.sample.price_relatives, stack.columns))[:, 0, :]
        paths += (stack.navs - stack.values.sum(axis=1))[:, None]
        has_path = np.isfinite(paths).all(axis=1) & (paths.min(axis=1) > 0)
    paths[~has_path] = 1.0
    return deepest_fall(paths), has_path


def _effective_bets(stack: Stack, deviations: Values) -> Vector:
    """Return (P,) numbers of bets: the components are of the positions in the order of the sample.

    So those of a portfolio that holds all of a sample are the sample's, which are worth keeping: for 500 positions
    they take ten times as long as all the rest.
    """
    order = stack.columns.argsort(axis=1)
    values = np.take_along_axis(stack.values, order, axis=1)
    if order.shape[1] == len(stack.sample.tickers):
        return effective_bets(values, *stack.sample.principal_components)
    return effective_bets(values, *principal_components(np.take_along_axis(deviations, order[:, :, None], axis=1)))


def correlations(deviations: Values) -> Values:
    """Return (P, k, k) correlations of (P, k, T) deviations from the mean, exactly 1 on the diagonal.

    Rows and columns of an instrument that never moved are NaN: its correlations do not exist.
    """
    lengths = np.sqrt(np.einsum("pnt,pnt->pn", deviations, deviations))
    lengths[lengths < NO_MOVEMENT * np.sqrt(deviations.shape[2])] = np.nan
    scaled = deviations / lengths[:, :, None]
    matrices: Values = np.clip(np.matmul(scaled, scaled.swapaxes(1, 2)), -1.0, 1.0)
    diagonal = np.arange(matrices.shape[1])
    matrices[:, diagonal, diagonal] = np.where(np.isnan(lengths), np.nan, 1.0)
    return matrices
