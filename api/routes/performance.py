"""What a portfolio has returned."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from api.auth import caller, requires
from api.database import db
from api.problems import invalid, not_found
from api.routing import Routes
from api.schemas import performance as schemas
from api.uploads import aside
from tailwatch.measurement.book import CASH_COUNTS

if TYPE_CHECKING:
    from tailwatch.booking.performance import Performance

routes = Routes("performance", "Portfolios")

#: Days of an answer: as many as a chart has room for.
MOST_DAYS: Final = 1000
_PORTFOLIO = text(
    f"SELECT base_currency, {CASH_COUNTS} FROM portfolios p WHERE id = :id AND user_id = :user_id"  # noqa: S608
)


@routes.get("/portfolios/<int:portfolio_id>/performance")
@requires("read")
@routes.input(schemas.PerformanceQuery, location="query", arg_name="query")
@routes.output(schemas.Performance)
def get_performance(portfolio_id: int, query: schemas.PerformanceQuery) -> schemas.Performance:
    """Tell the time- and money-weighted return of a period, and value and flows day by day."""
    # It brings numpy with it, which this process does without until somebody asks.
    from tailwatch.booking import performance  # noqa: PLC0415 - see above

    portfolio = db().execute(_PORTFOLIO, {"id": portfolio_id, "user_id": caller().user_id}).one_or_none()
    if portfolio is None:
        raise not_found()
    since, until = query.from_, query.to or datetime.now(UTC).date()
    if since is not None and since >= until:
        raise invalid(("from", "must be before the last day"))
    found = performance.load(db().connection(), portfolio_id, portfolio.base_currency, since, until)
    # Its connection goes back before the work begins.
    db().rollback()
    measured = None
    if found is not None:
        work = partial(
            performance.measure,
            found,
            base_currency=portfolio.base_currency,
            counts_cash=portfolio.cash_counts,
            since=since,
            until=until,
        )
        measured = aside(work)
    return _answer(portfolio_id, portfolio.base_currency, measured, counts_cash=portfolio.cash_counts)


def _answer(
    portfolio_id: int, base_currency: str, measured: Performance | None, *, counts_cash: bool
) -> schemas.Performance:
    if measured is None:
        nothing = dict.fromkeys(schemas.Performance.model_fields)
        return schemas.Performance.model_validate(
            nothing
            | {"portfolio_id": portfolio_id, "base_currency": base_currency, "counts_cash": counts_cash}
            | {"flows": [], "series": [], "left_out": []}
        )
    days, values = measured.days, measured.values
    step = max(len(days) - 1, 1) / max(min(len(days), MOST_DAYS) - 1, 1)
    chosen = [round(place * step) for place in range(min(len(days), MOST_DAYS))]
    start, end, net = values[0], values[-1], sum(measured.flows)
    return schemas.Performance(
        portfolio_id=portfolio_id,
        base_currency=base_currency,
        counts_cash=counts_cash,
        from_=days[0],
        to=days[-1],
        start_value=start,
        end_value=end,
        net_flow=net,
        profit=end - start - net,
        time_weighted=measured.time_weighted,
        time_weighted_annualised=measured.time_weighted_annualised,
        money_weighted=measured.money_weighted,
        money_weighted_annualised=measured.money_weighted_annualised,
        flows=[schemas.Flow(day=day, amount=flow) for day, flow in zip(days, measured.flows, strict=True) if flow][
            -MOST_DAYS:
        ],
        series=[
            schemas.PerformanceDay(day=days[place], value=values[place], time_weighted=measured.growth[place])
            for place in chosen
        ],
        left_out=[schemas.LeftOut(name=name, reason=reason) for name, reason in sorted(measured.left_out.items())],
        unvalued_until=measured.unvalued_until,
    )
