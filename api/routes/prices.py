"""The prices that the caller's portfolios rest on, and what is held back of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Final

from api import cursors
from api.auth import caller, requires
from api.database import commit, db
from api.problems import not_found
from api.routing import Routes
from api.schemas import prices as schemas
from api.schemas.base import PageQuery
from tailwatch import refresh
from tailwatch.booking.changes import author
from tailwatch.market import breakers, held, status
from tailwatch.market.instruments import TICKER
from tailwatch.market.status import Standing
from tailwatch.settings import get_settings

routes = Routes("prices", "Prices")

_DECISIONS: Final[dict[str, held.Decision]] = {"release": "released", "reject": "rejected"}


@routes.get("/prices")
@requires("read")
@routes.input(PageQuery, location="query", arg_name="page")
@routes.output(schemas.PriceStandingPage)
def list_prices(page: PageQuery) -> schemas.PriceStandingPage:
    """List the instruments that your portfolios rest on, exchange rates included, and how their prices stand."""
    after = cursors.read_text(page.cursor) if page.cursor else ""
    found = status.standings(db().connection(), caller().user_id, after=after, most=page.limit + 1)
    items = [schemas.PriceStanding.model_validate(one) for one in found[: page.limit]]
    more = len(found) > page.limit
    return schemas.PriceStandingPage(items=items, next_cursor=cursors.after_text(items[-1].ticker) if more else None)


@routes.get("/prices/sources")
@requires("read")
@routes.output(schemas.PriceSourceList)
def list_price_sources() -> schemas.PriceSourceList:
    """List the price sources in the order in which they are asked, and whether one is left alone for now."""
    found = breakers.states(db().connection(), get_settings().price_sources)
    return schemas.PriceSourceList(items=[schemas.PriceSourceState.model_validate(one) for one in found])


@routes.get("/prices/<string:ticker>")
@requires("read")
@routes.output(schemas.PriceDetail)
def get_price(ticker: str) -> schemas.PriceDetail:
    """Show the prices of an instrument: what is held back, what was restated, and which snapshots rest on that."""
    return _detail(ticker)


@routes.post("/prices/<string:ticker>/held/<string:day>")
@requires("write")
@routes.input(schemas.HeldDecision, arg_name="wanted")
@routes.output(schemas.PriceDetail)
def decide_held_price(ticker: str, day: str, wanted: schemas.HeldDecision) -> schemas.PriceDetail:
    """Say what a held bar is: a price after all, or a mistake. All portfolios of the installation share prices."""
    found = _find(ticker)
    try:
        on = date.fromisoformat(day)
    except ValueError:
        raise not_found("held-price") from None
    by = author(db(), caller().user_id, caller().token_id)
    decided = held.decide_by_hand(db(), found.id, on, _DECISIONS[wanted.decision], by=by.name, now=datetime.now(UTC))
    if not decided:
        raise not_found("held-price")
    refresh.raise_market_revision(db(), [found.id])
    commit()
    return _detail(ticker)


@routes.post("/prices/<string:ticker>/refresh")
@requires("write")
@routes.output(schemas.PriceRefresh, status_code=202)
def refresh_price(ticker: str) -> schemas.PriceRefresh:
    """Have the prices of an instrument fetched now; a source that is left alone is asked once more."""
    found = _find(ticker)
    due = refresh.fetch_prices(db(), found.id)
    commit()
    return schemas.PriceRefresh(ticker=found.ticker, next_fetch_at=due)


def _find(ticker: str) -> Standing:
    name = ticker.strip().upper()
    if not TICKER.fullmatch(name):
        raise not_found("instrument")
    found = status.standings(db().connection(), caller().user_id, tickers=[name], most=1)
    if not found:
        raise not_found("instrument")
    return found[0]


def _detail(ticker: str) -> schemas.PriceDetail:
    found = _find(ticker)
    connection = db().connection()
    return schemas.PriceDetail.model_validate(
        asdict(found)
        | {
            "held_prices": status.held_prices(connection, [found.id]),
            "splits": status.splits(connection, found.id),
            "bars": status.newest_bars(connection, found.id),
            "restatements": [
                one | {"snapshots": one["snapshots"] or []}
                for one in status.restatements(connection, found.id, caller().user_id)
            ],
        }
    )
