"""What a risk computation needs from the database, read at one instant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, text

from tailwatch.book.splits import SplitEvent, quantity_today
from tailwatch.measurement import book, episodes, inputs, model, series
from tailwatch.measurement import previous as snapshot_before
from tailwatch.measurement.holding import Holding
from tailwatch.risk import PriceSeries
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.volatility import VolatilityModel


@dataclass(frozen=True)
class Loaded:
    """A portfolio as it stood at one instant of the database."""

    portfolio_id: int
    revision: int
    market_revision: int
    trigger: str
    base_currency: str
    method: str
    covariance: str
    window: int
    confidence: Decimal
    #: Positions, and cash in foreign currencies if cash counts.
    holdings: tuple[Holding, ...]
    benchmark: Holding | None
    #: Price history in base currency by instrument id, for every holding (and the benchmark) that has one.
    histories: dict[int, series.History]
    #: In base currency; None: cash is no part of the portfolio's value.
    cash: Decimal | None = None
    #: The newest snapshot there is.
    previous: snapshot_before.Previous | None = None
    #: Prices in the episodes of stress, by instrument id; without them there is no stress.
    episodes: dict[int, PriceSeries | None] | None = None
    #: That of `inputs.document`, where it was needed already.
    document: dict[str, Any] = field(default_factory=dict)
    #: The volatility model that scales the scenarios.
    model: VolatilityModel = field(default_factory=default_model)


_PORTFOLIO = f"""
    SELECT p.id, p.revision, p.market_revision, p.done_revision, p.trigger, p.base_currency, p.benchmark_id,
           p.risk_method, p.risk_covariance, p.risk_window, p.risk_confidence, {snapshot_before.COLUMNS},
           {model.COLUMN}, {book.CASH_COUNTS}
    FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
    WHERE p.id = :id
    """  # noqa: S608 - a constant
_IF_BEHIND = text(f"{_PORTFOLIO} AND (p.revision > p.done_revision OR p.market_revision > p.done_market_revision)")

# Net quantity by day rather than trade by trade: a split asks only for the day.
_HOLDINGS = text(
    """
    WITH by_day AS (
      SELECT instrument_id, (executed_at AT TIME ZONE 'UTC')::date AS day, sum(quantity) AS quantity
      FROM trades WHERE portfolio_id = :id AND quantity IS NOT NULL GROUP BY 1, 2
    ), held AS (
      SELECT instrument_id, array_agg(day ORDER BY day) AS days, array_agg(quantity ORDER BY day) AS quantities
      FROM by_day GROUP BY 1
    ), wanted AS (
      SELECT 'held' AS role, instrument_id, days, quantities FROM held
      UNION ALL SELECT 'benchmark', :benchmark_id, '{}', '{}' WHERE :benchmark_id IS NOT NULL
      UNION ALL SELECT 'beside', id, '{}', '{}' FROM instruments WHERE ticker = ANY(:beside)
    )
    SELECT h.role, i.id, i.ticker, i.currency, i.status, i.status_reason, i.source, i.market_revision, i.labels,
           i.remarks, h.days, h.quantities, last.close AS price, last.day AS price_day, s.days AS split_days, s.ratios
    FROM wanted h
    JOIN instruments i ON i.id = h.instrument_id
    LEFT JOIN LATERAL (
      SELECT close, day FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last ON true
    LEFT JOIN LATERAL (
      SELECT array_agg(day ORDER BY day) AS days, array_agg(ratio ORDER BY day) AS ratios
      FROM splits WHERE instrument_id = i.id) s ON true
    ORDER BY i.ticker
    """
)


def load(engine: Engine, portfolio_id: int) -> Loaded | None:
    """Read a portfolio, its positions and their prices as of one instant; None if it is not behind (any more).

    REPEATABLE READ makes it one instant: the revision read first is exactly that of the trades and prices read
    after it, however many are booked meanwhile.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        portfolio = connection.execute(_IF_BEHIND, {"id": portfolio_id}).mappings().one_or_none()
        if portfolio is None:
            return None
        return _load(connection, portfolio)


def load_with(
    engine: Engine, portfolio_id: int, tickers: Collection[str]
) -> tuple[Loaded, tuple[Holding, ...]] | None:
    """Read a portfolio, behind or not, and other instruments with it; None if there is no such portfolio.

    Returns:
        The portfolio, without its snapshot before and its episodes, and those of `tickers` that are known, with a
        quantity of zero; their histories are among the portfolio's.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        portfolio = connection.execute(text(_PORTFOLIO), {"id": portfolio_id}).mappings().one_or_none()
        return None if portfolio is None else _positions(connection, portfolio, tickers)


def _load(connection: Connection, portfolio: RowMapping) -> Loaded:
    loaded, _ = _positions(connection, portfolio)
    loaded = replace(loaded, episodes=episodes.load(connection, loaded.histories))
    previous = snapshot_before.of_row(portfolio)
    if previous is None:
        return loaded
    loaded = replace(loaded, document=inputs.document(loaded))
    known = snapshot_before.with_market(connection, previous, loaded.document, loaded.holdings, loaded.model)
    return replace(loaded, previous=known)


def _positions(
    connection: Connection, portfolio: RowMapping, beside: Collection[str] = ()
) -> tuple[Loaded, tuple[Holding, ...]]:
    rows = connection.execute(
        _HOLDINGS,
        {"id": portfolio["id"], "benchmark_id": portfolio["benchmark_id"], "beside": list(beside)},
    ).mappings()
    everything = [(row["role"], _holding(row)) for row in rows]
    cash = book.cash(connection, portfolio["id"]) if portfolio["cash_counts"] else {}
    base_currency = portfolio["base_currency"]
    converted, rates = book.in_base_currency(connection, [one for _, one in everything], cash, base_currency)
    roles = [role for role, _ in everything]
    by_role = [*zip(roles, converted, strict=False), *(("held", one) for one in converted[len(roles) :])]
    holdings = tuple(h for role, h in by_role if role == "held" and h.quantity != 0)
    benchmark = next((h for role, h in by_role if role == "benchmark"), None)
    others = tuple(h for role, h in by_role if role == "beside")
    volatility_model = model.of_column(portfolio["volatility_model"])
    loaded = Loaded(
        portfolio_id=portfolio["id"],
        revision=portfolio["revision"],
        market_revision=portfolio["market_revision"],
        trigger=portfolio["trigger"] if portfolio["revision"] > portfolio["done_revision"] else "prices",
        base_currency=base_currency,
        method=portfolio["risk_method"],
        covariance=portfolio["risk_covariance"],
        window=portfolio["risk_window"],
        confidence=portfolio["risk_confidence"],
        holdings=holdings,
        benchmark=benchmark,
        histories=series.of_holdings(
            connection,
            (*holdings, *others, *filter(None, [benchmark])),
            rates,
            volatility_model,
        ),
        cash=cash.get(base_currency, Decimal(0)) if portfolio["cash_counts"] else None,
        model=volatility_model,
    )
    return loaded, others


def _holding(row: RowMapping) -> Holding:
    lots = zip(row["days"], row["quantities"], strict=True)
    splits = [SplitEvent(*split) for split in zip(row["split_days"] or (), row["ratios"] or (), strict=True)]
    return Holding(
        instrument_id=row["id"],
        ticker=row["ticker"],
        currency=row["currency"],
        status=row["status"],
        status_reason=row["status_reason"],
        source=row["source"],
        market_revision=row["market_revision"],
        quantity=quantity_today(lots, splits),
        price=row["price"],
        price_day=row["price_day"],
        labels=row["labels"],
        held_back=tuple(one["message"] for one in row["remarks"] if one["code"] == "held_price"),
    )
