"""What a risk computation needs from the database, read at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, Engine, RowMapping, text

from tailwatch.book.splits import SplitEvent, quantity_today
from tailwatch.measurement import series


@dataclass(frozen=True)
class Holding:
    """An open position, or the benchmark (quantity 0): its instrument and what is known of its price."""

    instrument_id: int
    ticker: str
    currency: str | None
    status: str
    status_reason: str | None
    source: str | None
    market_revision: int
    #: In today's shares: what was booked before a split is scaled by it.
    quantity: Decimal
    price: Decimal | None
    price_day: date | None


@dataclass(frozen=True)
class Loaded:
    """A portfolio as it stood at one instant of the database."""

    portfolio_id: int
    revision: int
    market_revision: int
    trigger: str
    base_currency: str
    method: str
    window: int
    confidence: Decimal
    holdings: tuple[Holding, ...]
    benchmark: Holding | None
    #: Price history by instrument id, for every holding (and the benchmark) that has one.
    histories: dict[int, series.History]


_PORTFOLIO = text(
    """
    SELECT id, revision, market_revision, done_revision, trigger, base_currency, benchmark_id,
           risk_method, risk_window, risk_confidence
    FROM portfolios
    WHERE id = :id AND (revision > done_revision OR market_revision > done_market_revision)
    """
)

# Net quantity by day rather than trade by trade: a split asks only for the day.
_HOLDINGS = text(
    """
    WITH by_day AS (
      SELECT instrument_id, (executed_at AT TIME ZONE 'UTC')::date AS day, sum(quantity) AS quantity
      FROM trades WHERE portfolio_id = :id GROUP BY 1, 2
    ), held AS (
      SELECT instrument_id, array_agg(day ORDER BY day) AS days, array_agg(quantity ORDER BY day) AS quantities
      FROM by_day GROUP BY 1
      UNION ALL
      SELECT :benchmark_id, '{}', '{}' WHERE :benchmark_id IS NOT NULL
    )
    SELECT i.id, i.ticker, i.currency, i.status, i.status_reason, i.source, i.market_revision,
           h.days, h.quantities, last.close AS price, last.day AS price_day, s.days AS split_days, s.ratios
    FROM held h
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
        portfolio = connection.execute(_PORTFOLIO, {"id": portfolio_id}).mappings().one_or_none()
        if portfolio is None:
            return None
        return _load(connection, portfolio)


def _load(connection: Connection, portfolio: RowMapping) -> Loaded:
    rows = connection.execute(
        _HOLDINGS, {"id": portfolio["id"], "benchmark_id": portfolio["benchmark_id"]}
    ).mappings()
    everything = [(row["days"] == [], _holding(row)) for row in rows]
    holdings = tuple(h for is_benchmark, h in everything if not is_benchmark and h.quantity != 0)
    benchmark = next((h for is_benchmark, h in everything if is_benchmark), None)
    wanted = {
        h.instrument_id: h.market_revision for h in (*holdings, *filter(None, [benchmark])) if h.price is not None
    }
    return Loaded(
        portfolio_id=portfolio["id"],
        revision=portfolio["revision"],
        market_revision=portfolio["market_revision"],
        trigger=portfolio["trigger"] if portfolio["revision"] > portfolio["done_revision"] else "prices",
        base_currency=portfolio["base_currency"],
        method=portfolio["risk_method"],
        window=portfolio["risk_window"],
        confidence=portfolio["risk_confidence"],
        holdings=holdings,
        benchmark=benchmark,
        histories=series.load(connection, wanted),
    )


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
    )
