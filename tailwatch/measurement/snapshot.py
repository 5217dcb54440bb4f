"""From a loaded portfolio to the row of its snapshot: exact values in front, risk figures behind, one JSON body."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from tailwatch.book.currencies import major
from tailwatch.market import remarks
from tailwatch.market.instruments import LABEL_KINDS
from tailwatch.measurement import explaining, inputs, series, stressing
from tailwatch.measurement.holding import Holding, is_valued, market_value
from tailwatch.measurement.inputs import plain
from tailwatch.measurement.loading import Loaded
from tailwatch.risk import (
    CovarianceEstimator,
    Method,
    RiskInputs,
    RiskReport,
    RiskSettings,
    Status,
    UnmodelledPosition,
    to_json_dict,
)
from tailwatch.risk.explain import NO_RISK, Standing
from tailwatch.risk.report import measure_all
from tailwatch.risk.results import members


def make(loaded: Loaded, now: datetime) -> dict[str, Any]:
    """Measure a portfolio; return the columns of its `risk_snapshots` row, all but the duration.

    Args:
        loaded: The portfolio at one instant.
        now: When this is, for `computed_at`, and as the as-of day of a portfolio without any price.
    """
    return make_all([loaded], now)[0]


def make_all(everything: Sequence[Loaded], now: datetime) -> list[dict[str, Any]]:
    """Measure portfolios, those that are alike in one go; return the columns of each one's row, as `make` does."""
    values = [market_values(loaded) for loaded in everything]
    given = [risk_inputs_of(loaded, one, now.date()) for loaded, one in zip(everything, values, strict=True)]
    measured = [_Measured(*one) for one in zip(everything, values, given, measure_all(given), strict=True)]
    stresses = stressing.answers([(one.loaded, one.inputs, one.report) for one in measured])
    explained = explaining.answers(
        [(one.loaded, one.standing, one.inputs.sample, one.inputs.settings) for one in measured], now
    )
    return [_row(one, stress, why, now) for one, stress, why in zip(measured, stresses, explained, strict=True)]


class _Measured(NamedTuple):
    """A portfolio, the exact values of its positions, and its measurement."""

    loaded: Loaded
    values: dict[str, Decimal]
    inputs: RiskInputs
    report: RiskReport

    @property
    def standing(self) -> Standing:
        report = self.report
        return Standing(report.nav, report.amounts if self.values else NO_RISK, report.fractions)


def _row(one: _Measured, stress: bytes | None, explained: bytes, now: datetime) -> dict[str, Any]:
    loaded, values, report = one.loaded, one.values, one.report
    cash = loaded.cash or Decimal(0)
    nav = sum(values.values(), cash)
    gross = sum(map(abs, values.values()), Decimal(0))
    document = inputs.canonical(loaded.document or inputs.document(loaded))
    columns: dict[str, Any] = {
        "portfolio_id": loaded.portfolio_id,
        "revision": loaded.revision,
        "market_revision": loaded.market_revision,
        "trigger": loaded.trigger,
        "as_of": newest_price_day(loaded),
        "computed_at": now,
        "method": report.method.value,
        "base_currency": loaded.base_currency,
        "nav": nav,
        "gross": gross,
        **members(report.fractions),
        "inputs_hash": hashlib.sha256(document).hexdigest(),
    }
    body = to_json_dict(report)
    holdings = {h.ticker: h for h in loaded.holdings}
    body["positions"] = [p | exact_figures(holdings[p["ticker"]], values) for p in body["positions"]]
    body["warnings"] += [
        {"code": code, "message": remarks.warning(h.ticker, code, message)}
        for h in (*loaded.holdings, *filter(None, [loaded.benchmark]))
        for code, message in h.remarks
    ]
    # The exact figures and identities take the place of the report's floats.
    body |= columns | {"nav": plain(nav), "gross": plain(gross), "cash": plain(cash)}
    return columns | {
        "positions": len(loaded.holdings),
        "pending_positions": sum(position.status is Status.PENDING for position in one.inputs.unmodelled),
        "inputs": document,
        "stress": stress,
        "explain": explained,
        "body": orjson.dumps(body, option=orjson.OPT_UTC_Z),
    }


def market_values(loaded: Loaded) -> dict[str, Decimal]:
    """Return the exact signed market value, by ticker, of each position that has one."""
    return {h.ticker: market_value(h) for h in loaded.holdings if is_valued(h)}


def newest_price_day(loaded: Loaded) -> date | None:
    """Return the day of the newest price that goes in; None without any."""
    days = (h.price_day for h in loaded.holdings if is_valued(h))
    return max(filter(None, days), default=None)


def risk_inputs_of(loaded: Loaded, values: Mapping[str, Decimal], today: date) -> RiskInputs:
    """Return what the risk core is given.

    Args:
        loaded: The portfolio at one instant.
        values: Of `market_values`.
        today: The as-of day of a portfolio without any price.
    """
    held = [h.instrument_id for h in loaded.holdings if h.ticker in values]
    return RiskInputs(
        sample=loaded.shared
        or series.aligned(
            [loaded.histories[each] for each in held if each in loaded.histories],
            loaded.histories.get(loaded.benchmark.instrument_id) if loaded.benchmark else None,
            loaded.window,
            loaded.model,
        ),
        market_values={ticker: float(value) for ticker, value in values.items()},
        as_of=newest_price_day(loaded) or today,
        settings=RiskSettings(
            Method(loaded.method), float(loaded.confidence) / 100, CovarianceEstimator(loaded.covariance)
        ),
        cash=float(loaded.cash or 0),
        unmodelled=[unmodelled_position(h, loaded.base_currency) for h in loaded.holdings if h.ticker not in values],
        due_days={h.ticker: h.due_day for h in loaded.holdings if h.due_day is not None},
        currencies={h.ticker: major(h.currency or loaded.base_currency)[0] for h in loaded.holdings},
        labels={
            kind: {h.ticker: h.labels[kind] for h in loaded.holdings if kind in h.labels} for kind in LABEL_KINDS
        },
    )


def unmodelled_position(holding: Holding, base_currency: str) -> UnmodelledPosition:
    """Say why a position without a usable price is not in the figures."""
    if holding.price is not None:
        rate = f"The exchange rate from {major(holding.currency or base_currency)[0]} to {base_currency}"
        if holding.rate_id is None or (holding.instrument_id < 0 and holding.status == "pending"):
            return UnmodelledPosition(holding.ticker, Status.PENDING, f"{rate} is being fetched.")
        return UnmodelledPosition(
            holding.ticker,
            Status.EXCLUDED,
            f"{rate} is not known; the page of prices says why.",
        )
    if holding.status == "unknown":
        reason = holding.status_reason or "No price source knows this ticker."
        return UnmodelledPosition(holding.ticker, Status.UNKNOWN, reason)
    if holding.status == "failed":
        reason = holding.status_reason or "Its prices could not be fetched; the next try comes by itself."
        return UnmodelledPosition(holding.ticker, Status.EXCLUDED, reason)
    return UnmodelledPosition(holding.ticker, Status.PENDING, "Its prices are being fetched.")


def exact_figures(holding: Holding, values: dict[str, Decimal]) -> dict[str, Any]:
    """Return the exact members of a position: strings, because money and quantities are never floats in JSON."""
    value = values.get(holding.ticker)
    return {
        "quantity": plain(holding.quantity),
        "currency": holding.currency,
        "rate": None if holding.rate is None else plain(holding.rate),
        "price": None if holding.price is None else plain(holding.price),
        "price_date": holding.price_day,
        "price_source": holding.source,
        "market_value": None if value is None else plain(value),
    }
