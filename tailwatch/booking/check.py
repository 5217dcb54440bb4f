"""Does everything that is derived from the entries agree with them? The ledger, the worker's sums, the snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson
from sqlalchemy import Connection, text

from tailwatch.book.exact import ZERO
from tailwatch.book.ledger import CostBasis, book
from tailwatch.booking.entries import load_entries
from tailwatch.market.quotes import load_splits
from tailwatch.market.rates import load_rates
from tailwatch.measurement import book as cash_book

#: What rounding to ten places may leave where shares are multiplied by splits.
ROUNDING: Final = Decimal("1e-9")

_PORTFOLIOS = text(
    f"""
    SELECT p.id, p.name, u.email, p.base_currency, p.cost_basis, {cash_book.CASH_COUNTS},
           p.revision = p.done_revision AND p.market_revision = p.done_market_revision AS is_fresh,
           convert_from(s.inputs, 'UTF8') AS inputs
    FROM portfolios p JOIN users u ON u.id = p.user_id LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
    WHERE CAST(:name AS text) IS NULL OR p.name = :name OR p.id::text = :name
    ORDER BY p.id
    """  # noqa: S608 - a constant
)
_IMPORTS = text(
    """
    SELECT m.id, m.file_name, m.booked,
           (SELECT count(*) FROM trades WHERE import_id = m.id)
           + (SELECT count(*) FROM trade_changes
              WHERE portfolio_id = m.portfolio_id AND action = 'removal' AND (before->>'import_id')::bigint = m.id)
             AS accounted
    FROM trade_imports m WHERE m.portfolio_id = :id
    """
)


@dataclass(frozen=True)
class Difference:
    """Something that does not agree with the entries.

    Attributes:
        what: In words.
        expected: By the entries.
        found: Elsewhere.
        where: Where that is.
    """

    what: str
    expected: str
    found: str
    where: str


@dataclass(frozen=True)
class Checked:
    """One portfolio after the check.

    Attributes:
        entries: How many were counted through.
        snapshot: Whether there was a fresh snapshot to compare with.
    """

    portfolio_id: int
    name: str
    owner: str
    entries: int
    positions: int
    snapshot: bool
    differences: tuple[Difference, ...]


def check(connection: Connection, name: str | None = None) -> Iterator[Checked]:
    """Recompute positions and cash of portfolios from their entries, and compare.

    Args:
        connection: Reads at one instant: REPEATABLE READ.
        name: Of a portfolio, or its id; None: all of them.
    """
    for row in connection.execute(_PORTFOLIOS, {"name": name}).all():
        entries, ids = load_entries(connection, row.id)
        rates = load_rates(connection, {entry.currency for entry in entries}, row.base_currency)
        kept = book(
            entries,
            load_splits(connection, ids),
            base_currency=row.base_currency,
            cost_basis=CostBasis(row.cost_basis),
            rates=rates,
        )
        open_positions = {one.ticker: one.quantity for one in kept.positions if one.quantity}
        differences = [
            *_compared(
                "cash in ", kept.cash, cash_book.cash(connection, [row.id]).get(row.id, {}), "the worker's sum"
            ),
            *_imports(connection, row.id),
        ]
        snapshot = row.is_fresh and row.inputs is not None
        if snapshot:
            differences += _with_snapshot(orjson.loads(row.inputs), open_positions, kept.cash, row)
        yield Checked(row.id, row.name, row.email, len(entries), len(open_positions), snapshot, tuple(differences))


def _with_snapshot(
    inputs: dict[str, Any], positions: dict[str, Decimal], cash: dict[str, Decimal], row: Any
) -> Iterator[Difference]:
    stored = {one["ticker"]: Decimal(one["quantity"]) for one in inputs["positions"]}
    foreign = {ticker.removeprefix("CASH-"): stored.pop(ticker) for ticker in list(stored) if ticker[:5] == "CASH-"}
    yield from _compared("shares of ", positions, stored, "the newest snapshot")
    if row.cash_counts and inputs.get("cash") is not None:
        known = foreign | {row.base_currency: Decimal(inputs["cash"])}
        expected = {currency: amount for currency, amount in cash.items() if amount or currency in known}
        yield from _compared("cash in ", expected, known, "the newest snapshot")


def _compared(what: str, expected: dict[str, Decimal], found: dict[str, Decimal], where: str) -> Iterator[Difference]:
    for name in sorted(expected.keys() | found.keys()):
        one, other = expected.get(name, ZERO), found.get(name, ZERO)
        if abs(one - other) > ROUNDING:
            yield Difference(f"{what}{name}", f"{one.normalize():f}", f"{other.normalize():f}", where)


def _imports(connection: Connection, portfolio_id: int) -> Iterator[Difference]:
    for row in connection.execute(_IMPORTS, {"id": portfolio_id}):
        if row.accounted != row.booked:
            yield Difference(
                f"entries of {row.file_name}",
                str(row.booked),
                str(row.accounted),
                f"import {row.id} and its removals",
            )
