"""Stored prices as the risk core wants them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from sqlalchemy import Connection, text

from tailwatch.risk import PriceSeries

#: More sessions than any window and its warm-up ask for.
MOST_SESSIONS = 2600

# One row an instrument: arrays cost a fifth of what one row a session does.
_SERIES = text(
    """
    SELECT i.id, i.ticker, h.days, h.closes
    FROM instruments i
    CROSS JOIN LATERAL (
      SELECT array_agg(day - DATE '1970-01-01' ORDER BY day) AS days,
             array_agg(adjusted_close::float8 ORDER BY day) AS closes
      FROM (SELECT day, adjusted_close FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT :most) newest
    ) h
    WHERE i.id = ANY(:ids) AND h.days IS NOT NULL
    """
)


def load_series(connection: Connection, instrument_ids: Collection[int]) -> dict[int, PriceSeries]:
    """Return the newest stored adjusted closes of each instrument that has any, by id."""
    rows = connection.execute(_SERIES, {"ids": list(instrument_ids), "most": MOST_SESSIONS})
    return {
        row.id: PriceSeries(
            row.ticker,
            np.array(row.days, dtype=np.int64).astype("datetime64[D]"),
            np.array(row.closes, dtype=np.float64),
        )
        for row in rows
    }
