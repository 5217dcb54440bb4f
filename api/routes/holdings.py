"""What a portfolio holds and what it is worth."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

from sqlalchemy import text

from api.auth import caller, requires
from api.database import db
from api.problems import not_found
from api.routing import Routes
from api.schemas import portfolios as schemas
from tailwatch.book.currencies import major
from tailwatch.book.ledger import CostBasis, book
from tailwatch.book.valuation import Holding, value
from tailwatch.booking.entries import load_entries
from tailwatch.market.quotes import load_quotes, load_splits
from tailwatch.market.rates import load_rates
from tailwatch.measurement.book import CASH_COUNTS

routes = Routes("holdings", "Portfolios")

#: Averages and shares of a cost have no last digit of their own; amounts are told to ten places, as they are stored.
_PLACES: Final = 10

_PORTFOLIO = text(
    f"""
    SELECT base_currency, cost_basis, {CASH_COUNTS} FROM portfolios p WHERE id = :id AND user_id = :user_id
    """  # noqa: S608 - a constant
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
    portfolio = db().execute(_PORTFOLIO, {"id": portfolio_id, "user_id": caller().user_id}).one_or_none()
    if portfolio is None:
        raise not_found()
    connection = db().connection()
    entries, instrument_ids = load_entries(connection, portfolio_id)
    # Asked for after the entries, so that no entry is without the quote of its instrument.
    quotes = load_quotes(connection, instrument_ids)
    splits = load_splits(connection, instrument_ids)
    currencies = {entry.currency for entry in entries} | {major(q.currency)[0] for q in quotes.values() if q.currency}
    rates = load_rates(connection, currencies, portfolio.base_currency)
    kept = book(
        entries,
        splits,
        base_currency=portfolio.base_currency,
        cost_basis=CostBasis(portfolio.cost_basis),
        rates=rates,
    )
    valued = value(
        kept, quotes, base_currency=portfolio.base_currency, rates=rates, counts_cash=portfolio.cash_counts
    )
    return schemas.Holdings(
        portfolio_id=portfolio_id,
        base_currency=portfolio.base_currency,
        cost_basis=portfolio.cost_basis,
        as_of=valued.as_of,
        items=[_answer(holding) for holding in valued.items],
        cash=[
            schemas.CashBalance(
                currency=one.currency, amount=_told(one.amount), base_amount=_told_if_any(one.base_amount)
            )
            for one in valued.cash
        ],
        counts_cash=valued.counts_cash,
        totals=schemas.HoldingsTotals(
            cost=_told(valued.totals.cost),
            market_value=_told(valued.totals.market_value),
            unrealised_pnl=_told(valued.totals.unrealized_pnl),
            realised_pnl=_told(valued.totals.realized_pnl),
            dividends=_told(valued.totals.dividends),
            cash=_told(valued.totals.cash),
            value=_told(valued.totals.value),
            incomplete=list(valued.totals.incomplete),
        ),
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
        cost_base=_told_if_any(position.total_cost_base),
        price=quote.price,
        price_currency=quote.currency,
        price_date=quote.price_date,
        price_source=quote.price_source,
        market_value=_told_if_any(holding.market_value),
        market_value_base=_told_if_any(holding.market_value_base),
        weight=None if holding.weight is None else float(holding.weight),
        unrealised_pnl=_told_if_any(holding.unrealized_pnl),
        unrealised_pnl_base=_told_if_any(holding.unrealized_pnl_base),
        realised_pnl=_told(position.realized_pnl) if one_currency else None,
        realised_pnl_base=_told_if_any(position.realized_pnl_base),
        dividends=_told(position.dividends) if one_currency else None,
        dividends_base=_told_if_any(position.dividends_base),
        status=holding.status,
        reason=holding.reason,
    )
