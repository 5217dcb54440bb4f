"""Bars that are held back: kept apart from the prices until a second fetch, or a person, says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from tailwatch.db.models import Instrument
from tailwatch.market import remarks

if TYPE_CHECKING:
    # The web server decides about bars without judging them, and needs no numpy for that.
    from tailwatch.market.gate import Suspect
    from tailwatch.market.sources import PriceHistory

Decision = Literal["released", "rejected"]

#: A fetch that says the same so much later confirms: a mistake of the morning is mended by the evening.
CONFIRMED_AFTER: Final = timedelta(hours=6)
#: Relative; what is nearer is the same price.
SAME_PRICE: Final = 1e-6
SECOND_FETCH: Final = "a second fetch"

_KNOWN = text(
    "SELECT day, close, fetched_at, decision FROM held_prices WHERE instrument_id = :id AND day = ANY(:days)"
)
_HOLD = text(
    """
    INSERT INTO held_prices AS h (instrument_id, day, close, adjusted_close, open, high, low, volume, source,
                                  fetched_at, code, reason)
    VALUES (:id, :day, round(CAST(:close AS numeric), 8), round(CAST(:adjusted_close AS numeric), 8), :open, :high,
            :low, :volume, :source, :now, :code, :reason)
    ON CONFLICT (instrument_id, day) DO UPDATE
    SET close = excluded.close, adjusted_close = excluded.adjusted_close, open = excluded.open, high = excluded.high,
        low = excluded.low, volume = excluded.volume, source = excluded.source, code = excluded.code,
        reason = excluded.reason,
        -- another value is another question; the same one was seen once more
        fetched_at = CASE WHEN :same THEN h.fetched_at ELSE excluded.fetched_at END,
        seen = CASE WHEN :same THEN h.seen + 1 ELSE 1 END,
        decision = CASE WHEN :same THEN h.decision END, decided_at = CASE WHEN :same THEN h.decided_at END,
        decided_by = CASE WHEN :same THEN h.decided_by END
    """
)
# What the source does not say any more, or says differently and plausibly, is no question any more.
_FORGET = text(
    """
    DELETE FROM held_prices
    WHERE instrument_id = :id AND day >= :since AND NOT day = ANY(:days) AND decision IS DISTINCT FROM 'released'
    """
)
_DECIDE = text(
    """
    UPDATE held_prices SET decision = :decision, decided_at = :now, decided_by = :by
    WHERE instrument_id = :id AND day = :day AND decision IS DISTINCT FROM :decision
    RETURNING day
    """
)
_RELEASE = text(
    """
    INSERT INTO prices (instrument_id, day, close, adjusted_close, open, high, low, volume, source, fetched_at)
    SELECT instrument_id, day, close, adjusted_close, open, high, low, volume, source, :now FROM held_prices
    WHERE instrument_id = :id AND day = :day
    -- released before: then it is there
    ON CONFLICT DO NOTHING
    """
)
# One that was released before, by mistake; figures may rest on it, so it is kept as it was.
_REJECT = text(
    """
    WITH removed AS (
      DELETE FROM prices p USING held_prices h
      WHERE h.instrument_id = :id AND h.day = :day AND p.instrument_id = h.instrument_id AND p.day = h.day
        AND p.close = h.close
      RETURNING p.*)
    INSERT INTO superseded_prices (instrument_id, replaced_at, kind, days, closes, adjusted_closes, sources,
                                   fetched_ats)
    SELECT instrument_id, :now, 'removed', ARRAY[day], ARRAY[close], ARRAY[adjusted_close], ARRAY[source],
           ARRAY[fetched_at]
    FROM removed
    """
)
_UNDECIDED = text(
    "SELECT day, code, reason FROM held_prices WHERE instrument_id = :id AND decision IS NULL ORDER BY day"
)


def hold(
    connection: Connection, instrument_id: int, history: PriceHistory, suspects: Sequence[Suspect], now: datetime
) -> set[date]:
    """Note what is not believed of a history; return the days that must not become prices.

    A suspect that a person released, or that a fetch at least six hours ago gave as well, is believed.
    """
    days = [suspect.bar.day for suspect in suspects]
    known = {row.day: row for row in connection.execute(_KNOWN, {"id": instrument_id, "days": days})} if days else {}
    out: set[date] = set()
    for suspect in suspects:
        bar, before = suspect.bar, known.get(suspect.bar.day)
        same = before is not None and abs(before.close - bar.close) <= SAME_PRICE * float(bar.close)
        connection.execute(
            _HOLD,
            {
                "id": instrument_id,
                "day": bar.day,
                "close": bar.close,
                "adjusted_close": bar.adjusted_close,
                "open": bar.open,
                "high": bar.high,
                "low": bar.low,
                "volume": bar.volume,
                "source": history.source,
                "now": now,
                "code": suspect.code,
                "reason": suspect.reason,
                "same": same,
            },
        )
        if same and before is not None:
            decision = before.decision
            # A spike that the source repeats is the same mistake again: only a person can believe it.
            if decision is None and suspect.code != "spike" and now - before.fetched_at >= CONFIRMED_AFTER:
                decide(connection, instrument_id, bar.day, "released", by=SECOND_FETCH, now=now)
                decision = "released"
            if decision == "released":
                continue
        out.add(bar.day)
    connection.execute(_FORGET, {"id": instrument_id, "since": history.since, "days": days})
    return out


def decide(
    connection: Connection, instrument_id: int, day: date, decision: Decision, *, by: str, now: datetime
) -> bool:
    """Note what a bar is; return whether that is news."""
    values = {"id": instrument_id, "day": day, "decision": decision, "by": by, "now": now}
    return connection.execute(_DECIDE, values).first() is not None


def decide_by_hand(
    session: Session, instrument_id: int, day: date, decision: Decision, *, by: str, now: datetime
) -> bool:
    """Release a bar into the prices at once, or reject it for good; return False where there is no such bar.

    Whatever rests on the instrument is behind from then on, so the caller raises its market revision in the same
    transaction.
    """
    connection = session.connection()
    known = connection.execute(_KNOWN, {"id": instrument_id, "days": [day]}).one_or_none()
    if known is None:
        return False
    decide(connection, instrument_id, day, decision, by=by, now=now)
    values = {"id": instrument_id, "day": day, "now": now}
    connection.execute(_RELEASE if decision == "released" else _REJECT, values)
    instrument = session.get(Instrument, instrument_id, with_for_update={"key_share": True})
    if instrument is not None:
        remarks.put(instrument, remarks.HELD, undecided(connection, instrument_id))
    return True


def undecided(connection: Connection, instrument_id: int) -> list[dict[str, Any]]:
    """Return the bars of an instrument that wait for a decision, as remarks on it."""
    return [remarks.on(row.day, row.reason) for row in connection.execute(_UNDECIDED, {"id": instrument_id})]
