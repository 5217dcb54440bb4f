"""Stored prices as the risk core wants them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Row, text

from tailwatch.book.daily import Closes
from tailwatch.risk import PriceSeries
from tailwatch.risk.ranges import range_variances

#: More sessions than any window and its warm-up ask for.
MOST_SESSIONS: Final = 2600

# One row an instrument, its arrays in PostgreSQL's binary form: numpy reads them where they lie, which takes half the
# time of a text that the driver turns into Python numbers first. Newest first, as the index gives them: no sort.
_SERIES = text(
    """
    SELECT i.id, i.ticker, array_send(newest.days) AS days, array_send(newest.closes) AS closes
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(day - DATE '1970-01-01') AS days, array_agg(adjusted_close::float8) AS closes
      FROM (SELECT day, adjusted_close FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT :most) bars
    ) newest
    WHERE i.id = ANY(:ids) AND newest.days IS NOT NULL
    """
)

# The same, between some days only.
_BETWEEN = text(
    """
    SELECT i.id, i.ticker, array_send(chosen.days) AS days, array_send(chosen.closes) AS closes
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(day - DATE '1970-01-01') AS days, array_agg(adjusted_close::float8) AS closes
      FROM (
        SELECT day, adjusted_close
        FROM unnest(CAST(:starts AS date[]), CAST(:ends AS date[])) AS wanted (first, last)
        JOIN prices ON instrument_id = i.id AND day BETWEEN first AND last
        ORDER BY day DESC
      ) bars
    ) chosen
    WHERE i.id = ANY(:ids) AND chosen.days IS NOT NULL
    """
)

# What was stored at a time: what still is, and what has been replaced since.
_AS_KNOWN = text(
    """
    SELECT i.id, i.ticker, array_send(known.days) AS days, array_send(known.closes) AS closes
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(day - DATE '1970-01-01' ORDER BY day DESC) AS days,
             array_agg(adjusted_close::float8 ORDER BY day DESC) AS closes
      FROM (
        SELECT day, adjusted_close FROM prices WHERE instrument_id = i.id AND fetched_at <= :at
        UNION ALL
        SELECT bar.day, bar.adjusted_close
        FROM superseded_prices s
        CROSS JOIN LATERAL unnest(s.days, s.adjusted_closes, s.fetched_ats) AS bar (day, adjusted_close, fetched_at)
        WHERE s.instrument_id = i.id AND s.replaced_at > :at AND bar.fetched_at <= :at
      ) bars
    ) known
    WHERE i.id = ANY(:ids) AND known.days IS NOT NULL
    """
)

# As traded, with the last one before the first day.
_CLOSES_SINCE = text(
    """
    SELECT i.ticker, i.currency, array_send(chosen.days) AS days, array_send(chosen.closes) AS closes
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(day - DATE '1970-01-01') AS days, array_agg(close::float8) AS closes
      FROM (
        SELECT day, close FROM prices
        WHERE instrument_id = i.id AND day <= :last
          AND day >= coalesce((SELECT max(day) FROM prices WHERE instrument_id = i.id AND day <= :first), :first)
        ORDER BY day DESC
      ) bars
    ) chosen
    WHERE i.id = ANY(:ids) AND i.currency IS NOT NULL AND chosen.days IS NOT NULL
    """
)

#: What `array_send` puts before the first element of an array of one dimension: five 32-bit numbers. Each element
#: then is its length in bytes and its value, all big-endian.
_HEADER_BYTES: Final = 20
DAYS: Final = np.dtype([("length", ">i4"), ("value", ">i4")])
CLOSES: Final = np.dtype([("length", ">i4"), ("value", ">f8")])


# What a day's range is made of; NaN where the source did not give it.
_RANGES = text(
    """
    SELECT i.id, array_send(newest.opens) AS opens, array_send(newest.highs) AS highs,
           array_send(newest.lows) AS lows, array_send(newest.closes) AS closes,
           array_send(newest.adjusted) AS adjusted
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(coalesce(open::float8, 'NaN')) AS opens, array_agg(coalesce(high::float8, 'NaN')) AS highs,
             array_agg(coalesce(low::float8, 'NaN')) AS lows, array_agg(close::float8) AS closes,
             array_agg(adjusted_close::float8) AS adjusted
      FROM (SELECT * FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT :most) bars
    ) newest
    WHERE i.id = ANY(:ids) AND newest.opens IS NOT NULL
    """
)


def load_series(
    connection: Connection, instrument_ids: Collection[int], most: int = MOST_SESSIONS, *, with_ranges: bool = False
) -> dict[int, PriceSeries]:
    """Return the newest `most` stored adjusted closes of each instrument that has any, by id, oldest first.

    Args:
        connection: To read from.
        instrument_ids: Which.
        most: Sessions of each.
        with_ranges: Whether the variances of the days' ranges are wanted, for a volatility model that looks at them.
    """
    found = _read(connection.execute(_SERIES, {"ids": list(instrument_ids), "most": most}))
    if not with_ranges:
        return found
    for row in connection.execute(_RANGES, {"ids": list(found), "most": most}):
        opens, highs, lows, closes, adjusted = (
            _reversed(sent, CLOSES).astype(np.float64)
            for sent in (row.opens, row.highs, row.lows, row.closes, row.adjusted)
        )
        found[row.id] = replace(found[row.id], ranges=range_variances(opens, highs, lows, closes, adjusted))
    return found


def load_series_as_known(
    connection: Connection, instrument_ids: Collection[int], at: datetime
) -> dict[int, PriceSeries]:
    """Return all adjusted closes of each instrument as they were stored at a time, by id, oldest first.

    Without the variances of the days' ranges: of a replaced bar only its closes are kept.
    """
    return _read(connection.execute(_AS_KNOWN, {"ids": list(instrument_ids), "at": at}))


def load_between(
    connection: Connection, instrument_ids: Collection[int], days: Sequence[tuple[date, date]]
) -> dict[int, PriceSeries]:
    """Return the stored adjusted closes of each instrument in ranges of days that do not overlap, ends included."""
    values = {
        "ids": list(instrument_ids),
        "starts": [first for first, _ in days],
        "ends": [last for _, last in days],
    }
    return _read(connection.execute(_BETWEEN, values))


def load_closes(
    connection: Connection, instrument_ids: Collection[int], first: date, last: date
) -> dict[str, Closes]:
    """Return the stored closes between two days of each instrument that has any, by ticker.

    Both days included, and with the last one before the first day, which stands for it.
    """
    rows = connection.execute(_CLOSES_SINCE, {"ids": list(instrument_ids), "first": first, "last": last})
    return {
        row.ticker: Closes(
            row.currency,
            _reversed(row.days, DAYS).astype("datetime64[D]"),
            _reversed(row.closes, CLOSES).astype(np.float64),
        )
        for row in rows
    }


def _read(rows: Iterable[Row[Any]]) -> dict[int, PriceSeries]:
    return {
        row.id: PriceSeries(
            row.ticker,
            _reversed(row.days, DAYS).astype("datetime64[D]"),
            _reversed(row.closes, CLOSES).astype(np.float64),
        )
        for row in rows
    }


def _reversed(sent: memoryview, element: np.dtype[np.void]) -> npt.NDArray[Any]:
    return read_array(sent, element)[::-1]


def read_array(sent: memoryview, element: np.dtype[np.void]) -> npt.NDArray[Any]:
    """Return what `array_send` sent: `DAYS` since 1970, or float8 as `CLOSES`."""
    values: npt.NDArray[Any] = np.frombuffer(sent, element, offset=_HEADER_BYTES)["value"]
    return values
