"""How the prices of instruments stand: newest bar, next fetch, what is wrong, held back or restated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

from tailwatch.market.rates import NEEDED
from tailwatch.settings import get_settings

State = Literal["ok", "pending", "held", "late", "failed", "unknown"]

#: What the portfolios of `:user_id` (null: of everybody) rest on: column id.
OF_USER: Final = f"""
    SELECT t.instrument_id AS id FROM trades t JOIN portfolios p ON p.id = t.portfolio_id
    WHERE t.instrument_id IS NOT NULL AND (CAST(:user_id AS bigint) IS NULL OR p.user_id = :user_id)
    UNION SELECT benchmark_id FROM portfolios
    WHERE benchmark_id IS NOT NULL AND (CAST(:user_id AS bigint) IS NULL OR user_id = :user_id)
    UNION SELECT i.id FROM ({NEEDED}) needed JOIN portfolios p ON p.id = needed.id
    JOIN instruments i ON i.ticker = needed.currency || needed.base_currency || '=X'
    WHERE CAST(:user_id AS bigint) IS NULL OR p.user_id = :user_id
"""  # noqa: S608 - constants

#: How long after the night that should have brought it a bar is late; the tries in between come by themselves.
GRACE: Final = timedelta(hours=6)
# No calendar is needed to say so, only the day that one gave: exchanges are closed, and their closes known, by 21:30
# UTC of a session's day (Tokyo long before), exchange rates and cryptocurrencies half an hour after it, funds publish
# theirs a day later. The first night after that asks for the bar; there is none at weekends.
_LATE_FROM: Final = """
    SELECT night + CASE extract(isodow FROM night) WHEN 6 THEN 2 WHEN 7 THEN 1 ELSE 0 END * interval '1 day' + :grace
    FROM (SELECT i.due_day + CASE WHEN i.calendar LIKE '24/%' THEN interval '24.5 hours'
                                  WHEN i.labels->>'asset_class' = 'Fund' THEN interval '45.5 hours'
                                  ELSE interval '21.5 hours' END AS known) session,
         LATERAL (SELECT date_trunc('day', known) + :nightly_at
                       + (known::time > :nightly_at)::int * interval '1 day' AS night) first
"""
#: Whether the bar of an instrument `i` that is awaited is late at `:now`; its newest one is of `last.day`.
LATE: Final = f"""
    i.status = 'ok' AND last.day < i.due_day AND (:now AT TIME ZONE 'UTC') > ({_LATE_FROM})
"""

_STANDING = text(
    f"""
    SELECT i.id, i.ticker, i.name, i.currency, i.source, i.status, i.status_reason, i.next_fetch_at,
           i.last_fetched_at, i.remarks, i.calendar, last.day AS last_bar, last.close AS last_close,
           CASE WHEN last.day < i.due_day THEN i.due_day END AS due_day, {LATE} AS late,
           (SELECT count(*) FROM held_prices h WHERE h.instrument_id = i.id AND h.decision IS NULL) AS held
    FROM instruments i
    LEFT JOIN LATERAL (
      SELECT day, close FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last ON true
    WHERE i.id IN ({OF_USER}) AND i.ticker > :after AND (CAST(:tickers AS text[]) IS NULL OR i.ticker = ANY(:tickers))
    ORDER BY i.ticker LIMIT :most
    """  # noqa: S608 - constants
)
_HELD = text(
    """
    SELECT i.ticker, h.day, h.close, h.source, h.fetched_at, h.seen, h.code, h.reason, h.decision, h.decided_at,
           h.decided_by
    FROM held_prices h JOIN instruments i ON i.id = h.instrument_id
    WHERE i.id = ANY(:ids) ORDER BY i.ticker, h.day
    """
)
_SPLITS = text("SELECT day, ratio, source FROM splits WHERE instrument_id = :id ORDER BY day DESC")
_BARS = text(
    """
    SELECT day, close, adjusted_close, open, high, low, volume, source, fetched_at FROM prices
    WHERE instrument_id = :id ORDER BY day DESC LIMIT :most
    """
)
# Snapshots that were computed while the replaced bars counted, and rest on a day that was restated.
_RESTATEMENTS = text(
    """
    SELECT s.id, s.replaced_at, s.kind, s.days[1] AS first, s.days[cardinality(s.days)] AS last,
           cardinality(s.days) AS bars, s.closes[cardinality(s.closes)] AS last_close,
           (SELECT array_agg(k.id ORDER BY k.id) FROM (
              SELECT r.id FROM risk_snapshots r JOIN portfolios p ON p.id = r.portfolio_id
              WHERE (CAST(:user_id AS bigint) IS NULL OR p.user_id = :user_id)
                AND r.portfolio_id IN (SELECT portfolio_id FROM trades WHERE instrument_id = s.instrument_id
                                       UNION SELECT id FROM portfolios WHERE benchmark_id = s.instrument_id)
                AND r.computed_at >= (SELECT min(f) FROM unnest(s.fetched_ats) f) AND r.computed_at < s.replaced_at
                AND r.as_of >= s.days[1] AND r.inputs IS NOT NULL
                AND convert_from(r.inputs, 'UTF8')::jsonb->'histories' ? s.instrument_id::text
              ORDER BY r.id DESC LIMIT 100) k) AS snapshots
    FROM superseded_prices s WHERE s.instrument_id = :id ORDER BY s.replaced_at DESC, s.id DESC LIMIT :most
    """
)


@dataclass(frozen=True)
class Standing:
    """How the prices of one instrument stand.

    Attributes:
        state: held: a bar waits for a decision; late: the bar of `due_day` should be there; otherwise that of the
            instrument.
        due_day: The session whose bar is awaited next; None: not known, or its source has no more to give.
        calendar: That it is a session of; None: not known, so every weekday is one.
        last_error: Why the source of choice did not serve it; None if it did.
        held: Bars that wait for a decision.
    """

    id: int
    ticker: str
    name: str | None
    currency: str | None
    source: str | None
    state: State
    last_bar: date | None
    last_close: Decimal | None
    due_day: date | None
    calendar: str | None
    next_fetch_at: datetime | None
    last_fetched_at: datetime | None
    last_error: str | None
    held: int
    remarks: list[dict[str, Any]]


def standings(
    connection: Connection,
    user_id: int | None,
    *,
    after: str = "",
    tickers: Collection[str] | None = None,
    most: int = 10_000,
    now: datetime | None = None,
) -> list[Standing]:
    """Return how the prices stand that a user's portfolios rest on (None: everybody's), by ticker.

    Args:
        connection: To read from.
        user_id: Whose.
        after: The ticker that comes before.
        tickers: Only these.
        most: At most that many.
        now: What "late" is judged at; None: the present.
    """
    values = late_at(now or datetime.now(UTC)) | {
        "user_id": user_id,
        "after": after,
        "tickers": None if tickers is None else list(tickers),
        "most": most,
    }
    return [
        Standing(
            id=row.id,
            ticker=row.ticker,
            name=row.name,
            currency=row.currency,
            source=row.source,
            state="held" if row.held and row.status == "ok" else "late" if row.late else row.status,
            last_bar=row.last_bar,
            last_close=row.last_close,
            due_day=row.due_day,
            calendar=row.calendar,
            next_fetch_at=row.next_fetch_at,
            last_fetched_at=row.last_fetched_at,
            last_error=row.status_reason,
            held=row.held,
            remarks=row.remarks,
        )
        for row in connection.execute(_STANDING, values)
    ]


def late_at(now: datetime) -> dict[str, Any]:
    """Return the parameters of `LATE`."""
    return {"now": now, "grace": GRACE, "nightly_at": get_settings().nightly_at}


def held_prices(connection: Connection, instrument_ids: Collection[int]) -> list[dict[str, Any]]:
    """Return every bar of these that was ever held back, with what became of it."""
    return [dict(row) for row in connection.execute(_HELD, {"ids": list(instrument_ids)}).mappings()]


def splits(connection: Connection, instrument_id: int) -> list[dict[str, Any]]:
    """Return the splits of an instrument, the newest first."""
    return [dict(row) for row in connection.execute(_SPLITS, {"id": instrument_id}).mappings()]


def newest_bars(connection: Connection, instrument_id: int, most: int = 30) -> list[dict[str, Any]]:
    """Return the newest bars of an instrument that are believed, the newest first."""
    return [dict(row) for row in connection.execute(_BARS, {"id": instrument_id, "most": most}).mappings()]


def restatements(
    connection: Connection, instrument_id: int, user_id: int | None, most: int = 50
) -> list[dict[str, Any]]:
    """Return what was replaced of an instrument's prices, the newest first, with the snapshots that rest on it."""
    values = {"id": instrument_id, "user_id": user_id, "most": most}
    return [dict(row) for row in connection.execute(_RESTATEMENTS, values).mappings()]
