"""A report as plain JSON values, under the field names of the HTTP contract."""

from __future__ import annotations

from datetime import date
from typing import Any

from tailwatch.risk.results import (
    Coverage,
    Distribution,
    Drawdown,
    HeadlineFigures,
    Intervals,
    MethodFigures,
    MethodReport,
    PositionRisk,
    RiskReport,
    TailFigures,
    members,
)


def to_json_dict(report: RiskReport) -> dict[str, Any]:
    """Return the report as dict, list, str, int, float and None; the caller adds ids, quantities, prices and times.

    VaR, ES and volatility at the top and in `methods` are fractions of NAV; `amounts`, there and in each method, has
    the same in base currency. `nav`, `gross` and `market_value` are floats here: a caller with the exact decimals
    replaces them.
    """
    return {
        "as_of": report.as_of.isoformat(),
        "nav": report.nav,
        "gross": report.gross,
        "cash": report.cash,
        "method": report.method.value,
        "confidence": report.confidence,
        "window": report.window,
        **_headline(report.fractions),
        "amounts": _headline(report.amounts),
        "methods": {method.value: _method(figures) for method, figures in report.methods.items()},
        "intervals": None if report.intervals is None else _intervals(report.intervals),
        "disagreement": None
        if report.disagreement is None
        else {name: members(one) for name, one in report.disagreement.items()},
        "positions": [_position(position) for position in report.positions],
        "by_currency": [members(group) for group in report.by_currency],
        "by_label": {kind: [members(group) for group in groups] for kind, groups in report.by_label.items()},
        "correlation": None
        if report.correlation is None
        else {
            "tickers": report.correlation.tickers,
            "matrix": report.correlation.matrix,
            "omitted": report.correlation.omitted,
        },
        "distribution": None if report.distribution is None else _distribution(report.distribution),
        "drawdown": None if report.drawdown is None else _drawdown(report.drawdown),
        "beta": report.beta,
        "benchmark": report.benchmark,
        "concentration": None if report.concentration is None else members(report.concentration),
        "coverage": _coverage(report.coverage),
        "warnings": [{"code": warning.code, "message": warning.message} for warning in report.warnings],
    }


def _tail(figures: TailFigures) -> dict[str, float | None]:
    return {
        "var_95_1d": figures.var_95_1d,
        "es_95_1d": figures.es_95_1d,
        "var_975_1d": figures.var_975_1d,
        "es_975_1d": figures.es_975_1d,
        "var_99_1d": figures.var_99_1d,
        "es_99_1d": figures.es_99_1d,
    }


def _headline(figures: HeadlineFigures) -> dict[str, float | None]:
    return {"annualized_volatility": figures.annualized_volatility, **_tail(figures)}


def _one_day(figures: MethodFigures) -> dict[str, float | None]:
    return {"volatility_1d": figures.volatility_1d, **_tail(figures)}


def _method(figures: MethodReport) -> dict[str, Any]:
    return {**_one_day(figures.fractions), "amounts": _one_day(figures.amounts)}


def _intervals(intervals: Intervals) -> dict[str, Any]:
    fractions = intervals.fractions or dict.fromkeys(intervals.amounts)
    return {
        "confidence": intervals.confidence,
        "basis": intervals.basis,
        **{name: None if one is None else members(one) for name, one in fractions.items()},
        "amounts": {name: members(one) for name, one in intervals.amounts.items()},
    }


def _position(position: PositionRisk) -> dict[str, Any]:
    return {
        "ticker": position.ticker,
        "market_value": position.market_value,
        "weight": position.weight,
        "volatility": position.volatility,
        "beta": position.beta,
        "component_volatility": position.component_volatility,
        "component_var_95": position.component_var_95,
        "component_es_975": position.component_es_975,
        "marginal_var_95": position.marginal_var_95,
        "status": position.status.value,
        "reason": position.reason,
    }


def _distribution(distribution: Distribution) -> dict[str, Any]:
    return {"edges": distribution.edges, "counts": distribution.counts, "marks": _tail(distribution.marks)}


def _drawdown(drawdown: Drawdown) -> dict[str, Any]:
    return {
        "depth": drawdown.depth,
        "from": _day(drawdown.start),
        "to": _day(drawdown.end),
        "recovered": _day(drawdown.recovered),
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    oldest = None
    if coverage.oldest_price_date is not None:
        oldest = {
            "ticker": coverage.oldest_price_ticker,
            "date": coverage.oldest_price_date.isoformat(),
            "age_days": coverage.oldest_price_age_days,
        }
    return {
        "modelled": coverage.modelled,
        "proxied": coverage.proxied,
        "excluded": coverage.excluded,
        "unvalued": coverage.unvalued,
        "observations": coverage.observations,
        "instruments": [
            {
                "ticker": one.ticker,
                "status": one.status.value,
                "reason": one.reason,
                "observations": one.observations,
                "gaps": one.gaps,
                "last_price_date": _day(one.last_price_date),
            }
            for one in coverage.instruments
        ],
        "oldest_price": oldest,
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
