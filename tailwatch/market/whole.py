"""Whole histories that repeat what is stored: held against it many at a time, and only what is new is written.

Once a month an instrument is asked for everything, and mostly nothing of it has changed. What has (a dividend, a
restated bar, another name) is left to `store.save`, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, text

from tailwatch.market import quality
from tailwatch.market.history import CLOSES, DAYS, read_array
from tailwatch.market.incremental import OVERLAP
from tailwatch.market.sources import SAME_PRICE, Outcome, PriceHistory

# One row an instrument, its bars as binary arrays. `others` are bars that would be rewritten although they have the
# same price: those of another source, and those without a range.
_STORED = text(
    """
    SELECT i.id, i.source, i.currency, i.name, i.labels, array_send(bars.days) AS days,
           array_send(bars.closes) AS closes, array_send(bars.adjusted) AS adjusted, bars.others,
           (SELECT array_agg(day ORDER BY day) FROM splits WHERE instrument_id = i.id) AS split_days,
           (SELECT array_agg(ratio ORDER BY day) FROM splits WHERE instrument_id = i.id) AS split_ratios
    FROM unnest(CAST(:ids AS bigint[]), CAST(:sinces AS date[])) AS asked (id, since)
    JOIN instruments i USING (id)
    CROSS JOIN LATERAL (
      SELECT array_agg(day - DATE '1970-01-01') AS days, array_agg(close::float8) AS closes,
             array_agg(adjusted_close::float8) AS adjusted,
             count(*) FILTER (WHERE source <> i.source OR high IS NULL) AS others
      FROM (SELECT * FROM prices WHERE instrument_id = i.id AND day >= asked.since ORDER BY day) stored
    ) bars
    WHERE bars.days IS NOT NULL
    """
)


def narrowed(connection: Connection, outcomes: Mapping[int, Outcome]) -> dict[int, Outcome]:
    """Return the outcomes, with whole histories cut to their newest bars where all that is stored is repeated.

    What is cut is partial, as if only newer bars had been asked for.
    """
    asked = {
        each: outcome.history
        for each, outcome in outcomes.items()
        if outcome.history is not None and not outcome.history.partial and outcome.reason is None
    }
    if not asked:
        return dict(outcomes)
    values = {"ids": list(asked), "sinces": [history.since for history in asked.values()]}
    cut = {}
    for row in connection.execute(_STORED, values):
        history = asked[row.id]
        newer = _newer(history, row)
        if newer is not None:
            bars = history.bars[-newer - OVERLAP :]
            cut[row.id] = Outcome("ok", replace(history, bars=bars, since=bars[0].day, partial=True, labels={}), None)
    return {**outcomes, **cut}


def _newer(history: PriceHistory, stored: Row[Any]) -> int | None:
    """Return how many bars are newer than what is stored; None: there is more to say than that."""
    told_of = (
        history.source == stored.source
        and history.currency == stored.currency
        and history.name in {None, stored.name}
        and history.labels.keys() <= stored.labels.keys()
        and list(history.splits or ()) == list(zip(stored.split_days or (), stored.split_ratios or (), strict=True))
        and not history.blank
        and not stored.others
    )
    days = read_array(stored.days, DAYS)
    before = days.size
    if not told_of or not OVERLAP <= before <= len(history.bars) or quality.gaps(history.bars):
        return None
    epoch = np.datetime64(0, "D")
    told_days = (np.array([bar.day for bar in history.bars[:before]], dtype="datetime64[D]") - epoch).astype(np.int64)
    if not np.array_equal(days, told_days):
        return None
    repeated = history.bars[:before]
    if not all(bar.close.is_finite() and bar.adjusted_close.is_finite() for bar in repeated):
        return None
    closes = np.fromiter((float(bar.close) for bar in repeated), np.float64, before)
    adjusted = np.fromiter((float(bar.adjusted_close) for bar in repeated), np.float64, before)
    for told, sent in ((closes, stored.closes), (adjusted, stored.adjusted)):
        if not (np.abs(read_array(sent, CLOSES) - told) <= SAME_PRICE * told).all():
            return None
    return len(history.bars) - before
