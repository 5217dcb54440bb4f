"""What a portfolio holds and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

from sqlalchemy import Row, select, text

from api.auth import caller, requires
from api.database import db
from api.problems import not_found
from api.routing import Routes
from api.schemas import portfolios as schemas
from tailwatch.book.ledger import TradeLine, positions
from tailwatch.book.splits import SplitEvent
from tailwatch.book.valuation import Holding, Quote, value
from tailwatch.db.models import Instrument, Portfolio, Trade

routes = Routes("holdings", "Portfolios")

#: Averages and shares of a cost have no last digit of their own; amounts are told to ten places, as they are stored.
_PLACES: Final = 10

_QUOTES: Final = text(
    """
    SELECT i.ticker, i.name, i.currency, i.status, i.status_reason, last.close, last.day, last.source,
           s.days AS split_days, s.ratios AS split_ratios
    FROM instruments i
    LEFT JOIN LATERAL (
      SELECT close, day, source FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last ON true
    LEFT JOIN LATERAL (
      SELECT array_agg(day ORDER BY day) AS days, array_agg(ratio ORDER BY day) AS ratios
      FROM splits WHERE instrument_id = i.id) s ON true
    WHERE i.id IN (SELECT instrument_id FROM trades WHERE portfolio_id = :portfolio_id)
    """
)


@routes.get("/portfolios/<int:portfolio_id>/holdings")
@requires("read")
@routes.output(schemas.Holdings)
def list_holdings(portfolio_id: int) -> schemas.Holdings:
    """Show what a portfolio holds, what it cost and what it is worth."""
    return load_holdings(portfolio_id)


def load_holdings(portfolio_id: int) -> schemas.Holdings:
    """Return the holdings of a portfolio of the caller.

    Raises:
        ProblemError: 404, there is no such portfolio of theirs.
    """
    base_currency = db().scalar(
        select(Portfolio.base_currency).where(Portfolio.id == portfolio_id, Portfolio.user_id == caller().user_id)
    )
    if base_currency is None:
        raise not_found()
    # Quotes after trades: an instrument that comes in between is in neither or only in the quotes.
    trades = _trades(portfolio_id)
    rows = db().execute(_QUOTES, {"portfolio_id": portfolio_id}).all()
    held = positions(trades, {row.ticker: _splits(row) for row in rows})
    valued = value(held, {row.ticker: _quote(row) for row in rows}, base_currency)
    return schemas.Holdings(
        portfolio_id=portfolio_id,
        base_currency=base_currency,
        as_of=valued.as_of,
        items=[_answer(holding) for holding in valued.items],
        totals=schemas.HoldingsTotals(
            cost=_told(valued.totals.cost),
            market_value=_told(valued.totals.market_value),
            unrealised_pnl=_told(valued.totals.unrealized_pnl),
            realised_pnl=_told(valued.totals.realized_pnl),
        ),
    )


def _trades(portfolio_id: int) -> Sequence[TradeLine]:
    rows = db().execute(
        select(Instrument.ticker, Trade.quantity, Trade.price, Trade.fee, Trade.currency, Trade.executed_at, Trade.id)
        .join(Instrument, Instrument.id == Trade.instrument_id)
        .where(Trade.portfolio_id == portfolio_id)
    )
    return [TradeLine(*row) for row in rows]


def _splits(row: Row[Any]) -> list[SplitEvent]:
    return [SplitEvent(*split) for split in zip(row.split_days or (), row.split_ratios or (), strict=True)]


def _quote(row: Row[Any]) -> Quote:
    return Quote(
        name=row.name,
        currency=row.currency,
        price=row.close,
        price_date=row.day,
        price_source=row.source,
        status=row.status,
        reason=row.status_reason,
    )


def _told(amount: Decimal) -> Decimal:
    # Ten places of the largest quantity at the highest price take more digits than the default context has.
    with localcontext(prec=60):
        return round(amount, _PLACES)


def _told_if_any(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else _told(amount)


def _answer(holding: Holding) -> schemas.Holding:
    position, quote = holding.position, holding.quote
    return schemas.Holding(
        ticker=position.ticker,
        name=quote.name,
        currency=position.currency,
        quantity=_told(position.quantity),
        average_cost=_told_if_any(position.average_cost),
        cost=_told(position.total_cost),
        price=quote.price,
        price_date=quote.price_date,
        price_source=quote.price_source,
        market_value=_told_if_any(holding.market_value),
        weight=None if holding.weight is None else float(holding.weight),
        unrealised_pnl=_told_if_any(holding.unrealized_pnl),
        realised_pnl=_told(position.realized_pnl),
        status=holding.status,
        reason=holding.reason,
    )
