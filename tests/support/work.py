"""What the dispatcher and the workers do, in the test's own process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from tailwatch import refresh
from tailwatch.db.models import Trade
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from worker.tasks import prices, risk


def work_off(engine: Engine) -> None:
    """Fetch and compute until nothing is behind."""
    while True:
        now = datetime.now(UTC)
        with engine.begin() as connection:
            portfolios = [*refresh.sweep_interactive(connection, now), *refresh.sweep_nightly(connection, now)]
            fetches = refresh.sweep_fetches(connection, now)
        if fetches:
            prices.fetch_prices(fetches)
        risk.refresh_risk(portfolios)
        if not (fetches or portfolios):
            return


def book(engine: Engine, portfolio_id: int, ticker: str, quantity: str) -> int:
    """Book a trade as the API does; return the portfolio's new revision."""
    with transaction(engine) as session:
        instrument = ensure_instruments(session, [ticker])[ticker]
        session.add(
            Trade(
                portfolio_id=portfolio_id,
                type="sell" if quantity.startswith("-") else "buy",
                instrument_id=instrument.id,
                quantity=Decimal(quantity),
                price=Decimal(100),
                currency="USD",
                executed_at=datetime(2022, 6, 30, tzinfo=UTC),
            )
        )
        session.flush()
        return refresh.raise_revision(session, portfolio_id, "trade")


def save(engine: Engine, snapshot: dict[str, Any]) -> refresh.Saved | None:
    """Store one snapshot as the worker does."""
    return refresh.save(engine, [snapshot]).get(snapshot["portfolio_id"])


def newest(engine: Engine, portfolio_id: int, column: str = "body") -> dict[str, Any]:
    """Return a JSON column of the newest snapshot."""
    with engine.connect() as connection:
        stored = connection.scalar(
            text(
                f"SELECT s.{column} FROM risk_snapshots s JOIN portfolios p ON p.snapshot_id = s.id WHERE p.id = :id"
            ),
            {"id": portfolio_id},
        )
    found: dict[str, Any] = json.loads(bytes(stored))
    return found


def snapshot_id(engine: Engine, portfolio_id: int) -> int:
    """Return the id of the newest snapshot."""
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT snapshot_id FROM portfolios WHERE id = :id"), {"id": portfolio_id})
    assert isinstance(found, int)
    return found
