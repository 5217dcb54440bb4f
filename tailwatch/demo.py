"""The demo portfolio: twenty real names, booked at real closing prices of the bundled sample."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from tailwatch import refresh
from tailwatch.db.models import Portfolio, Trade, User
from tailwatch.market import sample
from tailwatch.market.instruments import ensure_instruments

NAME: Final = "Demo"
BENCHMARK: Final = "^GSPC"

#: The session whose (dividend-adjusted) closes of the sample the trades are booked at.
BOUGHT_AT: Final = datetime(2022, 6, 30, 20, 0, tzinfo=UTC)

#: Ticker, shares, price in dollars. Range Resources is sold short, so that the page has a hedge to show.
TRADES: Final[tuple[tuple[str, int, str], ...]] = (
    ("AAPL", 160, "135.908"),
    ("AMD", 90, "76.47"),
    ("BAC", 400, "30.307"),
    ("BBY", 60, "62.205"),
    ("CVX", 70, "139.759"),
    ("GE", 150, "49.511"),
    ("HD", 35, "266.984"),
    ("JNJ", 80, "172.641"),
    ("JPM", 110, "108.223"),
    ("KO", 220, "61.078"),
    ("LLY", 30, "320.403"),
    ("MRK", 120, "88.633"),
    ("MSFT", 95, "254.371"),
    ("PEP", 75, "162.283"),
    ("PFE", 250, "50.011"),
    ("PG", 90, "139.217"),
    ("RRC", -300, "24.461"),
    ("UNH", 22, "506.559"),
    ("WMT", 85, "119.651"),
    ("XOM", 120, "82.778"),
)


def load(session: Session, owner: User) -> int | None:
    """Book the demo portfolio for `owner` as the default one, unless the owner has a portfolio already.

    Returns:
        The id of the demo portfolio, or None if nothing was booked.
    """
    if session.scalar(select(Portfolio.id).where(Portfolio.user_id == owner.id).limit(1)) is not None:
        return None
    instruments = ensure_instruments(session, [BENCHMARK, *(ticker for ticker, _, _ in TRADES)])
    # No price source but the sample knows sectors.
    for ticker, instrument in instruments.items():
        instrument.labels = sample.labels()[ticker] | instrument.labels
    portfolio = Portfolio(
        user_id=owner.id, name=NAME, is_default=True, base_currency="USD", benchmark_id=instruments[BENCHMARK].id
    )
    session.add(portfolio)
    session.flush()
    session.execute(
        insert(Trade),
        [
            {
                "portfolio_id": portfolio.id,
                "type": "buy" if shares > 0 else "short",
                "instrument_id": instruments[ticker].id,
                "quantity": Decimal(shares),
                "price": Decimal(price),
                "currency": "USD",
                "executed_at": BOUGHT_AT,
                "note": "Demo: at the close of the bundled sample",
            }
            for ticker, shares, price in TRADES
        ],
    )
    refresh.raise_revision(session, portfolio.id, "trade")
    return portfolio.id
