"""The audit trail: what an entry was before it was changed or removed, and who did that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from tailwatch import logs
from tailwatch.db.models import TradeChange

#: An entry as JSON with exact strings: the members of the API's `Trade`, so that a reader knows them.
_ENTRY: Final = """
    jsonb_build_object(
      'id', t.id, 'type', t.type, 'ticker', i.ticker, 'quantity', trim_scale(t.quantity)::text,
      'price', trim_scale(t.price)::text, 'amount', trim_scale(t.amount)::text, 'currency', t.currency,
      'fee', trim_scale(t.fee)::text, 'tax', trim_scale(t.tax)::text, 'fx_rate', trim_scale(t.fx_rate)::text,
      'executed_at', to_char(t.executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'account', t.account, 'note', t.note, 'external_id', t.external_id, 'import_id', t.import_id)
"""
_READ = text(
    f"""
    SELECT {_ENTRY} FROM trades t LEFT JOIN instruments i ON i.id = t.instrument_id
    WHERE t.id = :id AND t.portfolio_id = :portfolio_id
    """  # noqa: S608 - a constant
)
_REMOVE = text(
    f"""
    WITH removed AS (
      DELETE FROM trades WHERE portfolio_id = :portfolio_id AND (id = ANY(:ids) OR import_id = :import_id)
      RETURNING *)
    INSERT INTO trade_changes (portfolio_id, trade_id, changed_by, request_id, action, before)
    SELECT t.portfolio_id, t.id, :changed_by, :request_id, 'removal', {_ENTRY}
    FROM removed t LEFT JOIN instruments i ON i.id = t.instrument_id
    """  # noqa: S608 - a constant
)
_WHO = text(
    """
    SELECT u.email || coalesce(' (token "' || t.name || '")', '') FROM users u
    LEFT JOIN api_tokens t ON t.id = :token_id AND t.user_id = u.id WHERE u.id = :user_id
    """
)


@dataclass(frozen=True)
class Author:
    """Who changes the book, in words."""

    name: str


def author(connection: Connection | Session, user_id: int, token_id: int | None) -> Author:
    """Return who that is: the e-mail address, and the name of the token if it was one."""
    return Author(str(connection.execute(_WHO, {"user_id": user_id, "token_id": token_id}).scalar_one()))


def entry(session: Session, portfolio_id: int, trade_id: int) -> dict[str, Any]:
    """Return an entry as the trail keeps it."""
    found: dict[str, Any] = session.execute(_READ, {"id": trade_id, "portfolio_id": portfolio_id}).scalar_one()
    return found


def record(
    session: Session, portfolio_id: int, before: Mapping[str, Any], after: Mapping[str, Any], by: Author
) -> None:
    """Keep a change, in the transaction that makes it; one that changed nothing leaves no trace."""
    if before == after:
        return
    session.execute(
        insert(TradeChange).values(
            portfolio_id=portfolio_id,
            trade_id=before["id"],
            changed_by=by.name,
            request_id=logs.request_id(),
            action="change",
            before=before,
            after=after,
        )
    )


def remove(
    session: Session, portfolio_id: int, by: Author, *, ids: Sequence[int] = (), import_id: int | None = None
) -> int:
    """Remove entries of a portfolio, or all that an import booked, and keep what they were; return how many."""
    values = {
        "portfolio_id": portfolio_id,
        "ids": list(ids),
        "import_id": import_id,
        "changed_by": by.name,
        "request_id": logs.request_id(),
    }
    # On the connection: a session's result does not say how many rows there were.
    return session.connection().execute(_REMOVE, values).rowcount
