"""The live backtest: the figures that were served for each session against what the session brought.

What counts is the last snapshot that was there before the session's first price, with its own positions: what was
traded during the session is not in them, and not in the result either. Snapshots are never deleted or updated, so
this can be done at any time later, and a repeat changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

#: Snapshots of the last price days that are looked at: what was served before is history.
LOOK_BACK: Final = timedelta(days=30)
#: A position that has no price for so long after a session is counted as not having moved in it.
PATIENCE: Final = timedelta(days=10)
#: Forecasts that are settled in one transaction.
AT_ONCE: Final = 5000
#: Rows of an answer: four years.
MOST_DAYS: Final = 1000

_FIGURES: Final = "var_95_1d, es_95_1d, var_975_1d, es_975_1d, var_99_1d, es_99_1d"

# All that belongs to a snapshot is looked up beside it: joins of one common table expression with another would be
# planned for a handful of rows, and there are as many as portfolios.
_SETTLE = text(
    f"""
    WITH last AS (
      SELECT DISTINCT ON (s.portfolio_id, s.as_of) s.id, s.portfolio_id, s.as_of, s.method, s.base_currency, s.nav,
             {_FIGURES}, s.newest
      FROM (
        SELECT s.*, c.as_of AS newest, c.computed_at AS newest_at
        FROM portfolios p
        JOIN risk_snapshots c ON c.id = p.snapshot_id
        CROSS JOIN LATERAL (
          SELECT * FROM risk_snapshots WHERE portfolio_id = p.id AND as_of < c.as_of AND as_of > c.as_of - :look_back
          OFFSET 0) s
        WHERE c.computed_at >= :since
      ) s
      WHERE NOT EXISTS (SELECT FROM served_forecasts f
                        WHERE f.portfolio_id = s.portfolio_id AND f.as_of = s.as_of
                          AND (f.complete OR f.realised_at > s.newest_at))
        -- once a later price day was seen, nothing is a forecast of it any more
        AND NOT EXISTS (SELECT FROM risk_snapshots later
                        WHERE later.portfolio_id = s.portfolio_id AND later.as_of > s.as_of AND later.id < s.id)
      ORDER BY s.portfolio_id, s.as_of, s.id DESC
    ), served AS MATERIALIZED (
      SELECT * FROM last WHERE nav > 0 AND num_nulls({_FIGURES}) = 0 LIMIT :most
    )
    INSERT INTO served_forecasts AS f (
      portfolio_id, as_of, day, snapshot_id, method, base_currency, nav, {_FIGURES}, pnl, complete, realised_at)
    SELECT s.portfolio_id, s.as_of, came.day, s.id, s.method, s.base_currency, s.nav, {_FIGURES},
           (came.pnl / s.nav)::float8, came.complete, :now
    FROM served s
    CROSS JOIN LATERAL (
      -- Adjusted closes: a split between the two days is no profit, and a dividend is.
      SELECT session.day,
             sum(held.value * (coalesce(after.adjusted_close / before.adjusted_close, 1)
                               * coalesce(rate_after.close / rate_before.close, 1) - 1)) AS pnl,
             bool_and(s.newest > session.day + :patience OR session.day <= (
               -- of cash the rate, which has its days as its own
               SELECT max(day) FROM prices WHERE instrument_id = abs(held.instrument_id))) AS complete
      FROM (
        SELECT array_agg((one->>'instrument_id')::bigint) AS ids,
               array_agg((one->>'quantity')::numeric * (one->>'price')::numeric
                         * coalesce(one->>'rate', '1')::numeric) AS amounts,
               array_agg((one->>'price_day')::date) AS days,
               array_agg((one->>'rate_id')::bigint) AS rate_ids,
               array_agg((one->>'rate_day')::date) AS rate_days
        FROM risk_snapshots, jsonb_array_elements(convert_from(inputs, 'UTF8')::jsonb->'positions') one
        WHERE id = s.id AND one->>'price' IS NOT NULL
          -- snapshots from before 0.4 say nothing of rates, and have no value of what is in another currency
          AND (one->>'rate' IS NOT NULL
               OR NOT one ? 'rate' AND coalesce(one->>'currency', s.base_currency) = s.base_currency)
      ) book
      CROSS JOIN LATERAL (
        SELECT min(next.day) AS day
        FROM unnest(book.ids) AS known (instrument_id)
        CROSS JOIN LATERAL (
          SELECT day FROM prices WHERE instrument_id = known.instrument_id AND day > s.as_of
          ORDER BY day LIMIT 1) next
      ) session
      CROSS JOIN LATERAL unnest(book.ids, book.amounts, book.days, book.rate_ids, book.rate_days)
        AS held (instrument_id, value, price_day, rate_id, rate_day)
      LEFT JOIN LATERAL (
        SELECT adjusted_close FROM prices WHERE instrument_id = held.instrument_id AND day <= held.price_day
        ORDER BY day DESC LIMIT 1) before ON true
      LEFT JOIN LATERAL (
        SELECT adjusted_close FROM prices WHERE instrument_id = held.instrument_id AND day <= session.day
        ORDER BY day DESC LIMIT 1) after ON true
      LEFT JOIN LATERAL (
        SELECT close FROM prices WHERE instrument_id = held.rate_id AND day <= held.rate_day
        ORDER BY day DESC LIMIT 1) rate_before ON true
      LEFT JOIN LATERAL (
        SELECT close FROM prices WHERE instrument_id = held.rate_id AND day <= session.day
        ORDER BY day DESC LIMIT 1) rate_after ON true
      WHERE session.day IS NOT NULL
      GROUP BY session.day
    ) came
    ORDER BY s.portfolio_id, s.as_of
    ON CONFLICT (portfolio_id, as_of) DO UPDATE
    SET day = excluded.day, snapshot_id = excluded.snapshot_id, method = excluded.method,
        base_currency = excluded.base_currency, nav = excluded.nav,
        var_95_1d = excluded.var_95_1d, es_95_1d = excluded.es_95_1d, var_975_1d = excluded.var_975_1d,
        es_975_1d = excluded.es_975_1d, var_99_1d = excluded.var_99_1d, es_99_1d = excluded.es_99_1d,
        pnl = excluded.pnl, complete = excluded.complete, realised_at = excluded.realised_at
    WHERE NOT f.complete
    """  # noqa: S608 - names of columns
)


def settle(connection: Connection, now: datetime, since: datetime) -> int:
    """Set against each other what was served and what came, where the next session's prices are there.

    At most `AT_ONCE` forecasts: if it returns as many, there may be more.

    Args:
        connection: In a transaction.
        now: When this is.
        since: Look at portfolios whose newest snapshot is at most this old.

    Returns:
        How many forecasts got a result.
    """
    values = {
        "now": now,
        "since": since,
        "look_back": LOOK_BACK.days,
        "patience": PATIENCE.days,
        "most": AT_ONCE,
    }
    return connection.execute(_SETTLE, values).rowcount


@dataclass(frozen=True)
class Day:
    """One session: what was served for it, and its result; fractions of the NAV before it."""

    day: date
    as_of: date
    method: str
    var_95_1d: float
    es_95_1d: float
    var_975_1d: float
    es_975_1d: float
    var_99_1d: float
    es_99_1d: float
    pnl: float

    def exceeded(self, value_at_risk: float) -> bool:
        """Say whether the loss was larger than that."""
        return self.pnl < -value_at_risk


_DAYS = text(
    """
    SELECT day, as_of, method, var_95_1d, es_95_1d, var_975_1d, es_975_1d, var_99_1d, es_99_1d, pnl
    FROM served_forecasts WHERE portfolio_id = :id AND complete ORDER BY as_of DESC LIMIT :most
    """
)


def read(session: Session, portfolio_id: int) -> dict[str, Any]:
    """Return the `live` member of the answer: every session with a result, and how often it was worse."""
    rows = session.execute(_DAYS, {"id": portfolio_id, "most": MOST_DAYS}).mappings().all()
    days = [Day(**row) for row in reversed(rows)]
    beyond_95 = sum(one.exceeded(one.var_95_1d) for one in days)
    beyond_99 = sum(one.exceeded(one.var_99_1d) for one in days)
    return {
        "n": len(days),
        "exceedances": beyond_95,
        "rate": beyond_95 / len(days) if days else None,
        "exceedances_99": beyond_99,
        "rate_99": beyond_99 / len(days) if days else None,
        "days": [
            {
                "day": one.day,
                "as_of": one.as_of,
                "method": one.method,
                "var_95_1d": one.var_95_1d,
                "var_99_1d": one.var_99_1d,
                "es_975_1d": one.es_975_1d,
                "pnl": one.pnl,
                "exceeded_95": one.exceeded(one.var_95_1d),
                "exceeded_99": one.exceeded(one.var_99_1d),
            }
            for one in days
        ],
    }
