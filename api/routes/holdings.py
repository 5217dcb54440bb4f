"""What a portfolio holds and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

from sqlalchemy import Row, select

from api.auth import caller, requires
from api.database import db
from api.problems import not_found
from api.routing import Routes
from api.schemas import portfolios as schemas
from tailwatch.book.ledger import TradeLine, positions
from tailwatch.book.valuation import Holding, value
from tailwatch.db.models import Instrument, Portfolio, Trade
from tailwatch.market.quotes import load_quotes, load_splits

routes = Routes("holdings", "Portfolios")

#: Averages and shares of a cost have no last digit of their own; amounts are told to ten places, as they are stored.
_PLACES: Final = 10


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
    trades = _trades(portfolio_id)
    instrument_ids = {row.instrument_id for row in trades}
    # Asked for after the trades, so that no trade is without the quote of its instrument.
    quotes = load_quotes(db().connection(), instrument_ids)
    splits = load_splits(db().connection(), instrument_ids)
    valued = value(positions([_line(row) for row in trades], splits), quotes, base_currency)
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


def _trades(portfolio_id: int) -> Sequence[Row[*tuple[Any, ...]]]:
    return (
        db()
        .execute(
            select(
                Trade.id,
                Trade.instrument_id,
                Instrument.ticker,
                Trade.quantity,
                Trade.price,
                Trade.fee,
                Trade.currency,
                Trade.executed_at,
            )
            .join(Instrument, Instrument.id == Trade.instrument_id)
            .where(Trade.portfolio_id == portfolio_id)
        )
        .all()
    )


def _line(row: Row[*tuple[Any, ...]]) -> TradeLine:
    return TradeLine(
        ticker=row.ticker,
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        currency=row.currency,
        executed_at=row.executed_at,
        id=row.id,
    )


def _told(amount: Decimal) -> Decimal:
    # Ten places of the largest quantity at the highest price take more digits than the default context has.
    with localcontext(prec=60):
        return round(amount, _PLACES)


def _told_if_any(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else _told(amount)


def _answer(holding: Holding) -> schemas.Holding:
    position, quote = holding.position, holding.quote
    # Sums over several currencies are no amounts of money.
    one_currency = not position.mixed_currencies
    return schemas.Holding(
        ticker=position.ticker,
        name=quote.name,
        currency=position.currency,
        quantity=_told(position.quantity),
        average_cost=_told_if_any(position.average_cost) if one_currency else None,
        cost=_told(position.total_cost) if one_currency else None,
        price=quote.price,
        price_date=quote.price_date,
        price_source=quote.price_source,
        market_value=_told_if_any(holding.market_value),
        weight=None if holding.weight is None else float(holding.weight),
        unrealised_pnl=_told_if_any(holding.unrealized_pnl),
        realised_pnl=_told(position.realized_pnl) if one_currency else None,
        status=holding.status,
        reason=holding.reason,
    )
