"""What if: the figures with trades that nobody has made. The one route that computes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from gevent.threadpool import ThreadPool
from sqlalchemy import select

from api.auth import caller, requires
from api.database import db
from api.problems import not_found
from api.routing import Routes
from api.schemas import preview as schemas
from tailwatch.db.models import Portfolio
from tailwatch.db.session import get_engine

routes = Routes("preview", "Risk")


@routes.post("/portfolios/<int:portfolio_id>/risk/preview")
@requires("read")
@routes.input(schemas.PreviewRequest, arg_name="wanted")
@routes.output(schemas.Preview)
def preview_risk(portfolio_id: int, wanted: schemas.PreviewRequest) -> schemas.Preview:
    """Show the figures before and after trades. Books nothing."""
    owned = select(Portfolio.id).where(Portfolio.id == portfolio_id, Portfolio.user_id == caller().user_id)
    if db().scalar(owned) is None:
        raise not_found()
    # With the first one: numpy and the risk core are 12 MB that a web process which previews nothing does without.
    from tailwatch.measurement import preview as whatif  # noqa: PLC0415

    trades = [whatif.Trade(one.ticker, one.quantity) for one in wanted.trades]
    limit = None
    if wanted.limit is not None:
        limit = whatif.Limit(wanted.limit.figure, wanted.limit.value, wanted.ticker or trades[0].ticker)
    # Its connection goes back first: or trades wait for those that previews hold while they queue for the thread.
    db().close()
    prepared = whatif.prepare(get_engine(), portfolio_id, trades, limit)
    if prepared is None:
        raise not_found()
    today = datetime.now(UTC).date()
    answer = _beside_the_loop(lambda: whatif.preview(prepared, trades, today, limit=limit, hedge=wanted.hedge))
    return schemas.Preview.model_validate(answer)


def _beside_the_loop(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Compute in a thread while this process answers others; one at a time, as the samples are kept for all."""
    result: dict[str, Any] = _thread().apply(work)
    return result


@lru_cache(maxsize=1)
def _thread() -> ThreadPool:
    return ThreadPool(1)
