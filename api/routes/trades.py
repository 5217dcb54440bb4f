"""The entries of a portfolio's book."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response
from sqlalchemy import Row, Select, TextClause, func, select, text, tuple_, update

from api import cursors, idempotency
from api.auth import caller, requires
from api.database import commit, db
from api.problems import invalid, not_found
from api.routing import Routes, documented
from api.schemas import trades as schemas
from api.schemas.base import PageQuery
from tailwatch import refresh
from tailwatch.book.currencies import major
from tailwatch.book.entries import OF_SHARES, EntryType, Stated, checked
from tailwatch.booking import changes
from tailwatch.db.models import Instrument, Portfolio, Trade, TradeChange
from tailwatch.errors import InvalidEntryError
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.rates import ensure_rates

routes = Routes("trades", "Trades")

# Owner, currency and instrument are looked up by the statement that books: one round trip.
_BOOK: Final = """
    INSERT INTO trades (portfolio_id, type, instrument_id, quantity, price, amount, currency, fee, tax, fx_rate,
                        executed_at, account, note, external_id)
    SELECT p.id, :type, i.id, CAST(:quantity AS numeric), CAST(:price AS numeric), CAST(:amount AS numeric),
           coalesce(:currency, p.base_currency), :fee, :tax, CAST(:fx_rate AS numeric), :executed_at, :account, :note,
           :external_id
    FROM portfolios p LEFT JOIN instruments i ON i.ticker = CAST(:ticker AS text)
    WHERE p.user_id = :user_id AND {which} AND (i.id IS NOT NULL OR CAST(:ticker AS text) IS NULL)
    RETURNING id, portfolio_id, currency, created_at, updated_at,
              (SELECT base_currency FROM portfolios WHERE id = portfolio_id) AS base_currency,
              (SELECT currency FROM instruments WHERE id = instrument_id) AS price_currency
"""
_INTO_PORTFOLIO: Final = text(_BOOK.format(which="p.id = :portfolio_id"))
_INTO_DEFAULT: Final = text(_BOOK.format(which="p.is_default"))
#: What the type of an entry decides on.
_STATED: Final = ("type", "ticker", "quantity", "price", "amount")


@routes.get("/portfolios/<int:portfolio_id>/trades")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.TradePage)
def list_trades(portfolio_id: int, page: PageQuery) -> schemas.TradePage:
    """List entries, the latest execution first."""
    check_owner(portfolio_id)
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
    """Book a trade, or cash that came or went."""
    return idempotency.once(lambda: book(new, portfolio_id))


@routes.get("/portfolios/<int:portfolio_id>/trades/changes")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.RecordedChangePage)
def list_changes(portfolio_id: int, page: PageQuery) -> schemas.RecordedChangePage:
    """List who changed or removed which entry, and what it was before; the newest first."""
    return _changes(portfolio_id, page, None)


@routes.get("/portfolios/<int:portfolio_id>/trades/<int:trade_id>/changes")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.RecordedChangePage)
def list_changes_of_trade(portfolio_id: int, trade_id: int, page: PageQuery) -> schemas.RecordedChangePage:
    """List the changes of one entry, of one that was removed as well; the newest first."""
    return _changes(portfolio_id, page, trade_id)


@routes.get("/portfolios/<int:portfolio_id>/trades/<int:trade_id>")
@requires("read")
@routes.output(schemas.Trade)
def get_trade(portfolio_id: int, trade_id: int) -> schemas.Trade:
    """Show an entry."""
    return _answer(_find(portfolio_id, trade_id))


@routes.patch("/portfolios/<int:portfolio_id>/trades/<int:trade_id>")
@requires("write")
@routes.input(schemas.TradeChange, arg_name="change")
@routes.output(schemas.BookedTrade)
@documented(409)
def change_trade(portfolio_id: int, trade_id: int, change: schemas.TradeChange) -> schemas.BookedTrade:
    """Correct an entry. What it was before stays in the audit trail."""
    trade, ticker = _find(portfolio_id, trade_id)
    values = change.changes()
    stated = _checked(_merged(trade, ticker, values))
    values = {name: value for name, value in values.items() if name != "ticker"} | {
        "type": stated.type,
        "quantity": stated.quantity,
        "price": stated.price,
        "amount": stated.amount,
        "instrument_id": None
        if stated.ticker is None
        else ensure_instruments(db(), [stated.ticker])[stated.ticker].id,
    }
    before = changes.entry(db(), portfolio_id, trade_id)
    db().execute(update(Trade).where(Trade.id == trade_id).values(**values, updated_at=func.now()))
    by = changes.author(db(), caller().user_id, caller().token_id)
    changes.record(db(), portfolio_id, before, changes.entry(db(), portfolio_id, trade_id), by)
    ensure_rates(db(), [portfolio_id])
    answer = _answer(_find(portfolio_id, trade_id))
    revision = refresh.raise_revision(db(), portfolio_id, "trade")
    commit()
    return schemas.BookedTrade(trade=answer, revision=revision)


@routes.delete("/portfolios/<int:portfolio_id>/trades/<int:trade_id>")
@requires("write")
@routes.output(schemas.RemovedTrade)
def delete_trade(portfolio_id: int, trade_id: int) -> schemas.RemovedTrade:
    """Remove an entry. What it was stays in the audit trail."""
    _find(portfolio_id, trade_id)
    by = changes.author(db(), caller().user_id, caller().token_id)
    if not changes.remove(db(), portfolio_id, by, ids=[trade_id]):
        # Somebody else was faster.
        raise not_found("trade")
    revision = refresh.raise_revision(db(), portfolio_id, "trade")
    commit()
    return schemas.RemovedTrade(revision=revision)


def book(new: schemas.TradeCreate, portfolio_id: int | None) -> schemas.BookedTrade:
    """Insert `new` into a portfolio of the caller (None: the default one) and raise its revision; no commit.

    Raises:
        ProblemError: 422, its members do not go together; 404, there is no such portfolio of theirs.
    """
    given = new.model_dump()
    if given["type"] is not None:
        given["type"] = EntryType(given["type"])
    stated = _checked(Stated(**{name: given[name] for name in _STATED}))
    values = given | {
        **{name: getattr(stated, name) for name in _STATED},
        "user_id": caller().user_id,
        "portfolio_id": portfolio_id,
        "executed_at": new.executed_at or datetime.now(UTC),
    }
    statement = _INTO_DEFAULT if portfolio_id is None else _INTO_PORTFOLIO
    row = _insert(statement, values)
    if row is None:
        if portfolio_id is not None:
            check_owner(portfolio_id)
        if stated.ticker is not None:
            # The first trade ever in this ticker: its prices are fetched as soon as this commits.
            ensure_instruments(db(), [stated.ticker])
            row = _insert(statement, values)
    if row is None:
        raise not_found()
    if row.base_currency not in {row.currency, None} or _is_foreign(row):
        ensure_rates(db(), [row.portfolio_id])
    revision = refresh.raise_revision(db(), row.portfolio_id, "trade")
    trade = schemas.Trade(
        **{
            name: values[name]
            for name in (*_STATED, "fee", "tax", "fx_rate", "executed_at", "account", "note", "external_id")
        },
        id=row.id,
        currency=row.currency,
        import_id=None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
    return schemas.BookedTrade(trade=trade, revision=revision)


def check_owner(portfolio_id: int) -> None:
    """Let only portfolios of the caller through.

    Raises:
        ProblemError: 404, there is no such portfolio of theirs.
    """
    owned = select(Portfolio.id).where(Portfolio.id == portfolio_id, Portfolio.user_id == caller().user_id)
    if db().scalar(owned) is None:
        raise not_found()


def _checked(stated: Stated) -> Stated:
    try:
        return checked(stated)
    except InvalidEntryError as error:
        raise invalid((error.field, str(error))) from error


def _merged(trade: Trade, ticker: str | None, sent: dict[str, Any]) -> Stated:
    """Return the entry with what was sent in it; what belongs to another kind of entry goes unless it was sent."""
    kind = EntryType(sent.get("type") or trade.type)
    stands = {
        "ticker": ticker,
        "quantity": trade.quantity,
        "price": trade.price,
        "amount": trade.amount,
    }
    if "type" not in sent and "quantity" in sent and trade.quantity is not None:
        # The other sign turns a purchase into a sale.
        return Stated(**stands | {name: sent[name] for name in stands if name in sent})
    if trade.quantity is not None and kind not in OF_SHARES:
        stands |= {"quantity": None, "price": None}
    if trade.quantity is None and kind in OF_SHARES:
        stands |= {"amount": None}
    if "type" in sent and kind in {EntryType.BUY, EntryType.COVER, EntryType.TRANSFER_IN} and trade.quantity:
        stands["quantity"] = abs(trade.quantity)
    return Stated(kind, **stands | {name: sent[name] for name in stands if name in sent})


def _is_foreign(row: Row[Any]) -> bool:
    return row.price_currency is not None and major(row.price_currency)[0] != row.base_currency


def _insert(statement: TextClause, values: dict[str, Any]) -> Row[Any] | None:
    return db().execute(statement, values).one_or_none()


def _changes(portfolio_id: int, page: PageQuery, trade_id: int | None) -> schemas.RecordedChangePage:
    check_owner(portfolio_id)
    query = select(TradeChange).where(TradeChange.portfolio_id == portfolio_id)
    if trade_id is not None:
        query = query.where(TradeChange.trade_id == trade_id)
    if page.cursor:
        query = query.where(TradeChange.id < cursors.read_id(page.cursor))
    found = db().scalars(query.order_by(TradeChange.id.desc()).limit(page.limit + 1)).all()
    items = [schemas.RecordedChange.model_validate(one) for one in found[: page.limit]]
    more = len(found) > page.limit
    return schemas.RecordedChangePage(items=items, next_cursor=cursors.after_id(items[-1].id) if more else None)


def _trades_of(portfolio_id: int) -> Select[Any, Any]:
    return (
        select(Trade, Instrument.ticker)
        .outerjoin(Instrument, Instrument.id == Trade.instrument_id)
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
        type=trade.type,
        ticker=ticker,
        quantity=trade.quantity,
        price=trade.price,
        amount=trade.amount,
        currency=trade.currency,
        fee=trade.fee,
        tax=trade.tax,
        fx_rate=trade.fx_rate,
        executed_at=trade.executed_at,
        account=trade.account,
        note=trade.note,
        external_id=trade.external_id,
        import_id=trade.import_id,
        created_at=trade.created_at,
        updated_at=trade.updated_at,
    )
