"""Circuit breakers of the price sources, kept in the database: what one process learnt, all of them know.

A source that refuses, or cannot be reached, is left alone until `out_until`. The process that comes first after that
asks it again; to the others it stays out for as long as that may take. If it answers, all is forgotten; if not, the
wait doubles.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from tailwatch.errors import PriceSourceError, SourceRefusedError
from tailwatch.market.sources import SourceChain

#: After the first failure; doubles up to the longest. A time that the source itself gave counts if it is longer.
FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=15)
#: How long one process has the probe for itself.
PROBE: Final = timedelta(seconds=30)
#: An answer is noted that often while all is well.
NOTED_EVERY: Final = timedelta(minutes=1)

# One statement: of several processes whose time has come, one gets to move `out_until`.
_OUT = text(
    """
    WITH probed AS (
      UPDATE price_sources SET out_until = :probing WHERE name = ANY(:names) AND out_until <= :now RETURNING name)
    SELECT name, out_until, coalesce(last_error, 'It does not answer.') AS reason FROM price_sources
    WHERE name = ANY(:names) AND out_until > :now AND name NOT IN (SELECT name FROM probed)
    """
)
_ANSWERED = text(
    """
    INSERT INTO price_sources AS s (name, last_answer_at) SELECT name, :now FROM unnest(CAST(:names AS text[])) name
    ON CONFLICT (name) DO UPDATE SET failures = 0, out_until = NULL, last_answer_at = excluded.last_answer_at
    WHERE s.failures > 0 OR s.out_until IS NOT NULL OR s.last_answer_at IS NULL OR s.last_answer_at < :lately
    """
)
_FAILED = text(
    """
    INSERT INTO price_sources AS s (name, failures, out_until, last_error, last_error_at)
    VALUES (:name, 1, CAST(:now AS timestamptz) + greatest(:first, :asked), :reason, :now)
    ON CONFLICT (name) DO UPDATE
    SET failures = s.failures + 1, last_error = excluded.last_error, last_error_at = excluded.last_error_at,
        out_until = excluded.last_error_at
                  + greatest(least(:first * power(2, least(s.failures, 20)), :longest), CAST(:asked AS interval))
    """
)
_STATES = text(
    """
    SELECT name, failures, out_until, last_error, last_error_at, last_answer_at FROM price_sources
    WHERE name = ANY(:names)
    """
)


@dataclass(frozen=True)
class SourceState:
    """How a price source is doing.

    Attributes:
        failures: Of the source itself, in a row.
        out_until: It is not asked before; None while it is in service.
        last_error: Why it was given up last, in a sentence.
    """

    name: str
    failures: int
    out_until: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    last_answer_at: datetime | None


def out_of_service(connection: Connection, names: Collection[str], now: datetime) -> dict[str, PriceSourceError]:
    """Return why each source that is to be left alone is; a caller who gets none of them may have the probe.

    Args:
        connection: To a transaction that the caller commits before it asks anyone.
        names: Of the sources that will be asked.
        now: The time.
    """
    rows = connection.execute(_OUT, {"names": list(names), "now": now, "probing": now + PROBE})
    return {
        row.name: SourceRefusedError(
            f"{row.reason} It is left alone until {row.out_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
            (row.out_until - now).total_seconds(),
        )
        for row in rows
    }


def allow_probe(connection: Connection) -> None:
    """Let the next that comes ask the sources that are left alone, as if their time were over."""
    connection.execute(text("UPDATE price_sources SET out_until = now() WHERE out_until > now()"))


def note(connection: Connection, chain: SourceChain, now: datetime) -> None:
    """Keep what a chain has learnt about its sources since the last call."""
    answered, given_up = chain.take_news()
    if answered:
        values = {"names": sorted(answered), "now": now, "lately": now - NOTED_EVERY}
        connection.execute(_ANSWERED, values)
    for name, error in sorted(given_up.items()):
        asked = error.retry_after_seconds if isinstance(error, SourceRefusedError) else None
        connection.execute(
            _FAILED,
            {
                "name": name,
                "now": now,
                "first": FIRST_WAIT,
                "longest": LONGEST_WAIT,
                "asked": timedelta(seconds=asked or 0),
                "reason": str(error),
            },
        )


def states(connection: Connection, names: Collection[str]) -> list[SourceState]:
    """Return how sources are doing, in the order of `names`; one that was never asked has no failures."""
    found = {row.name: SourceState(**row) for row in connection.execute(_STATES, {"names": list(names)}).mappings()}
    return [found.get(name) or SourceState(name, 0, None, None, None, None) for name in names]
