"""Writing one instrument's history: whole, on one basis of adjustment, and only where it differs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from tailwatch.errors import BadAnswerError
from tailwatch.market.sources import PriceHistory

#: An answer with less than this share of the sessions that are stored from the same source is half an answer.
COMPLETE_ENOUGH: Final = 0.75
#: Relative. Yahoo's adjusted closes differ from answer to answer in their seventh digit (yfinance issue 1871); even a
#: small dividend moves them a hundred times as much.
SAME_PRICE: Final = 1e-6

_COUNT = text("SELECT count(*) FROM prices WHERE instrument_id = :id AND source = :source AND day >= :since")

# Older days than were asked for go too: their adjustment is that of an earlier answer. They are out of every window,
# so losing one a day is no change.
_DELETE_OTHERS = text(
    """
    WITH deleted AS (
      DELETE FROM prices WHERE instrument_id = :id AND NOT day = ANY(CAST(:days AS date[])) RETURNING day, source)
    SELECT count(*) FROM deleted WHERE day >= :since OR source <> :source
    """
)

_UPSERT = text(
    """
    INSERT INTO prices AS p (instrument_id, day, close, adjusted_close, volume, source, fetched_at)
    SELECT :id, bar.day, bar.close, bar.adjusted_close, bar.volume, :source, :now
    FROM unnest(CAST(:days AS date[]), CAST(:closes AS numeric[]), CAST(:adjusted AS numeric[]),
                CAST(:volumes AS bigint[])) AS bar(day, close, adjusted_close, volume)
    ON CONFLICT (instrument_id, day) DO UPDATE
    SET close = excluded.close, adjusted_close = excluded.adjusted_close, volume = excluded.volume,
        source = excluded.source, fetched_at = excluded.fetched_at
    WHERE p.source <> excluded.source
       OR abs(p.close - excluded.close) > :same * excluded.close
       OR abs(p.adjusted_close - excluded.adjusted_close) > :same * excluded.adjusted_close
    """
)

_DELETE_SPLITS = text("DELETE FROM splits WHERE instrument_id = :id AND NOT day = ANY(CAST(:days AS date[]))")

_UPSERT_SPLITS = text(
    """
    INSERT INTO splits AS s (instrument_id, day, ratio, source)
    SELECT :id, split.day, split.ratio, :source
    FROM unnest(CAST(:days AS date[]), CAST(:ratios AS numeric[])) AS split(day, ratio)
    ON CONFLICT (instrument_id, day) DO UPDATE SET ratio = excluded.ratio, source = excluded.source
    WHERE s.ratio <> excluded.ratio
    """
)


def replace(connection: Connection, instrument_id: int, history: PriceHistory, now: datetime) -> bool:
    """Make the stored history of an instrument the given one; return whether prices or splits changed.

    Nothing of an earlier answer stays, whatever its source: two answers may be adjusted on different days, and some
    of each would make a jump that never happened. A volume that alone was restated is not worth a write.

    Raises:
        BadAnswerError: it is so much shorter than what is stored that it must be half an answer; nothing was written.
        sqlalchemy.exc.DBAPIError: the database refused it.
    """
    common = {"id": instrument_id, "source": history.source, "since": history.since}
    days = [bar.day for bar in history.bars]
    stored = connection.execute(_COUNT, common).scalar_one()
    if len(days) < COMPLETE_ENOUGH * stored:
        raise BadAnswerError(
            f"The source {history.source} gave {len(days)} sessions since {history.since}, and {stored} are stored: "
            "the answer is not complete."
        )
    dropped = connection.execute(_DELETE_OTHERS, common | {"days": days}).scalar_one()
    written = connection.execute(
        _UPSERT,
        common
        | {
            "now": now,
            "same": SAME_PRICE,
            "days": days,
            "closes": [round(bar.close, 8) for bar in history.bars],
            "adjusted": [round(bar.adjusted_close, 8) for bar in history.bars],
            "volumes": [bar.volume for bar in history.bars],
        },
    ).rowcount
    return bool(dropped or written or _replace_splits(connection, common, history))


def _replace_splits(connection: Connection, common: dict[str, Any], history: PriceHistory) -> bool:
    if history.splits is None:
        return False
    values = common | {"days": [day for day, _ in history.splits], "ratios": [ratio for _, ratio in history.splits]}
    dropped = connection.execute(_DELETE_SPLITS, values).rowcount
    return bool(connection.execute(_UPSERT_SPLITS, values).rowcount or dropped)
