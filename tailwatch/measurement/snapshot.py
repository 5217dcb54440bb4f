"""From a loaded portfolio to the row of its snapshot: exact values in front, risk figures behind, one JSON body."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from tailwatch import __version__
from tailwatch.measurement import series
from tailwatch.measurement.loading import Holding, Loaded
from tailwatch.risk import Method, RiskInputs, RiskSettings, Status, UnmodelledPosition, measure, to_json_dict


def make(loaded: Loaded, now: datetime) -> dict[str, Any]:
    """Measure a portfolio; return the columns of its `risk_snapshots` row, all but the duration.

    Args:
        loaded: The portfolio at one instant.
        now: When this is, for `computed_at`, and as the as-of day of a portfolio without any price.
    """
    valued = {h.ticker: h for h in loaded.holdings if is_valued(h, loaded.base_currency)}
    values = {ticker: market_value(h) for ticker, h in valued.items()}
    unmodelled = [unmodelled_position(h, loaded.base_currency) for h in loaded.holdings if h.ticker not in valued]
    as_of = max((h.price_day for h in valued.values() if h.price_day), default=None)
    report = measure(
        RiskInputs(
            sample=series.aligned(
                [loaded.histories[h.instrument_id] for h in valued.values() if h.instrument_id in loaded.histories],
                loaded.histories.get(loaded.benchmark.instrument_id) if loaded.benchmark else None,
                loaded.window,
            ),
            market_values={ticker: float(value) for ticker, value in values.items()},
            as_of=as_of or now.date(),
            settings=RiskSettings(Method(loaded.method), float(loaded.confidence) / 100),
            unmodelled=unmodelled,
        )
    )
    nav = sum(values.values(), Decimal(0))
    gross = sum(map(abs, values.values()), Decimal(0))
    headline = asdict(report.fractions)
    columns: dict[str, Any] = {
        "portfolio_id": loaded.portfolio_id,
        "revision": loaded.revision,
        "market_revision": loaded.market_revision,
        "trigger": loaded.trigger,
        "as_of": as_of,
        "computed_at": now,
        "method": report.method.value,
        "base_currency": loaded.base_currency,
        "nav": nav,
        "gross": gross,
        **headline,
        "inputs_hash": inputs_hash(loaded),
    }
    body = to_json_dict(report)
    holdings = {h.ticker: h for h in loaded.holdings}
    body["positions"] = [p | exact_figures(holdings[p["ticker"]], values) for p in body["positions"]]
    # The exact figures and identities take the place of the report's floats.
    body |= columns | {"nav": plain(nav), "gross": plain(gross), "cash": "0"}
    return columns | {
        "positions": len(loaded.holdings),
        "pending_positions": sum(position.status is Status.PENDING for position in unmodelled),
        "body": orjson.dumps(body, option=orjson.OPT_UTC_Z),
    }


def is_valued(holding: Holding, base_currency: str) -> bool:
    """Say whether a position has a price in the portfolio's own currency."""
    return holding.price is not None and (holding.currency or base_currency) == base_currency


def market_value(holding: Holding) -> Decimal:
    """Return quantity times price, signed, exact."""
    if holding.price is None:
        raise ValueError(f"{holding.ticker} has no price")
    return holding.quantity * holding.price


def unmodelled_position(holding: Holding, base_currency: str) -> UnmodelledPosition:
    """Say why a position without a usable price is not in the figures."""
    if holding.price is not None:
        return UnmodelledPosition(
            holding.ticker,
            Status.EXCLUDED,
            f"Its prices are in {holding.currency}, the portfolio is in {base_currency}; "
            "other currencies are not converted yet.",
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
        "price": None if holding.price is None else plain(holding.price),
        "price_date": holding.price_day,
        "price_source": holding.source,
        "market_value": None if value is None else plain(value),
    }


def plain(number: Decimal) -> str:
    """Write a number in full, without the zeros that NUMERIC columns pad with."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def inputs_hash(loaded: Loaded) -> str:
    """Return the SHA-256 over everything the figures depend on: positions, prices, parameters, code version."""
    histories = {h.series.ticker: h.digest for h in loaded.histories.values()}
    inputs = {
        "code": __version__,
        "base_currency": loaded.base_currency,
        "method": loaded.method,
        "window": loaded.window,
        "benchmark": loaded.benchmark.ticker if loaded.benchmark else None,
        "positions": [[h.ticker, plain(h.quantity), h.price and plain(h.price), h.status] for h in loaded.holdings],
        "histories": histories,
    }
    return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()
