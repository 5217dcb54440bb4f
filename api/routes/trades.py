"""Trades of a portfolio."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response
from sqlalchemy import Row, Select, TextClause, func, select, text, tuple_, update

from api import cursors, idempotency
from api.auth import caller, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes, documented
from api.schemas import portfolios as schemas
from api.schemas.base import PageQuery
from tailwatch import refresh
from tailwatch.db.models import Instrument, Portfolio, Trade
from tailwatch.market.instruments import ensure_instruments

routes = Routes("trades", "Trades")

# Owner, base currency and instrument are looked up by the statement that books: one round trip.
_BOOK: Final = """
    INSERT INTO trades (portfolio_id, type, instrument_id, quantity, price, currency, fee, executed_at, note,
                        external_id)
    SELECT p.id, CASE WHEN :quantity > 0 THEN 'buy' ELSE 'sell' END, i.id, :quantity, :price,
           coalesce(:currency, p.base_currency), :fee, :executed_at, :note, :external_id
    FROM portfolios p JOIN instruments i ON i.ticker = :ticker
    WHERE p.user_id = :user_id AND {which}
    RETURNING id, portfolio_id, currency, created_at, updated_at
"""
_INTO_PORTFOLIO: Final = text(_BOOK.format(which="p.id = :portfolio_id"))
_INTO_DEFAULT: Final = text(_BOOK.format(which="p.is_default"))


@routes.get("/portfolios/<int:portfolio_id>/trades")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.TradePage)
def list_trades(portfolio_id: int, page: PageQuery) -> schemas.TradePage:
    """List trades, the latest execution first."""
    _check_owner(portfolio_id)
    query = _trades_of(portfolio_id)
    if page.cursor:
        query = query.where(tuple_(Trade.executed_at, Trade.id) < tuple_(*cursors.read_moment(page.cursor)))
    query = query.order_by(Trade.executed_at.desc(), Trade.id.desc()).limit(page.limit + 1)
    found = db().execute(query).all()
    items = [_answer(row) for row in found[: page.limit]]
    more = len(found) > page.limit
    return schemas.TradePage(
        items=items, next_cursor=cursors.after_moment(items[-1].executed_at, items[-1].id) if more else None
    )


@routes.post("/portfolios/<int:portfolio_id>/trades")
@requires("write")
@routes.input(schemas.TradeCreate, arg_name="new")
@routes.output(schemas.BookedTrade, status_code=201)
@documented(409, idempotent=True)
def create_trade(portfolio_id: int, new: schemas.TradeCreate) -> Response:
    """Book a trade."""
    return idempotency.once(lambda: book(new, portfolio_id))


@routes.get("/portfolios/<int:portfolio_id>/trades/<int:trade_id>")
@requires("read")
@routes.output(schemas.Trade)
def get_trade(portfolio_id: int, trade_id: int) -> schemas.Trade:
    """Show a trade."""
    return _answer(_find(portfolio_id, trade_id))


@routes.patch("/portfolios/<int:portfolio_id>/trades/<int:trade_id>")
@requires("write")
@routes.input(schemas.TradeChange, arg_name="change")
@routes.output(schemas.BookedTrade)
@documented(409)
def change_trade(portfolio_id: int, trade_id: int, change: schemas.TradeChange) -> schemas.BookedTrade:
    """Correct a trade."""
    _find(portfolio_id, trade_id)
    values = change.changes()
    ticker = values.pop("ticker", None)
    if ticker is not None:
        values["instrument_id"] = ensure_instruments(db(), [ticker])[ticker].id
    if "quantity" in values:
        values["type"] = "buy" if values["quantity"] > 0 else "sell"
    db().execute(update(Trade).where(Trade.id == trade_id).values(**values, updated_at=func.now()))
    trade = _answer(_find(portfolio_id, trade_id))
    revision = refresh.raise_revision(db(), portfolio_id, "trade")
    commit()
    return schemas.BookedTrade(trade=trade, revision=revision)


@routes.delete("/portfolios/<int:portfolio_id>/trades/<int:trade_id>")
@requires("write")
@routes.output(schemas.RemovedTrade)
def delete_trade(portfolio_id: int, trade_id: int) -> schemas.RemovedTrade:
    """Remove a trade."""
    removed = db().scalar(
        text(
            """
            DELETE FROM trades t USING portfolios p
            WHERE t.id = :id AND p.id = t.portfolio_id AND p.id = :portfolio_id AND p.user_id = :user_id
            RETURNING t.id
            """
        ),
        {"id": trade_id, "portfolio_id": portfolio_id, "user_id": caller().user_id},
    )
    if removed is None:
        raise not_found("trade")
    revision = refresh.raise_revision(db(), portfolio_id, "trade")
    commit()
    return schemas.RemovedTrade(revision=revision)


def book(new: schemas.TradeCreate, portfolio_id: int | None) -> schemas.BookedTrade:
    """Insert `new` into a portfolio of the caller (None: the default one) and raise its revision; no commit.

    Raises:
        ProblemError: 404, there is no such portfolio of theirs.
    """
    values = new.model_dump() | {
        "user_id": caller().user_id,
        "portfolio_id": portfolio_id,
        "executed_at": new.executed_at or datetime.now(UTC),
    }
    statement = _INTO_DEFAULT if portfolio_id is None else _INTO_PORTFOLIO
    row = _insert(statement, values)
    if row is None:
        if portfolio_id is not None:
            _check_owner(portfolio_id)
        # The first trade ever in this ticker: its prices are fetched as soon as this commits.
        ensure_instruments(db(), [new.ticker])
        row = _insert(statement, values)
    if row is None:
        raise not_found()
    revision = refresh.raise_revision(db(), row.portfolio_id, "trade")
    trade = schemas.Trade(
        id=row.id,
        ticker=new.ticker,
        quantity=new.quantity,
        price=new.price,
        currency=row.currency,
        fee=new.fee,
        executed_at=values["executed_at"],
        note=new.note,
        external_id=new.external_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
    return schemas.BookedTrade(trade=trade, revision=revision)


def _insert(statement: TextClause, values: dict[str, Any]) -> Row[Any] | None:
    return db().execute(statement, values).one_or_none()


def _check_owner(portfolio_id: int) -> None:
    owned = select(Portfolio.id).where(Portfolio.id == portfolio_id, Portfolio.user_id == caller().user_id)
    if db().scalar(owned) is None:
        raise not_found()


def _trades_of(portfolio_id: int) -> Select[Any, Any]:
    return (
        select(Trade, Instrument.ticker)
        .join(Instrument, Instrument.id == Trade.instrument_id)
        .where(Trade.portfolio_id == portfolio_id)
        .execution_options(populate_existing=True)
    )


def _find(portfolio_id: int, trade_id: int) -> Row[Any, Any]:
    query = _trades_of(portfolio_id).join(Portfolio, Portfolio.id == Trade.portfolio_id)
    row = db().execute(query.where(Trade.id == trade_id, Portfolio.user_id == caller().user_id)).one_or_none()
    if row is None:
        raise not_found("trade")
    return row


def _answer(row: Row[Any, Any]) -> schemas.Trade:
    trade, ticker = row
    return schemas.Trade(
        id=trade.id,
        ticker=ticker,
        quantity=trade.quantity,
        price=trade.price,
        currency=trade.currency,
        fee=trade.fee,
        executed_at=trade.executed_at,
        note=trade.note,
        external_id=trade.external_id,
        created_at=trade.created_at,
        updated_at=trade.updated_at,
    )
