"""Files of entries: what each row would become in a portfolio, booking them, taking them back.

A row is known by its key, which the same row of the same file has every time it is read, and by its external id. So a
file that is imported twice books nothing twice, whoever does it and however often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import orjson
from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from tailwatch import refresh
from tailwatch.book.entries import Entry
from tailwatch.book.importers import ImportedFile
from tailwatch.book.importers.rows import ImportedRow, ImportedSplit
from tailwatch.booking.changes import Author, remove
from tailwatch.db.models import TradeImport
from tailwatch.errors import NothingToImportError
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.rates import ensure_rates

Status = Literal["new", "duplicate", "possible_duplicate", "error", "ignored", "split", "known_split"]

#: Days around a split that is known already within which another one of the same ratio is the same.
SAME_SPLIT: Final = timedelta(days=3)
#: Advisory lock class (the first of two keys) of "somebody imports into this portfolio".
_IMPORTING: Final = 7_402

_KNOWN = text(
    """
    SELECT import_key, external_id FROM trades
    WHERE portfolio_id = :id AND (import_key = ANY(:keys) OR external_id = ANY(:external_ids))
    """
)
# What was booked by hand has no key; the same day, instrument and amounts are reason to ask.
_BY_HAND = text(
    """
    SELECT t.type, i.ticker, (t.executed_at AT TIME ZONE 'UTC')::date AS day, t.quantity, t.price, t.amount,
           t.currency
    FROM trades t LEFT JOIN instruments i ON i.id = t.instrument_id
    WHERE t.portfolio_id = :id AND t.import_key IS NULL
    """
)
_KNOWN_SPLITS = text(
    """
    SELECT i.ticker, s.day, s.ratio FROM splits s JOIN instruments i ON i.id = s.instrument_id
    WHERE i.ticker = ANY(:tickers)
    """
)
#: Rows that are sent to the database at once.
_AT_ONCE: Final = 5000
# Not COPY: the web server's connections are cooperative, and psycopg2 has no COPY for these.
_BOOK = text(
    """
    INSERT INTO trades (portfolio_id, type, instrument_id, quantity, price, amount, currency, fee, tax, fx_rate,
                        executed_at, account, note, external_id, import_key, import_id)
    SELECT :portfolio_id, s.type, i.id, s.quantity, s.price, s.amount, s.currency, s.fee, s.tax, s.fx_rate,
           s.executed_at, s.account, s.note, s.external_id, s.import_key, :import_id
    FROM json_to_recordset(CAST(:rows AS json)) AS s (
      place bigint, type text, ticker text, quantity numeric, price numeric, amount numeric, currency text,
      fee numeric, tax numeric, fx_rate numeric, executed_at timestamptz, account text, note text, external_id text,
      import_key text)
    LEFT JOIN instruments i ON i.ticker = s.ticker
    ORDER BY s.place
    ON CONFLICT DO NOTHING
    """
)
_SPLIT = text(
    """
    INSERT INTO splits (instrument_id, day, ratio, source)
    SELECT id, :day, :ratio, 'user' FROM instruments WHERE ticker = :ticker
    ON CONFLICT DO NOTHING
    """
)


@dataclass(frozen=True)
class Judged:
    """A row with what would become of it in the portfolio."""

    row: ImportedRow
    status: Status


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        import_id: Of the import; None where nothing was new.
        revision: Of the portfolio; None where nothing changed.
        booked: Entries.
        splits: Splits that were not known before.
    """

    import_id: int | None
    revision: int | None
    booked: int
    splits: int


def judge(connection: Connection | Session, portfolio_id: int, found: ImportedFile) -> list[Judged]:
    """Say of each row what would become of it, in the order of the file; writes nothing."""
    rows = found.rows
    known = connection.execute(
        _KNOWN,
        {
            "id": portfolio_id,
            "keys": [row.key for row in rows if row.key],
            "external_ids": [row.entry.external_id for row in rows if row.entry and row.entry.external_id],
        },
    ).all()
    keys, external_ids = {one.import_key for one in known}, {one.external_id for one in known}
    by_hand = Counter(_likeness(*one) for one in connection.execute(_BY_HAND, {"id": portfolio_id}))
    splits = _known_splits(connection, [row.split for row in rows if row.split])
    judged: list[Judged] = []
    seen: set[str] = set()
    for row in rows:
        status = _status(row, keys, external_ids | seen, by_hand)
        if row.split is not None:
            status = "known_split" if _is_known(row.split, splits) else "split"
        judged.append(Judged(row, status))
        if row.entry is not None and row.entry.external_id:
            # The same identity twice in one file is one entry.
            seen.add(row.entry.external_id)
    return judged


def _status(row: ImportedRow, keys: set[str], external_ids: set[str], by_hand: Counter[tuple[Any, ...]]) -> Status:
    if row.ignored is not None:
        return "ignored"
    entry = row.entry
    if entry is None:
        return "error"
    if row.key in keys or (entry.external_id and entry.external_id in external_ids):
        return "duplicate"
    likeness = _likeness(
        entry.type.value,
        entry.ticker,
        entry.executed_at.date(),
        entry.quantity,
        entry.price,
        entry.amount,
        entry.currency,
    )
    if by_hand[likeness] > 0:
        # One entry of the book can be the twin of one row only.
        by_hand[likeness] -= 1
        return "possible_duplicate"
    return "new"


def _likeness(*content: object) -> tuple[object, ...]:
    return content


def book(
    session: Session,
    portfolio_id: int,
    judged: Sequence[Judged],
    *,
    found: ImportedFile,
    file_name: str,
    by: Author,
    lines: Collection[int] | None = None,
) -> Imported:
    """Book the new rows in one go, in the caller's transaction; all of them, or those of some lines.

    Two imports into one portfolio wait for each other, so that the second finds what the first has booked.

    Args:
        session: In a transaction.
        portfolio_id: Whose.
        judged: Of `judge`.
        found: The file.
        file_name: As its owner calls it.
        by: Who.
        lines: Which rows; without them, every new one, and no row may be in error. Rows that are named are booked
            even if they look like an entry that is there.

    Raises:
        NothingToImportError: a row is in error and no rows were picked; nothing was booked.
    """
    if lines is None and any(one.status == "error" for one in judged):
        broken = [one.row.line for one in judged if one.status == "error"]
        raise NothingToImportError(
            f"{len(broken)} rows cannot be booked (the first is line {broken[0]}), so none was. Mend the file, or "
            "pick the rows to book."
        )
    chosen = {
        one.row.line
        for one in judged
        if one.row.line in (lines if lines is not None else (one.row.line,))
        and one.status in ({"new", "split", "possible_duplicate"} if lines is not None else {"new", "split"})
    }
    rows = [row for row in found.in_order() if row.line in chosen]
    entries = [(row.key, row.entry) for row in rows if row.entry is not None]
    splits = [row.split for row in rows if row.split is not None]
    session.execute(text("SELECT pg_advisory_xact_lock(:kind, :id)"), {"kind": _IMPORTING, "id": portfolio_id})
    tickers = {entry.ticker for _, entry in entries if entry.ticker} | {split.ticker for split in splits}
    instruments = ensure_instruments(session, tickers) if tickers else {}
    new_splits = [split for split in splits if _add_split(session, split)]
    if new_splits:
        # Every holder of the instrument holds another number of shares from now on.
        refresh.raise_market_revision(session, [instruments[split.ticker].id for split in new_splits])
    import_id, booked = _insert(
        session, portfolio_id, entries, judged, file_name=file_name, format_key=found.format.key, by=by
    )
    if not booked:
        return Imported(None, None, 0, len(new_splits))
    ensure_rates(session, [portfolio_id])
    return Imported(import_id, refresh.raise_revision(session, portfolio_id, "trade"), booked, len(new_splits))


def _insert(
    session: Session,
    portfolio_id: int,
    entries: Sequence[tuple[str, Entry]],
    judged: Sequence[Judged],
    *,
    file_name: str,
    format_key: str,
    by: Author,
) -> tuple[int | None, int]:
    if not entries:
        return None, 0
    counts = Counter(one.status for one in judged)
    import_id: int = session.execute(
        insert(TradeImport)
        .values(
            portfolio_id=portfolio_id,
            imported_by=by.name,
            file_name=file_name[:255],
            format=format_key,
            booked=0,
            duplicates=0,
            left_out=0,
        )
        .returning(TradeImport.id)
    ).scalar_one()
    booked = 0
    for start in range(0, len(entries), _AT_ONCE):
        rows = [_record(start + place, *one) for place, one in enumerate(entries[start : start + _AT_ONCE])]
        values = {"portfolio_id": portfolio_id, "import_id": import_id, "rows": orjson.dumps(rows).decode()}
        booked += session.connection().execute(_BOOK, values).rowcount
    if not booked:
        # Somebody else has booked all of them meanwhile.
        session.execute(text("DELETE FROM trade_imports WHERE id = :id"), {"id": import_id})
        return None, 0
    duplicates = counts["duplicate"] + len(entries) - booked
    session.execute(
        text("UPDATE trade_imports SET booked = :booked, duplicates = :duplicates, left_out = :left WHERE id = :id"),
        {
            "id": import_id,
            "booked": booked,
            "duplicates": duplicates,
            "left": max(len(judged) - booked - duplicates, 0),
        },
    )
    return import_id, booked


def _record(place: int, key: str, entry: Entry) -> dict[str, object]:
    return {
        "place": place,
        "type": entry.type.value,
        "ticker": entry.ticker,
        "quantity": None if entry.quantity is None else str(entry.quantity),
        "price": None if entry.price is None else str(entry.price),
        "amount": None if entry.amount is None else str(entry.amount),
        "currency": entry.currency,
        "fee": str(entry.fee),
        "tax": str(entry.tax),
        "fx_rate": None if entry.fx_rate is None else str(entry.fx_rate),
        "executed_at": entry.executed_at,
        "account": entry.account,
        "note": entry.note,
        "external_id": entry.external_id,
        "import_key": key,
    }


def _known_splits(connection: Connection | Session, splits: Sequence[ImportedSplit]) -> list[ImportedSplit]:
    if not splits:
        return []
    rows = connection.execute(_KNOWN_SPLITS, {"tickers": list({split.ticker for split in splits})})
    return [ImportedSplit(row.ticker, row.day, row.ratio) for row in rows]


def _is_known(split: ImportedSplit, known: Iterable[ImportedSplit]) -> bool:
    # Brokers and exchanges do not always agree on its day.
    return any(one.ticker == split.ticker and abs(one.day - split.day) <= SAME_SPLIT for one in known)


def _add_split(session: Session, split: ImportedSplit) -> bool:
    if _is_known(split, _known_splits(session, [split])):
        return False
    values = {"ticker": split.ticker, "day": split.day, "ratio": split.ratio}
    return bool(session.connection().execute(_SPLIT, values).rowcount)


def take_back(session: Session, portfolio_id: int, import_id: int, by: Author) -> tuple[int, int] | None:
    """Remove all that an import booked and is still there, each with its trace; None: there is no such import.

    Splits that it brought stay: they belong to the instrument, and others may rest on them.

    Returns:
        How many entries were removed, and the portfolio's new revision.
    """
    known = session.scalar(
        text("SELECT id FROM trade_imports WHERE id = :id AND portfolio_id = :portfolio_id FOR UPDATE"),
        {"id": import_id, "portfolio_id": portfolio_id},
    )
    if known is None:
        return None
    removed = remove(session, portfolio_id, by, import_id=import_id)
    session.execute(text("DELETE FROM trade_imports WHERE id = :id"), {"id": import_id})
    return removed, refresh.raise_revision(session, portfolio_id, "trade")
