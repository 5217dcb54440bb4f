"""Exchange rates: instruments like any other, under the tickers that Yahoo gives them (EURUSD=X: dollars a euro)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from tailwatch.book.currencies import MINOR_UNITS

#: A rate stands for the days after it, as long as banks may be closed.
CARRY: Final = timedelta(days=7)

# Minor units are units of the same currency: a share in pence needs the rate of the pound. Their table is small, and
# part of the statements.
_MINORS: Final = ", ".join(f"('{minor}', '{major}')" for minor, (major, _) in sorted(MINOR_UNITS.items()))

#: Currencies besides its own that portfolios need the rates of: columns id, base_currency and currency. Those of the
#: entries, which are cash, those of the prices of what was ever held, and that of the benchmark.
NEEDED: Final = f"""
    SELECT DISTINCT p.id, p.base_currency, c.currency
    FROM portfolios p
    CROSS JOIN LATERAL (
      SELECT t.currency FROM trades t WHERE t.portfolio_id = p.id
      UNION
      SELECT coalesce(m.major, i.currency)
      FROM instruments i LEFT JOIN (VALUES {_MINORS}) AS m (minor, major) ON m.minor = i.currency
      WHERE i.id IN (SELECT instrument_id FROM trades WHERE portfolio_id = p.id UNION SELECT p.benchmark_id)
    ) c
    WHERE c.currency <> p.base_currency
"""  # noqa: S608 - constants

_ENSURE = text(
    f"""
    INSERT INTO instruments (ticker, labels)
    SELECT DISTINCT currency || base_currency || '=X' AS ticker, '{{"asset_class": "Currency"}}'::jsonb
    FROM ({NEEDED}) needed
    WHERE id = ANY(:ids) AND currency ~ '^[A-Z]{{3}}$' ORDER BY ticker
    ON CONFLICT DO NOTHING
    """  # noqa: S608 - constants
)
_PORTFOLIOS_OF = text(
    """
    SELECT portfolio_id FROM trades WHERE instrument_id = ANY(:ids)
    UNION SELECT id FROM portfolios WHERE benchmark_id = ANY(:ids)
    """
)

#: Portfolios that rest on some of the instruments `:ids` as exchange rates: column id.
RESTING_ON: Final = f"""
    SELECT p.id
    -- from the rates on: on most days there is none among them, and no portfolio is looked at
    FROM (SELECT substr(ticker, 1, 3) AS currency, substr(ticker, 4, 3) AS base_currency
          FROM instruments WHERE id = ANY(:ids) AND ticker ~ '^[A-Z]{{6}}=X$' OFFSET 0) rate
    JOIN portfolios p ON p.base_currency = rate.base_currency
    WHERE EXISTS (SELECT FROM trades t WHERE t.portfolio_id = p.id AND t.currency = rate.currency)
       OR EXISTS (
         SELECT FROM instruments i LEFT JOIN (VALUES {_MINORS}) AS m (minor, major) ON m.minor = i.currency
         WHERE coalesce(m.major, i.currency) = rate.currency
           AND i.id IN (SELECT instrument_id FROM trades WHERE portfolio_id = p.id UNION SELECT p.benchmark_id))
"""  # noqa: S608 - constants

#: Tickers of every exchange rate that some portfolio needs: column ticker.
NEEDED_TICKERS: Final = f"SELECT currency || base_currency || '=X' AS ticker FROM ({NEEDED}) needed"  # noqa: S608

_NEWEST = text(
    """
    SELECT i.id, i.ticker, i.market_revision, i.status, i.status_reason, i.source, last.close, last.day
    FROM instruments i
    LEFT JOIN LATERAL (
      SELECT close, day FROM prices
      WHERE instrument_id = i.id AND day <= coalesce(CAST(:day AS date), 'infinity') ORDER BY day DESC LIMIT 1
    ) last ON true
    WHERE i.ticker = ANY(:tickers)
    """
)
_HISTORY = text(
    """
    SELECT substr(i.ticker, 1, 3) AS currency, array_agg(p.day ORDER BY p.day) AS days,
           array_agg(p.close ORDER BY p.day) AS rates
    FROM instruments i JOIN prices p ON p.instrument_id = i.id
    WHERE i.ticker = ANY(:tickers) GROUP BY i.ticker
    """
)


def ticker_of(currency: str, base_currency: str) -> str:
    """Return the ticker of the rate that turns one unit of `currency` into base currency."""
    return f"{currency}{base_currency}=X"


def ensure_rates(session: Session, portfolio_ids: Collection[int]) -> None:
    """Make the exchange rates that these portfolios need; new ones are due for a fetch."""
    session.execute(_ENSURE, {"ids": list(portfolio_ids)})


def ensure_rates_for(session: Session, instrument_ids: Collection[int]) -> None:
    """Make the exchange rates that portfolios need for these instruments, whose currencies have become known."""
    portfolios = session.scalars(_PORTFOLIOS_OF, {"ids": list(instrument_ids)}).all()
    if portfolios:
        ensure_rates(session, portfolios)


@dataclass(frozen=True, slots=True)
class NewestRate:
    """An exchange rate as it stands.

    Attributes:
        instrument_id: Of the rate.
        status: Of that instrument; `reason` says why it is not ok.
        rate: Base currency for one unit; None before the first fetch.
        day: Its day.
    """

    instrument_id: int
    market_revision: int
    status: str
    reason: str | None
    source: str | None
    rate: Decimal | None
    day: date | None


def newest(
    connection: Connection, currencies: Iterable[str], base_currency: str, day: date | None = None
) -> dict[str, NewestRate]:
    """Return the newest rate of each currency that is known at all, up to a day if one is given, by currency."""
    tickers = [ticker_of(currency, base_currency) for currency in currencies]
    rows = connection.execute(_NEWEST, {"tickers": tickers, "day": day}) if tickers else ()
    return {
        row.ticker[:3]: NewestRate(
            row.id, row.market_revision, row.status, row.status_reason, row.source, row.close, row.day
        )
        for row in rows
    }


class Rates:
    """Rates by day, for `tailwatch.book`: base currency for one unit of a currency."""

    def __init__(self, base_currency: str, histories: Mapping[str, tuple[list[date], list[Decimal]]]) -> None:
        """Take days, rising, and rates of each currency."""
        self._base_currency = base_currency
        self._histories = histories

    def rate(self, currency: str, day: date) -> Decimal | None:
        """Return the rate of that day, or of the newest day of the week before; None: there is none."""
        if currency == self._base_currency:
            return Decimal(1)
        days, rates = self._histories.get(currency, ((), ()))
        place = bisect_right(days, day) - 1
        return rates[place] if place >= 0 and day - days[place] <= CARRY else None

    def newest(self, currency: str) -> Decimal | None:
        """Return the last known rate, however old; None: there is none."""
        if currency == self._base_currency:
            return Decimal(1)
        rates: Any = self._histories.get(currency, ((), ()))[1]
        return rates[-1] if rates else None


def load_rates(connection: Connection, currencies: Iterable[str], base_currency: str) -> Rates:
    """Return all stored rates of these currencies; asks the database only if one is not the base currency."""
    tickers = [ticker_of(each, base_currency) for each in set(currencies) if each != base_currency]
    rows = connection.execute(_HISTORY, {"tickers": tickers}) if tickers else ()
    return Rates(base_currency, {row.currency: (row.days, row.rates) for row in rows})
