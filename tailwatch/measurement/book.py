"""Cash and currencies of a portfolio: what is not a position in an instrument, and what turns prices into base."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Final

from sqlalchemy import Connection, text

from tailwatch.book.currencies import major
from tailwatch.book.exact import PRECISION
from tailwatch.market import rates
from tailwatch.measurement.holding import ONE, Holding

#: Whether cash is part of a portfolio's value: for the SELECT list of a query whose portfolio is `p`.
CASH_COUNTS: Final = """
    p.cash_tracking = 'on' OR p.cash_tracking = 'auto' AND EXISTS (
      SELECT FROM trades t WHERE t.portfolio_id = p.id AND t.type IN ('deposit', 'withdrawal')) AS cash_counts
"""

# As `tailwatch.book.entries.Entry.cash` has it, entry by entry; a test holds the two together.
_CASH = text(
    """
    SELECT portfolio_id, currency, sum(
      CASE WHEN type IN ('transfer_in', 'transfer_out') THEN 0
           WHEN quantity IS NOT NULL THEN -quantity * price
           WHEN type IN ('withdrawal', 'fee', 'tax') THEN -amount
           ELSE amount END - fee - tax) AS amount
    FROM trades WHERE portfolio_id = ANY(:ids) GROUP BY portfolio_id, currency ORDER BY currency
    """
)


def cash(connection: Connection, portfolio_ids: Collection[int]) -> dict[int, dict[str, Decimal]]:
    """Return the cash of portfolios by currency; negative where more was paid than was there."""
    found: dict[int, dict[str, Decimal]] = {}
    for row in connection.execute(_CASH, {"ids": list(portfolio_ids)}):
        found.setdefault(row.portfolio_id, {})[row.currency] = row.amount
    return found


def rates_of(
    connection: Connection, books: Iterable[tuple[Sequence[Holding], Mapping[str, Decimal]]], base_currency: str
) -> dict[str, rates.NewestRate]:
    """Return the newest rate of every currency that holdings or cash are in, as far as it is known."""
    needed = set()
    for holdings, money in books:
        needed |= {major(one.currency or base_currency)[0] for one in holdings} | set(money)
    needed.discard(base_currency)
    return rates.newest(connection, sorted(needed), base_currency) if needed else {}


def revisions_of(known: Mapping[str, rates.NewestRate]) -> dict[int, int]:
    """Return the market revision of every rate that there is, by its instrument id."""
    return {one.instrument_id: one.market_revision for one in known.values() if one.rate is not None}


def in_base_currency(
    holdings: Sequence[Holding],
    money: Mapping[str, Decimal],
    base_currency: str,
    known: Mapping[str, rates.NewestRate],
) -> list[Holding]:
    """Return the holdings with their rates, and after them one for the cash in each foreign currency.

    Args:
        holdings: Without rates.
        money: Of `cash`; empty where cash does not count.
        base_currency: Of the portfolio.
        known: Of `rates_of`.
    """
    converted = []
    for one in holdings:
        currency, unit = major(one.currency or base_currency)
        if currency != base_currency:
            converted.append(_at_rate(one, unit, known.get(currency)))
        else:
            # One in pence of the portfolio's own pounds needs no rate either.
            converted.append(one if unit == 1 else one.but(rate=unit))
    foreign = sorted(currency for currency, amount in money.items() if amount and currency != base_currency)
    return [*converted, *(_cash_holding(each, money[each], known.get(each)) for each in foreign)]


def _at_rate(holding: Holding, unit: Decimal, rate: rates.NewestRate | None) -> Holding:
    if rate is None or rate.rate is None:
        return holding.but(rate=None, rate_id=rate.instrument_id if rate else None)
    with localcontext(prec=PRECISION):
        return holding.but(rate=unit * rate.rate, rate_day=rate.day, rate_id=rate.instrument_id)


def _cash_holding(currency: str, amount: Decimal, rate: rates.NewestRate | None) -> Holding:
    return Holding(
        # Before anybody has asked for the rate there is no id; such a position has no value, and no history either.
        instrument_id=-rate.instrument_id if rate else 0,
        ticker=f"CASH-{currency}",
        currency=currency,
        status=rate.status if rate else "pending",
        status_reason=rate.reason if rate else None,
        source=rate.source if rate else None,
        market_revision=rate.market_revision if rate else 0,
        quantity=amount,
        price=ONE,
        price_day=rate.day if rate else None,
        labels={"asset_class": "Cash"},
        rate=rate.rate if rate else None,
        rate_day=rate.day if rate else None,
        rate_id=rate.instrument_id if rate else None,
    )
