"""Price days that come one after another: the sample's history, held back and let in day by day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import Engine, text

from tailwatch import refresh
from tailwatch.db.session import transaction


class PriceDays:
    """The stored prices after a day, taken out of the way."""

    def __init__(self, engine: Engine, after: date) -> None:
        self.engine = engine
        with engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE held_back AS SELECT * FROM prices WHERE day > :day"), {"day": after}
            )
            connection.execute(text("DELETE FROM prices WHERE day > :day"), {"day": after})
            self.to_come: list[date] = list(
                connection.scalars(text("SELECT DISTINCT day FROM held_back ORDER BY day")).all()
            )
        self._changed(None)

    def arrive(self, day: date, tickers: Collection[str] | None = None) -> None:
        """Store the prices of a day, of these tickers alone if they are named, as a fetch does."""
        values = {"day": day, "tickers": None if tickers is None else list(tickers)}
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    """
                    INSERT INTO prices SELECT h.* FROM held_back h JOIN instruments i ON i.id = h.instrument_id
                    WHERE day = :day AND (CAST(:tickers AS text[]) IS NULL OR i.ticker = ANY(:tickers))
                    ON CONFLICT DO NOTHING
                    """
                ),
                values,
            )
        self._changed(tickers)

    def _changed(self, tickers: Collection[str] | None) -> None:
        with transaction(self.engine) as session:
            query = text(
                "SELECT id FROM instruments WHERE CAST(:tickers AS text[]) IS NULL OR ticker = ANY(:tickers)"
            )
            ids = session.scalars(query, {"tickers": None if tickers is None else list(tickers)}).all()
            refresh.raise_market_revision(session, ids)
