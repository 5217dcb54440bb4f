"""Short forms on the caller's default portfolio: all that the simplest client needs."""

from __future__ import annotations

from decimal import Decimal

from flask import Response
from sqlalchemy import select

from api import edge_cache, idempotency
from api.auth import caller, requires
from api.database import db
from api.problems import ProblemError
from api.routes import risk, trades
from api.routes.holdings import load_holdings
from api.routing import Routes, documented
from api.schemas import portfolios as schemas
from api.schemas import trades as trade_schemas
from api.schemas.base import plain
from api.schemas.risk import Risk
from tailwatch.db.models import Portfolio

routes = Routes("short", "Short forms")


@routes.post("/trades")
@requires("write")
@routes.input(trade_schemas.TradeCreate, arg_name="new")
@routes.output(trade_schemas.ShortTrade, status_code=201)
@documented(404, 409, idempotent=True)
def create_default_trade(new: trade_schemas.TradeCreate) -> Response:
    """Book a trade in the default portfolio."""

    def work() -> trade_schemas.ShortTrade:
        edge_cache.will_change(portfolio_id=default_portfolio_id())
        booked = trades.book(new, None)
        return trade_schemas.ShortTrade(
            message=_said(booked.trade), id=booked.trade.id, trade=booked.trade, revision=booked.revision
        )

    return idempotency.once(work)


@routes.get("/portfolio")
@requires("read")
@routes.output(schemas.ShortHoldings)
@documented(404)
def get_default_portfolio() -> schemas.ShortHoldings:
    """Show the open positions of the default portfolio by ticker."""
    return schemas.ShortHoldings(
        {
            holding.ticker: schemas.ShortHolding(
                quantity=holding.quantity,
                total_cost=holding.cost,
                average_cost=holding.average_cost,
                price=holding.price,
                market_value=holding.market_value,
            )
            for holding in load_holdings(default_portfolio_id()).items
            if holding.quantity
        }
    )


@routes.get("/risk")
@requires("read")
@routes.output(Risk)
@documented(404, conditional=True)
def get_default_risk() -> Response:
    """Show the newest risk snapshot of the default portfolio."""
    return risk.newest(default_portfolio_id())


def default_portfolio_id() -> int:
    """Return the id of the caller's default portfolio.

    Raises:
        ProblemError: 404, with how to get one.
    """
    found = db().scalar(select(Portfolio.id).where(Portfolio.user_id == caller().user_id, Portfolio.is_default))
    if found is None:
        raise ProblemError(
            404,
            "no-default-portfolio",
            "No portfolio yet",
            'You have no portfolio yet. Make one: POST /api/portfolios with {"name": "Main"}; the first one becomes '
            "the default.",
        )
    return found


def _said(trade: trade_schemas.Trade) -> str:
    if trade.quantity is None or trade.price is None:
        return f"Booked: {trade.type} of {plain(trade.amount or Decimal(0))} {trade.currency}."
    verb = "Bought" if trade.quantity > 0 else "Sold"
    return f"{verb} {plain(abs(trade.quantity))} {trade.ticker} at {plain(trade.price)} {trade.currency}."
