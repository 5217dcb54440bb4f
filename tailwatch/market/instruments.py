"""Instruments by ticker: made when first named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tailwatch.db.models import Instrument
from tailwatch.errors import InvalidTickerError, TickerTakenError

#: What a ticker may look like: AAPL, BRK-B, ^GSPC, EURUSD=X, 7203.T.
TICKER: Final = re.compile(r"[A-Z0-9^][A-Z0-9.^=_-]{0,23}")
#: What risk is added up by besides the currency.
LABEL_KINDS: Final = ("sector", "asset_class")


def ensure_instruments(session: Session, tickers: Iterable[str]) -> dict[str, Instrument]:
    """Return the instrument of each ticker, by its ticker in capitals; new ones are pending and due for a fetch.

    Raises:
        InvalidTickerError: a ticker is malformed; the message names it. Nothing was made.
    """
    names = {ticker.strip().upper() for ticker in tickers}
    _check(names)
    found = _find(session, names)
    missing = sorted(names - found.keys())
    if missing:
        # In order, so that two transactions that make the same ones never wait for each other in a circle.
        session.execute(insert(Instrument).values([{"ticker": name} for name in missing]).on_conflict_do_nothing())
        found |= _find(session, missing)
    return found


def rename(session: Session, old: str, new: str) -> Instrument | None:
    """Give an instrument the ticker that its listing has now; its prices and everybody's trades stay with it.

    It is due for a fetch. Positions are known by tickers in snapshots: the caller raises the market revision in the
    same transaction.

    Returns:
        The instrument, or None if nobody has named the old ticker.

    Raises:
        InvalidTickerError: the new ticker is malformed.
        TickerTakenError: it is another instrument's, which may have trades and prices of its own.
    """
    was, name = old.strip().upper(), new.strip().upper()
    _check([name])
    instrument = session.scalar(select(Instrument).where(Instrument.ticker == was).with_for_update(key_share=True))
    if instrument is None:
        return None
    if _find(session, [name]):
        raise TickerTakenError(f"There is an instrument {name} already: enter the trades in {was} again as {name}.")
    instrument.ticker, instrument.next_fetch_at, instrument.fetch_queued_at = name, func.now(), None
    session.flush()
    return instrument


def set_labels(session: Session, ticker: str, changes: Mapping[str, str]) -> Instrument | None:
    """Change what an instrument's risk is added up under; an empty label takes away the one that is there.

    Figures by label are part of snapshots: the caller raises the market revision in the same transaction.

    Returns:
        The instrument, or None if nobody has named that ticker yet.
    """
    instrument = session.scalar(
        select(Instrument).where(Instrument.ticker == ticker.strip().upper()).with_for_update()
    )
    if instrument is not None:
        instrument.labels = {kind: label for kind, label in {**instrument.labels, **changes}.items() if label}
    return instrument


def _check(names: Iterable[str]) -> None:
    malformed = sorted(name for name in names if not TICKER.fullmatch(name))
    if malformed:
        raise InvalidTickerError(f"{malformed[0]!r} cannot be a ticker: 1 to 24 of A-Z, 0-9 and . - = ^ _.")


def _find(session: Session, names: Iterable[str]) -> dict[str, Instrument]:
    rows = session.scalars(select(Instrument).where(Instrument.ticker.in_(names)))
    return {instrument.ticker: instrument for instrument in rows}
