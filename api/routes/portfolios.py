"""Portfolios."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from flask import Response
from sqlalchemy import Row, Select, select, text, update

from api import cursors
from api.auth import caller, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes, documented
from api.schemas import portfolios as schemas
from api.schemas.base import PageQuery, plain
from tailwatch import live, refresh
from tailwatch.db.models import Instrument, Portfolio, User
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.rates import ensure_rates

routes = Routes("portfolios", "Portfolios")

#: Changes of these want a new snapshot.
RISK_SETTINGS: Final = frozenset(
    {
        "base_currency",
        "benchmark",
        "risk_method",
        "risk_covariance",
        "risk_window",
        "risk_confidence",
        "cash_tracking",
    }
)


@routes.get("/portfolios")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.PortfolioPage)
def list_portfolios(page: PageQuery) -> schemas.PortfolioPage:
    """List your portfolios, oldest first."""
    query = _mine()
    if page.cursor:
        query = query.where(Portfolio.id > cursors.read_id(page.cursor))
    found = db().execute(query.order_by(Portfolio.id).limit(page.limit + 1)).all()
    items = [_answer(row) for row in found[: page.limit]]
    more = len(found) > page.limit
    return schemas.PortfolioPage(items=items, next_cursor=cursors.after_id(items[-1].id) if more else None)


@routes.post("/portfolios")
@requires("write")
@routes.input(schemas.PortfolioCreate, arg_name="wanted")
@routes.output(schemas.Portfolio, status_code=201)
@documented(409)
def create_portfolio(wanted: schemas.PortfolioCreate) -> schemas.Portfolio:
    """Make a portfolio. The first one becomes the default of the short forms."""
    user_id = caller().user_id
    # One at a time for each user, so that exactly one portfolio is the first.
    db().execute(select(User.id).where(User.id == user_id).with_for_update())
    first = db().scalar(select(Portfolio.id).where(Portfolio.user_id == user_id).limit(1)) is None
    portfolio = Portfolio(
        user_id=user_id,
        name=wanted.name,
        is_default=first,
        base_currency=wanted.base_currency,
        benchmark_id=_benchmark_id(wanted.benchmark),
        risk_method=wanted.risk_method,
        risk_covariance=wanted.risk_covariance,
        risk_window=wanted.risk_window,
        risk_confidence=Decimal(wanted.risk_confidence),
        cost_basis=wanted.cost_basis,
        cash_tracking=wanted.cash_tracking,
    )
    db().add(portfolio)
    db().flush()
    if portfolio.benchmark_id is not None:
        ensure_rates(db(), [portfolio.id])
    answer = _answer(_find(portfolio.id))
    commit()
    return answer


@routes.get("/portfolios/<int:portfolio_id>")
@requires("read")
@routes.output(schemas.Portfolio)
def get_portfolio(portfolio_id: int) -> schemas.Portfolio:
    """Show a portfolio."""
    return _answer(_find(portfolio_id))


@routes.patch("/portfolios/<int:portfolio_id>")
@requires("write")
@routes.input(schemas.PortfolioChange, arg_name="change")
@routes.output(schemas.Portfolio)
@documented(409)
def change_portfolio(portfolio_id: int, change: schemas.PortfolioChange) -> schemas.Portfolio:
    """Change a portfolio's name or settings. New risk settings want a new snapshot."""
    _find(portfolio_id)
    changes = change.changes()
    values: dict[str, Any] = {name: value for name, value in changes.items() if name != "benchmark"}
    if "benchmark" in changes:
        values["benchmark_id"] = _benchmark_id(change.benchmark)
    if "risk_confidence" in changes:
        values["risk_confidence"] = Decimal(change.risk_confidence)
    if "is_default" in changes:
        db().execute(
            update(Portfolio)
            .where(Portfolio.user_id == caller().user_id, Portfolio.is_default)
            .values(is_default=False)
        )
    if values:
        db().execute(update(Portfolio).where(Portfolio.id == portfolio_id).values(**values))
    if {"base_currency", "benchmark"} & changes.keys():
        ensure_rates(db(), [portfolio_id])
    if RISK_SETTINGS & changes.keys():
        refresh.raise_revision(db(), portfolio_id, "settings")
    answer = _answer(_find(portfolio_id))
    commit()
    return answer


@routes.delete("/portfolios/<int:portfolio_id>")
@requires("write")
@routes.output({}, status_code=204)
def delete_portfolio(portfolio_id: int) -> Response:
    """Delete a portfolio with its trades and snapshots. If it was the default, the oldest one left becomes it."""
    was_default = db().scalar(
        text("DELETE FROM portfolios WHERE id = :id AND user_id = :user_id RETURNING is_default"),
        {"id": portfolio_id, "user_id": caller().user_id},
    )
    if was_default is None:
        raise not_found()
    if was_default:
        oldest = select(Portfolio.id).where(Portfolio.user_id == caller().user_id).order_by(Portfolio.id).limit(1)
        db().execute(update(Portfolio).where(Portfolio.id == oldest.scalar_subquery()).values(is_default=True))
    commit()
    live.publish({"kind": "access", "portfolio_id": portfolio_id})
    return Response(status=204)


def _mine() -> Select[Any, Any]:
    return (
        select(Portfolio, Instrument.ticker)
        .outerjoin(Instrument, Instrument.id == Portfolio.benchmark_id)
        .where(Portfolio.user_id == caller().user_id)
        .execution_options(populate_existing=True)
    )


def _find(portfolio_id: int) -> Row[Any, Any]:
    row = db().execute(_mine().where(Portfolio.id == portfolio_id)).one_or_none()
    if row is None:
        raise not_found()
    return row


def _benchmark_id(ticker: str | None) -> int | None:
    return None if ticker is None else ensure_instruments(db(), [ticker])[ticker].id


def _answer(row: Row[Any, Any]) -> schemas.Portfolio:
    portfolio, benchmark = row
    return schemas.Portfolio(
        id=portfolio.id,
        name=portfolio.name,
        base_currency=portfolio.base_currency,
        benchmark=benchmark,
        risk_method=portfolio.risk_method,
        risk_covariance=portfolio.risk_covariance,
        risk_window=portfolio.risk_window,
        risk_confidence=plain(portfolio.risk_confidence),
        cost_basis=portfolio.cost_basis,
        cash_tracking=portfolio.cash_tracking,
        is_default=portfolio.is_default,
        revision=portfolio.revision,
        created_at=portfolio.created_at,
    )
