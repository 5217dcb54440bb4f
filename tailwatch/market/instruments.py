"""Instruments by ticker: made when first named."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tailwatch.db.models import Instrument

#: What a ticker may look like: AAPL, BRK-B, ^GSPC, EURUSD=X, 7203.T.
TICKER: Final = re.compile(r"[A-Z0-9^][A-Z0-9.^=_-]{0,23}")


def ensure_instruments(session: Session, tickers: Iterable[str]) -> dict[str, Instrument]:
    """Return the instrument of each ticker, by its ticker in capitals; new ones are pending and due for a fetch.

    Raises:
        ValueError: a ticker is malformed; the message names it.
    """
    names = sorted({ticker.strip().upper() for ticker in tickers})
    malformed = [name for name in names if not TICKER.fullmatch(name)]
    if malformed:
        raise ValueError(f"{malformed[0]!r} cannot be a ticker.")
    if names:
        # In order, so that two transactions that make the same ones never wait for each other.
        session.execute(insert(Instrument).values([{"ticker": name} for name in names]).on_conflict_do_nothing())
    found = session.scalars(select(Instrument).where(Instrument.ticker.in_(names)))
    return {instrument.ticker: instrument for instrument in found}
