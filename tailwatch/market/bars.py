"""Writing one instrument's history: whole, on one basis of adjustment, and only where it differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from tailwatch.errors import BadAnswerError, ShortHistoryError
from tailwatch.market.sources import SAME_PRICE, Bar, PriceHistory

#: An answer with less than this share of the sessions that are stored from the same source is half an answer.
COMPLETE_ENOUGH: Final = 0.75

_COUNT = text(
    """
    SELECT count(*) FILTER (WHERE source = :source AND day >= :since) AS comparable, count(*) > 0 AS any
    FROM prices WHERE instrument_id = :id
    """
)

# Older days than were asked for go too: their adjustment is that of an earlier answer. They are out of every window,
# so losing one a day is no change.
_DELETE_OTHERS = text(
    """
    WITH deleted AS (
      DELETE FROM prices WHERE instrument_id = :id AND NOT day = ANY(CAST(:days AS date[])) RETURNING day, source)
    SELECT count(*) FROM deleted WHERE day >= :since OR source <> :source
    """
)

# What will not be there any more, or not as it was, is kept as it was, in one row. It is rebased if every bar that
# changes does so by one factor: what was adjusted for a split or dividend that came since.
_SUPERSEDE = text(
    """
    WITH incoming AS (
      SELECT * FROM unnest(CAST(:days AS date[]), CAST(:closes AS numeric[]), CAST(:adjusted AS numeric[]))
        AS bar(day, close, adjusted_close)
    ), changing AS (
      SELECT p.*, b.day AS new_day, b.close / p.close AS ratio, b.adjusted_close / p.adjusted_close AS adjusted_ratio
      FROM prices p LEFT JOIN incoming b ON b.day = p.day
      WHERE p.instrument_id = :id
        AND CASE WHEN b.day IS NULL THEN p.day >= :since OR p.source <> :source
                 ELSE p.source <> :source OR abs(p.close - b.close) > :same * b.close
                      OR abs(p.adjusted_close - b.adjusted_close) > :same * b.adjusted_close END
    )
    INSERT INTO superseded_prices (instrument_id, replaced_at, kind, days, closes, adjusted_closes, sources,
                                   fetched_ats)
    SELECT :id, :now,
           CASE WHEN bool_and(new_day IS NULL) THEN 'removed'
                WHEN bool_or(source <> :source) THEN 'source'
                WHEN count(*) >= 5 AND max(ratio) - min(ratio) <= 1e-4 * max(ratio)
                     AND max(adjusted_ratio) - min(adjusted_ratio) <= 1e-4 * max(adjusted_ratio) THEN 'rebased'
                ELSE 'restated' END,
           array_agg(day ORDER BY day), array_agg(close ORDER BY day), array_agg(adjusted_close ORDER BY day),
           array_agg(source ORDER BY day), array_agg(fetched_at ORDER BY day)
    FROM changing HAVING count(*) > 0
    """
)

_UPSERT = text(
    """
    INSERT INTO prices AS p (instrument_id, day, close, adjusted_close, open, high, low, volume, source, fetched_at)
    SELECT :id, bar.day, round(bar.close, 8), round(bar.adjusted_close, 8), round(bar.open, 8), round(bar.high, 8),
           round(bar.low, 8), bar.volume, :source, :now
    FROM unnest(CAST(:days AS date[]), CAST(:closes AS numeric[]), CAST(:adjusted AS numeric[]),
                CAST(:opens AS numeric[]), CAST(:highs AS numeric[]), CAST(:lows AS numeric[]),
                CAST(:volumes AS bigint[])) AS bar(day, close, adjusted_close, open, high, low, volume)
    ON CONFLICT (instrument_id, day) DO UPDATE
    SET close = excluded.close, adjusted_close = excluded.adjusted_close, open = excluded.open, high = excluded.high,
        low = excluded.low, volume = excluded.volume, source = excluded.source,
        -- a range that comes later makes no other version
        fetched_at = CASE WHEN p.source <> excluded.source OR abs(p.close - excluded.close) > :same * excluded.close
                            OR abs(p.adjusted_close - excluded.adjusted_close) > :same * excluded.adjusted_close
                          THEN excluded.fetched_at ELSE p.fetched_at END
    WHERE p.source <> excluded.source
       OR abs(p.close - excluded.close) > :same * excluded.close
       OR abs(p.adjusted_close - excluded.adjusted_close) > :same * excluded.adjusted_close
       OR p.high IS NULL AND excluded.high IS NOT NULL
    """
)

_IS_CONTINUED = text(
    """
    SELECT EXISTS (SELECT FROM prices WHERE instrument_id = :id AND day = :day AND source = :source
                   AND abs(adjusted_close - :adjusted_close) <= :same * :adjusted_close)
    """
)

_APPEND = text(
    """
    INSERT INTO prices (instrument_id, day, close, adjusted_close, open, high, low, volume, source, fetched_at)
    SELECT :id, bar.day, round(bar.close, 8), round(bar.adjusted_close, 8), round(bar.open, 8), round(bar.high, 8),
           round(bar.low, 8), bar.volume, :source, :now
    FROM unnest(CAST(:days AS date[]), CAST(:closes AS numeric[]), CAST(:adjusted AS numeric[]),
                CAST(:opens AS numeric[]), CAST(:highs AS numeric[]), CAST(:lows AS numeric[]),
                CAST(:volumes AS bigint[])) AS bar(day, close, adjusted_close, open, high, low, volume)
    ON CONFLICT DO NOTHING
    """
)

# What a person entered, or a broker's file brought, stays whatever a source says.
_DELETE_SPLITS = text(
    "DELETE FROM splits WHERE instrument_id = :id AND source <> 'user' AND NOT day = ANY(CAST(:days AS date[]))"
)

# What a source without a list of splits gives ends before these, so it is not adjusted for them. They are known
# from a source that has been taken out of the settings.
_DELETE_LATER_SPLITS = text("DELETE FROM splits WHERE instrument_id = :id AND source <> 'user' AND day > :last")

_UPSERT_SPLITS = text(
    """
    INSERT INTO splits AS s (instrument_id, day, ratio, source)
    SELECT :id, split.day, split.ratio, :source
    FROM unnest(CAST(:days AS date[]), CAST(:ratios AS numeric[])) AS split(day, ratio)
    ON CONFLICT (instrument_id, day) DO UPDATE SET ratio = excluded.ratio, source = excluded.source
    WHERE s.ratio <> excluded.ratio AND s.source <> 'user'
    """
)


def replace(
    connection: Connection, instrument_id: int, history: PriceHistory, now: datetime, *, may_be_shorter: bool = False
) -> bool:
    """Make the stored history of an instrument the given one; return whether prices or splits changed.

    Nothing of an earlier answer stays among the prices, whatever its source: two answers may be adjusted on different
    days, and some of each would make a jump that never happened. What is replaced stays in `superseded_prices`. A
    volume that alone was restated is not worth a write.

    Raises:
        ShortHistoryError: it is so much shorter than what is stored that it must be half an answer, unless it
            `may_be_shorter`; nothing was written.
        sqlalchemy.exc.DBAPIError: the database refused it.
    """
    common = {"id": instrument_id, "source": history.source, "since": history.since}
    stored = connection.execute(_COUNT, common).one()
    if len(history.bars) < COMPLETE_ENOUGH * stored.comparable and not may_be_shorter:
        raise ShortHistoryError(
            f"The source {history.source} gave {len(history.bars)} sessions since {history.since}, but "
            f"{stored.comparable} are stored: its answer is not complete."
        )
    values = common | columns(history.bars) | {"now": now, "same": SAME_PRICE}
    dropped = 0
    if stored.any:
        connection.execute(_SUPERSEDE, values)
        dropped = connection.execute(_DELETE_OTHERS, common | {"days": values["days"]}).scalar_one()
    written = connection.execute(_UPSERT, values).rowcount
    splits_changed = _replace_splits(connection, common, history)
    return bool(dropped or written or splits_changed)


def append(connection: Connection, instrument_id: int, history: PriceHistory, now: datetime) -> bool:
    """Add the bars of a partial history that are not stored yet; return whether there were any.

    Raises:
        BadAnswerError: what is stored was adjusted otherwise since it was asked for; nothing was written.
        sqlalchemy.exc.DBAPIError: the database refused it.
    """
    first = history.bars[0]
    same = {
        "id": instrument_id,
        "source": history.source,
        "day": history.since,
        "adjusted_close": first.adjusted_close,
        "same": SAME_PRICE,
    }
    if not connection.execute(_IS_CONTINUED, same).scalar_one():
        raise BadAnswerError(f"The stored prices of {history.ticker} changed while newer ones were fetched.")
    values = columns(history.bars) | {"id": instrument_id, "source": history.source, "now": now}
    return bool(connection.execute(_APPEND, values).rowcount)


def columns(bars: Sequence[Bar]) -> dict[str, str]:
    """Return bars as PostgreSQL's arrays: days, closes, adjusted, opens, highs, lows, volumes."""
    return {
        "days": _array(bar.day for bar in bars),
        "closes": _array(bar.close for bar in bars),
        "adjusted": _array(bar.adjusted_close for bar in bars),
        "opens": _array(_or_null(bar.open) for bar in bars),
        "highs": _array(_or_null(bar.high) for bar in bars),
        "lows": _array(_or_null(bar.low) for bar in bars),
        "volumes": _array(_or_null(bar.volume) for bar in bars),
    }


def _replace_splits(connection: Connection, common: dict[str, Any], history: PriceHistory) -> bool:
    if history.splits is None:
        last = common | {"last": history.bars[-1].day}
        return bool(connection.execute(_DELETE_LATER_SPLITS, last).rowcount)
    values = common | {
        "days": _array(day for day, _ in history.splits),
        "ratios": _array(ratio for _, ratio in history.splits),
    }
    dropped = connection.execute(_DELETE_SPLITS, values).rowcount
    return bool(connection.execute(_UPSERT_SPLITS, values).rowcount or dropped)


def _or_null(value: object) -> object:
    return "NULL" if value is None else value


def _array(values: Iterable[object]) -> str:
    """Write an array as PostgreSQL reads it: one parameter, where the driver would quote thousands one by one."""
    return f"{{{','.join(map(str, values))}}}"
