"""Which session's bar each instrument awaits, by its market's calendar, and making those due whose bar is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from tailwatch.market import calendars, folder, sample
from tailwatch.market.incremental import WHOLE_EVERY_DAYS
from tailwatch.market.rates import NEEDED_TICKERS
from tailwatch.market.sources import Outcome

_NEWEST = text(
    """
    SELECT i.id, i.ticker, i.calendar, i.source, last.day
    FROM instruments i
    CROSS JOIN LATERAL (SELECT day FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last
    WHERE i.id = ANY(:ids)
    """
)
_NOTE = text(
    """
    UPDATE instruments i SET calendar = note.calendar, due_day = note.due_day
    FROM unnest(CAST(:ids AS bigint[]), CAST(:calendars AS text[]), CAST(:days AS date[]))
      AS note(id, calendar, due_day)
    WHERE i.id = note.id AND (i.calendar, i.due_day) IS DISTINCT FROM (note.calendar, note.due_day)
    """
)
_CALENDARS = text("SELECT DISTINCT coalesce(calendar, '') FROM instruments WHERE due_day IS NOT NULL")

# An instrument of which nothing is missing is left alone: its market was closed, or somebody had it fetched already.
# One that was not served by the source of choice is asked for whatever the calendar says.
_MAKE_DUE = text(
    f"""
    WITH known AS (
      SELECT * FROM unnest(CAST(:calendars AS text[]), CAST(:newest AS date[])) AS market(calendar, newest)
    )
    UPDATE instruments i SET next_fetch_at = :now
    WHERE (id IN (SELECT instrument_id FROM trades
                  UNION SELECT benchmark_id FROM portfolios WHERE benchmark_id IS NOT NULL)
           OR ticker IN ({NEEDED_TICKERS}))
      AND (next_fetch_at IS NULL OR next_fetch_at > :now)
      AND (due_day IS NULL OR status <> 'ok' OR source <> :first
           -- a file may have been changed anywhere, and costs nothing to be asked
           OR source = :folder
           OR due_day <= (SELECT newest FROM known WHERE known.calendar = coalesce(i.calendar, ''))
           OR (CAST(:today AS date) - DATE '1970-01-01' + id) % :whole_every = 0)
    """  # noqa: S608 - a constant
)


def note(connection: Connection, outcomes: Mapping[int, Outcome]) -> None:
    """Note the calendar of each instrument that was served, and the session after its newest bar.

    Call it when the outcomes have been saved, in the same transaction.
    """
    told = {each: outcome.history.calendar for each, outcome in outcomes.items() if outcome.history is not None}
    ids, names, days = [], [], []
    for row in connection.execute(_NEWEST, {"ids": list(told)}) if told else ():
        # A source that does not say where an instrument is listed takes nothing back.
        name = told[row.id] or row.calendar or calendars.calendar_of(row.ticker)
        ids.append(row.id)
        names.append(name)
        # The sample has ended: it lacks nothing.
        days.append(None if row.source == sample.NAME else calendars.next_session(name, row.day))
    if ids:
        connection.execute(_NOTE, {"ids": ids, "calendars": names, "days": days})


def make_due(connection: Connection, first_source: str, now: datetime) -> int:
    """Make due what portfolios rest on and a bar is missing of, by its calendar; return how many that are.

    Also whatever has never been looked at, was not served by the first source, is from a folder of files, or is asked
    for its whole history on that day.

    Args:
        connection: To write to.
        first_source: Of `PRICE_SOURCES`.
        now: The time.
    """
    names = list(connection.scalars(_CALENDARS))
    values = {
        "now": now,
        "first": first_source,
        "folder": folder.NAME,
        "today": now.date(),
        "whole_every": WHOLE_EVERY_DAYS,
        "calendars": names,
        "newest": [calendars.newest_session(name or None, now) for name in names],
    }
    return connection.execute(_MAKE_DUE, values).rowcount
