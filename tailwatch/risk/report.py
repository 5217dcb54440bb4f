"""The whole measurement of portfolios: every figure of their snapshots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

import numpy as np

from tailwatch.risk import distribution, intervals
from tailwatch.risk.arrays import Matrix, Vector
from tailwatch.risk.caveats import NO_DRAWDOWN, caveats, unusable_nav
from tailwatch.risk.concentration import diversification_ratio, herfindahl_hirschman
from tailwatch.risk.coverage import Exposure, coverage_of, exposure_of
from tailwatch.risk.decomposition import by_label
from tailwatch.risk.drawdown import DeepestFall
from tailwatch.risk.methods import Figures, Outcomes, scenarios_for
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
from tailwatch.risk.stack import Stack, fitting, measure_stack
from tailwatch.risk.types import Method, RiskInputs, Sample

#: Trading days in a year; a daily volatility times its root is the annualised one.
TRADING_DAYS: Final = 252
#: Decimals of a correlation in the report, which is mostly made of them; all other figures keep every digit.
CORRELATION_DECIMALS: Final = 6

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
    return measure_all([inputs])[0]


def measure_all(everything: Sequence[RiskInputs]) -> list[RiskReport]:
    """Measure many portfolios, those alike in one go; what is said of each does not depend on the others.

    Portfolios whose inputs name the same sample, method and estimator, and have as many modelled positions, are
    alike. A sample may hold instruments that a portfolio does not; with shrinkage, which rests on all of a sample,
    it should not.

    Args:
        everything: As for `measure`.

    Returns:
        The reports, in the order of the inputs.
    """
    exposures = [exposure_of(inputs) for inputs in everything]
    stacks: dict[tuple[object, ...], list[int]] = {}
    for place, (inputs, exposure) in enumerate(zip(everything, exposures, strict=True)):
        settings = inputs.settings
        key = (id(inputs.sample), settings.method, settings.covariance, len(exposure.tickers))
        stacks.setdefault(key, []).append(place)
    reports: dict[int, RiskReport] = {}
    for places in stacks.values():
        sample = everything[places[0]].sample
        at_once = fitting(sample, len(exposures[places[0]].tickers))
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            found = _reports([everything[each] for each in some], [exposures[each] for each in some])
            reports |= dict(zip(some, found, strict=True))
    return [reports[place] for place in range(len(everything))]


def _reports(alike: Sequence[RiskInputs], exposures: Sequence[Exposure]) -> list[RiskReport]:
    if not exposures[0].tickers:
        return [_report(inputs, exposure, None) for inputs, exposure in zip(alike, exposures, strict=True)]
    stack = Stack(
        alike[0].sample,
        alike[0].settings,
        np.array([one.columns for one in exposures]),
        np.array([one.values for one in exposures]),
        np.array([one.nav for one in exposures]),
    )
    scales = [_scale(exposure) for exposure in exposures]
    measured = _measured(stack, scales)
    return [_report(*one) for one in zip(alike, exposures, measured, strict=True)]


def _scale(exposure: Exposure) -> float | None:
    """Return 1 / NAV; None where fractions of it say nothing."""
    return 1 / exposure.nav if unusable_nav(exposure) is None and exposure.nav > 0 else None


def _report(inputs: RiskInputs, exposure: Exposure, measured: _Measured | None) -> RiskReport:
    sample, method = inputs.sample, inputs.settings.method
    covered = coverage_of(exposure, len(scenarios_for(method, sample)), inputs.as_of)
    warnings = caveats(inputs, exposure, covered)
    unusable, scale = unusable_nav(exposure), _scale(exposure)
    if unusable is not None:
        warnings.insert(0, unusable)
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
        correlation=_correlation(measured.correlation, exposure) if measured else None,
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
    """(n,) arrays over the modelled positions, in their order; `component_*` in base currency, volatility daily."""

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
    correlation: Matrix


def _measured(stack: Stack, scales: Sequence[float | None]) -> Iterator[_Measured]:
    """Yield what there is to say of each portfolio of a stack."""
    method = stack.settings.method
    found = measure_stack(stack)
    reports = _method_reports(found.figures, scales)
    bounds = _bounds(method, found.outcomes)
    histograms = distribution.histograms(found.outcomes.pnl)
    bets = found.effective_bets.tolist()
    for row, (methods, scale, (edges, counts)) in enumerate(zip(reports, scales, histograms, strict=True)):
        # Volatility is that of the window whatever the method: the figure that others publish, too.
        of_window = methods[Method.COVARIANCE]
        amounts = _headline(methods[method].amounts, of_window.amounts)
        own = found.instrument_volatility[row]
        yield _Measured(
            fractions=_headline(methods[method].fractions, of_window.fractions),
            amounts=amounts,
            methods=methods,
            intervals=_intervals(method, found.outcomes.days, bounds[row], methods[method].amounts, scale),
            disagreement=None if scale is None else _disagreement(methods, method),
            distribution=Distribution(edges.tolist(), counts.tolist(), amounts),
            drawdown=None if scale is None or not found.has_path[row] else _drawdown(stack.sample, found.fall, row),
            beta=None if scale is None or found.beta is None else float(found.beta[row]) * scale,
            diversification_ratio=diversification_ratio(stack.values[row], own, float(found.volatility[row])),
            # What is left of a hedge that is perfect is rounding, and no bet.
            effective_bets=bets[row] if found.moved[row] and bets[row] == bets[row] else None,
            positions=_PositionFigures(
                volatility=own,
                beta=None if found.betas is None else found.betas[row],
                component_volatility=found.component_volatility[row],
                component_var=found.component_var[row],
                component_es=found.component_es[row],
                marginal_var=found.marginal_var[row],
            ),
            correlation=found.correlation[row],
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


def _method_reports(
    figures: Mapping[Method, Figures], scales: Sequence[float | None]
) -> Iterator[dict[Method, MethodReport]]:
    """Yield the figures of all methods, portfolio by portfolio."""
    rows = {
        method: zip(one.value_at_risk.tolist(), one.expected_shortfall.tolist(), one.volatility.tolist(), strict=True)
        for method, one in figures.items()
    }
    for scale in scales:
        yield {method: _method_report(*next(row), scale) for method, row in rows.items()}


def _method_report(
    value_at_risk: Sequence[float], expected_shortfall: Sequence[float], volatility: float, scale: float | None
) -> MethodReport:
    (var_95, var_975, var_99), (es_95, es_975, es_99) = value_at_risk, expected_shortfall
    amounts = (var_95, es_95, var_975, es_975, var_99, es_99, volatility)
    fractions = MethodFigures() if scale is None else MethodFigures(*[amount * scale for amount in amounts])
    return MethodReport(fractions, MethodFigures(*amounts))


def _bounds(method: Method, outcomes: Outcomes) -> Sequence[list[Interval] | None]:
    """Return the intervals of each portfolio in the order of `_TAIL_FIGURES`; None for a method without scenarios."""
    if method not in {Method.HISTORICAL, Method.FILTERED}:
        return [None] * len(outcomes.pnl)
    of_var, of_es = intervals.simulated(outcomes.pnl)
    both = np.stack([of_var, of_es], axis=2).reshape(len(of_var), -1, 2).tolist()
    return [[Interval(*map(_known, one)) for one in row] for row in both]


def _known(bound: float) -> float | None:
    return None if math.isnan(bound) else bound


def _intervals(
    method: Method, days: int, bounds: list[Interval] | None, figures: MethodFigures, scale: float | None
) -> Intervals:
    if bounds is not None:
        amounts = dict(zip(_TAIL_FIGURES, bounds, strict=True))
    else:
        amounts = {name: intervals.of_volatility(getattr(figures, name), days, method) for name in _TAIL_FIGURES}
    fractions = None
    if scale is not None:
        fractions = {
            name: Interval(*(None if bound is None else bound * scale for bound in (one.low, one.high)))
            for name, one in amounts.items()
        }
    return Intervals(intervals.INTERVAL_CONFIDENCE, intervals.basis(method, days), fractions, amounts)


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


def _drawdown(sample: Sample, fall: DeepestFall, row: int) -> Drawdown:
    depth, peak, trough, recovery = float(fall.depth[row]), fall.peak[row], fall.trough[row], int(fall.recovery[row])
    if depth <= 0:
        return Drawdown(0.0, None, None, None)
    start, end = sample.sessions[peak].astype(object), sample.sessions[trough].astype(object)
    recovered: date | None = None if recovery < 0 else sample.sessions[recovery].astype(object)
    return Drawdown(depth, start, end, recovered)


def _correlation(correlation: Matrix, exposure: Exposure) -> Correlation:
    matrix = correlation.round(CORRELATION_DECIMALS)
    undefined = np.isnan(matrix)
    if undefined.any():
        matrix = matrix.astype(object)
        matrix[undefined] = None
    shown = len(matrix)
    return Correlation(
        tickers=list(exposure.tickers[:shown]), matrix=matrix.tolist(), omitted=len(exposure.tickers) - shown
    )


def _concentration(exposure: Exposure, measured: _Measured | None) -> Concentration | None:
    if not exposure.gross:
        return None
    hhi = herfindahl_hirschman(np.array([one.market_value or 0.0 for one in exposure.holdings]))
    if measured is None:
        return Concentration(hhi, 1 / hhi, None, None)
    return Concentration(hhi, 1 / hhi, measured.diversification_ratio, measured.effective_bets)
