"""What a portfolio holds and what it is worth."""

from __future__ import annotations

from sqlalchemy import select

from api.auth import caller, requires
from api.database import db
from api.problems import not_found
from api.routing import Routes
from api.schemas import portfolios as schemas
from tailwatch.db.models import Portfolio

routes = Routes("holdings", "Portfolios")


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
    owned = select(Portfolio.id).where(Portfolio.id == portfolio_id, Portfolio.user_id == caller().user_id)
    if db().scalar(owned) is None:
        raise not_found()
    raise NotImplementedError
