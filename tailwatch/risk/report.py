"""The whole measurement of one portfolio: every figure of its snapshot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

import numpy as np

from tailwatch.risk import intervals
from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.caveats import NO_DRAWDOWN, caveats, unusable_nav
from tailwatch.risk.components import marginal
from tailwatch.risk.concentration import diversification_ratio, herfindahl_hirschman
from tailwatch.risk.covariance import correlation
from tailwatch.risk.coverage import Exposure, coverage_of, exposure_of
from tailwatch.risk.decomposition import by_label, effective_bets
from tailwatch.risk.distribution import histogram
from tailwatch.risk.drawdown import deepest_fall
from tailwatch.risk.headline import Volatility, at_volatility, window_volatility
from tailwatch.risk.methods import MODELS, OF_COVARIANCE, Figures, Outcomes, scenarios_for, simulate
from tailwatch.risk.results import (
    Concentration,
    Correlation,
    Disagreement,
    Distribution,
    Drawdown,
    HeadlineFigures,
    Interval,
    Intervals,
    MethodFigures,
    MethodReport,
    PositionRisk,
    RiskReport,
    TailFigures,
)
from tailwatch.risk.types import Method, RiskInputs, RiskSettings, Sample

#: Trading days in a year; a daily volatility times its root is the annualised one.
TRADING_DAYS: Final = 252
#: Positions in the correlation matrix: what a reader can still take in.
CORRELATION_POSITIONS: Final = 50
#: Decimals of a correlation in the report, which is mostly made of them; all other figures keep every digit.
CORRELATION_DECIMALS: Final = 6
#: Levels of the component figures.
COMPONENT_VAR: Final = 0.95
COMPONENT_ES: Final = 0.975

_TAIL_FIGURES: Final = tuple(one.name for one in fields(TailFigures))
_ANNUAL: Final = math.sqrt(TRADING_DAYS)


def measure(inputs: RiskInputs) -> RiskReport:
    """Measure one portfolio: every figure of its snapshot.

    Never fails on a portfolio that cannot be measured: what has no value is None, and a warning says why.

    Args:
        inputs: The aligned sample, the signed market values and the settings.

    Returns:
        The report; positive losses, one day, fractions of NAV and base currency as each field states.
    """
    sample, method = inputs.sample, inputs.settings.method
    exposure = exposure_of(inputs)
    covered = coverage_of(exposure, len(scenarios_for(method, sample)), inputs.as_of)
    warnings = caveats(inputs, exposure, covered)
    unusable = unusable_nav(exposure)
    if unusable is not None:
        warnings.insert(0, unusable)
    scale = 1 / exposure.nav if unusable is None and exposure.nav > 0 else None
    measured = _measure(sample, exposure, inputs.settings, scale) if exposure.tickers else None
    if measured and measured.drawdown is None and scale is not None:
        warnings.append(NO_DRAWDOWN)
    positions = _positions(exposure, scale, measured)
    return RiskReport(
        as_of=inputs.as_of,
        nav=exposure.nav,
        gross=exposure.gross,
        cash=inputs.cash,
        method=method,
        confidence=inputs.settings.confidence,
        window=sample.window,
        fractions=measured.fractions if measured else HeadlineFigures(),
        amounts=measured.amounts if measured else HeadlineFigures(),
        methods=measured.methods if measured else {},
        intervals=measured.intervals if measured else None,
        disagreement=measured.disagreement if measured else None,
        positions=positions,
        by_currency=by_label(positions, inputs.currencies),
        by_label={kind: by_label(positions, labels) for kind, labels in inputs.labels.items()},
        correlation=_correlation(sample, exposure) if measured else None,
        distribution=measured.distribution if measured else None,
        drawdown=measured.drawdown if measured else None,
        beta=measured.beta if measured else None,
        benchmark=None if sample.benchmark is None else sample.benchmark.ticker,
        concentration=_concentration(exposure, measured),
        coverage=covered,
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _PositionFigures:
    """(M,) arrays over the modelled positions, in their order; `component_*` in base currency, volatility daily."""

    volatility: Vector
    beta: Vector | None
    component_volatility: Vector
    component_var: Vector
    component_es: Vector
    marginal_var: Vector


@dataclass(frozen=True, eq=False, slots=True)
class _Measured:
    """What there is to say once at least one position is modelled."""

    fractions: HeadlineFigures
    amounts: HeadlineFigures
    methods: dict[Method, MethodReport]
    intervals: Intervals
    disagreement: dict[str, Disagreement] | None
    distribution: Distribution
    drawdown: Drawdown | None
    beta: float | None
    diversification_ratio: float | None
    effective_bets: float | None
    positions: _PositionFigures


def _measure(sample: Sample, exposure: Exposure, settings: RiskSettings, scale: float | None) -> _Measured:
    method = settings.method
    exposures = np.zeros((1, len(sample.tickers)))
    exposures[0, exposure.columns] = exposure.values
    window = simulate(exposures, sample.returns, sample.volatilities)
    outcomes = dict.fromkeys(MODELS, window)
    outcomes[Method.FILTERED] = simulate(exposures, sample.filtered, sample.volatility_now)
    volatility = window_volatility(sample, exposures, window, settings.covariance)
    figures = {one: model.figures(outcomes[one]) for one, model in MODELS.items()}
    figures |= {one: at_volatility(one, volatility.portfolio) for one in OF_COVARIANCE}
    methods = {one: _method_report(figure, scale) for one, figure in figures.items()}
    # Volatility is that of the window whatever the method: the figure that others publish, too.
    of_window = methods[Method.COVARIANCE]
    amounts = _headline(methods[method].amounts, of_window.amounts)
    positions = _position_figures(sample, volatility, outcomes[method], method, exposure)
    edges, counts = histogram(outcomes[method].pnl[0])
    return _Measured(
        fractions=_headline(methods[method].fractions, of_window.fractions),
        amounts=amounts,
        methods=methods,
        intervals=_intervals(method, outcomes[method], methods[method].amounts, scale),
        disagreement=None if scale is None else _disagreement(methods, method),
        distribution=Distribution(edges.tolist(), counts.tolist(), amounts),
        drawdown=None if scale is None else _drawdown(sample, exposures, exposure.nav),
        beta=None
        if scale is None or sample.beta_weights is None
        else float(window.pnl[0] @ sample.beta_weights) * scale,
        diversification_ratio=diversification_ratio(
            exposure.values, positions.volatility, float(volatility.portfolio[0])
        ),
        # What is left of a hedge that is perfect is rounding, and no bet.
        effective_bets=effective_bets(exposures[0], *sample.principal_components)
        if window.sample_volatility[0] > 0
        else None,
        positions=positions,
    )


def _position_figures(
    sample: Sample, volatility: Volatility, outcomes: Outcomes, method: Method, exposure: Exposure
) -> _PositionFigures:
    if method in OF_COVARIANCE:
        multiples = OF_COVARIANCE[method]
        value_at_risk = volatility.derivatives * multiples(COMPONENT_VAR)[0]
        expected_shortfall = volatility.derivatives * multiples(COMPONENT_ES)[1]
    else:
        gradients = MODELS[method].gradients(outcomes, COMPONENT_VAR, COMPONENT_ES)
        tails = np.concatenate([gradients.value_at_risk, gradients.expected_shortfall])
        value_at_risk, expected_shortfall = np.split(marginal(tails, scenarios_for(method, sample)), 2)
    columns = exposure.columns
    return _PositionFigures(
        volatility=volatility.instruments[columns],
        beta=None if sample.betas is None else sample.betas[columns],
        component_volatility=volatility.derivatives[0, columns] * exposure.values,
        component_var=value_at_risk[0, columns] * exposure.values,
        component_es=expected_shortfall[0, columns] * exposure.values,
        marginal_var=value_at_risk[0, columns],
    )


def _positions(exposure: Exposure, scale: float | None, measured: _Measured | None) -> tuple[PositionRisk, ...]:
    rows = _position_rows(measured.positions, scale) if measured else iter(())
    blank = (None,) * 6
    return tuple(
        PositionRisk(
            one.ticker,
            one.market_value,
            None if scale is None or one.market_value is None else one.market_value * scale,
            *(next(rows) if one.column is not None else blank),
            one.status,
            one.reason,
        )
        for one in exposure.holdings
    )


def _position_rows(
    figures: _PositionFigures, scale: float | None
) -> Iterator[tuple[float | None, float | None, float | None, float | None, float | None, float | None]]:
    """Return (volatility, beta, three components, marginal VaR) of each modelled position."""
    nothing: list[None] = [None] * len(figures.volatility)
    components: list[list[float]] | list[list[None]] = [nothing] * 3
    if scale is not None:
        components = [
            (figures.component_volatility * (scale * _ANNUAL)).tolist(),
            (figures.component_var * scale).tolist(),
            (figures.component_es * scale).tolist(),
        ]
    return zip(
        (figures.volatility * _ANNUAL).tolist(),
        nothing if figures.beta is None else figures.beta.tolist(),
        *components,
        figures.marginal_var.tolist(),
        strict=True,
    )


def _method_report(figures: Figures, scale: float | None) -> MethodReport:
    (var_95, var_975, var_99), (es_95, es_975, es_99) = (
        figures.value_at_risk[0].tolist(),
        figures.expected_shortfall[0].tolist(),
    )
    amounts = (var_95, es_95, var_975, es_975, var_99, es_99, float(figures.volatility[0]))
    fractions = MethodFigures() if scale is None else MethodFigures(*[amount * scale for amount in amounts])
    return MethodReport(fractions, MethodFigures(*amounts))


def _intervals(method: Method, outcomes: Outcomes, figures: MethodFigures, scale: float | None) -> Intervals:
    if method in {Method.HISTORICAL, Method.FILTERED}:
        value_at_risk, expected_shortfall = intervals.simulated(outcomes.pnl[0])
        bounds = [one for pair in zip(value_at_risk, expected_shortfall, strict=True) for one in pair]
        amounts = dict(zip(_TAIL_FIGURES, bounds, strict=True))
    else:
        amounts = {
            name: intervals.of_volatility(getattr(figures, name), outcomes.days, method) for name in _TAIL_FIGURES
        }
    fractions = None
    if scale is not None:
        fractions = {
            name: Interval(*(None if bound is None else bound * scale for bound in (one.low, one.high)))
            for name, one in amounts.items()
        }
    basis = intervals.basis(method, outcomes.days)
    return Intervals(intervals.INTERVAL_CONFIDENCE, basis, fractions, amounts)


def _disagreement(methods: dict[Method, MethodReport], headline: Method) -> dict[str, Disagreement]:
    found = {}
    for name in _TAIL_FIGURES:
        figures = {method: getattr(report.fractions, name) for method, report in methods.items()}
        low, high = min(figures, key=figures.__getitem__), max(figures, key=figures.__getitem__)
        spread = (figures[high] - figures[low]) / figures[headline] if figures[headline] > 0 else None
        found[name] = Disagreement(figures[low], low, figures[high], high, spread)
    return found


def _headline(figures: MethodFigures, volatility: MethodFigures) -> HeadlineFigures:
    return HeadlineFigures(
        var_95_1d=figures.var_95_1d,
        es_95_1d=figures.es_95_1d,
        var_975_1d=figures.var_975_1d,
        es_975_1d=figures.es_975_1d,
        var_99_1d=figures.var_99_1d,
        es_99_1d=figures.es_99_1d,
        annualized_volatility=None if volatility.volatility_1d is None else volatility.volatility_1d * _ANNUAL,
    )


def _drawdown(sample: Sample, exposures: Matrix, nav: float) -> Drawdown | None:
    """Return the deepest fall of NAV had today's shares been held; cash and what is not modelled stand still."""
    with np.errstate(over="ignore", invalid="ignore"):
        paths = nav + (exposures @ sample.price_relatives.T - exposures.sum())
    if not (np.isfinite(paths).all() and paths.min() > 0):
        return None
    fall = deepest_fall(paths)
    depth, peak, trough, recovery = float(fall.depth[0]), fall.peak[0], fall.trough[0], int(fall.recovery[0])
    if depth <= 0:
        return Drawdown(0.0, None, None, None)
    start, end = sample.sessions[peak].astype(object), sample.sessions[trough].astype(object)
    recovered: date | None = None if recovery < 0 else sample.sessions[recovery].astype(object)
    return Drawdown(depth, start, end, recovered)


def _correlation(sample: Sample, exposure: Exposure) -> Correlation:
    columns = exposure.columns[:CORRELATION_POSITIONS]
    matrix = correlation(sample.standardised_returns[:, columns]).round(CORRELATION_DECIMALS)
    undefined = np.isnan(matrix)
    if undefined.any():
        matrix = matrix.astype(object)
        matrix[undefined] = None
    return Correlation(
        tickers=list(exposure.tickers[:CORRELATION_POSITIONS]),
        matrix=matrix.tolist(),
        omitted=len(exposure.tickers) - len(columns),
    )


def _concentration(exposure: Exposure, measured: _Measured | None) -> Concentration | None:
    if not exposure.gross:
        return None
    hhi = herfindahl_hirschman(np.array([one.market_value or 0.0 for one in exposure.holdings]))
    if measured is None:
        return Concentration(hhi, 1 / hhi, None, None)
    return Concentration(hhi, 1 / hhi, measured.diversification_ratio, measured.effective_bets)
