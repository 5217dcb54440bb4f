"""The snapshot before this one, with what is known today of the day that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, RowMapping, text

from tailwatch.book.currencies import major
from tailwatch.book.splits import SplitEvent, split_adjusted
from tailwatch.measurement import inputs, series
from tailwatch.measurement.holding import ONE, Holding
from tailwatch.risk.results import HeadlineFigures
from tailwatch.risk.volatility import VolatilityModel

#: What of it is read along with the portfolio, under these names; the portfolio is `p`.
COLUMNS = """
    s.id AS previous_id, s.as_of AS previous_as_of, s.computed_at AS previous_computed_at, s.nav AS previous_nav,
    convert_from(s.inputs, 'UTF8') AS previous_inputs, s.base_currency AS previous_currency,
    s.annualized_volatility, s.var_95_1d, s.es_95_1d, s.var_975_1d, s.es_975_1d, s.var_99_1d, s.es_99_1d
"""


@dataclass(frozen=True)
class Market:
    """The day of the previous snapshot as it is known today.

    Attributes:
        day: That day.
        previous: The previous positions at that day's prices, in today's shares.
        current: Today's positions at that day's prices.
        benchmark: The benchmark of then.
        histories: By instrument id, today's stored ones of all of them.
    """

    day: date
    previous: tuple[Holding, ...]
    current: tuple[Holding, ...]
    benchmark: Holding | None
    histories: Mapping[int, series.History]


@dataclass(frozen=True)
class Previous:
    """The stored snapshot.

    Attributes:
        inputs: Its inputs document; None: made before there was one.
        fractions: Its headline figures over NAV.
        market: What its day looks like today; None where prices, history and code are what they were.
    """

    snapshot_id: int
    as_of: date | None
    computed_at: datetime
    base_currency: str
    nav: Decimal
    fractions: HeadlineFigures
    inputs: Mapping[str, Any] | None
    market: Market | None


def of_row(row: RowMapping) -> Previous | None:
    """Return what `COLUMNS` say, without its market; None for a portfolio without a snapshot."""
    if row["previous_id"] is None:
        return None
    stored = row["previous_inputs"]
    return Previous(
        snapshot_id=row["previous_id"],
        as_of=row["previous_as_of"],
        computed_at=row["previous_computed_at"],
        base_currency=row["previous_currency"],
        nav=row["previous_nav"],
        fractions=HeadlineFigures(**{one.name: row[one.name] for one in fields(HeadlineFigures)}),
        inputs=None if stored is None else orjson.loads(stored),
        market=None,
    )


class Wanted(NamedTuple):
    """A portfolio whose previous snapshot is to be explained: that, its positions today, and the model of today."""

    previous: Previous
    holdings: tuple[Holding, ...]
    model: VolatilityModel


def markets(connection: Connection, wanted: Mapping[int, Wanted]) -> dict[int, Market]:
    """Return the days of previous snapshots as known today, by portfolio; none where nothing is known of it.

    Args:
        connection: Sees the instant at which today's positions were read.
        wanted: By portfolio. Every previous snapshot has its inputs.
    """
    by_day: dict[date | None, list[int]] = {}
    for each, one in wanted.items():
        by_day.setdefault(one.previous.as_of, []).append(each)
    found: dict[int, Market] = {}
    for day, portfolios in by_day.items():
        found.update(_markets(connection, day, {each: wanted[each] for each in portfolios}))
    return found


class _Then(NamedTuple):
    """The positions of a previous snapshot, its benchmark, and all of both and of today's."""

    held: tuple[Holding, ...]
    benchmark: Holding | None
    everything: Mapping[int, Holding]


def _markets(
    connection: Connection, as_of: date | None, wanted: Mapping[int, Wanted]
) -> Iterator[tuple[int, Market]]:
    cases = {each: _then_of(one) for each, one in wanted.items()}
    ids = {
        instrument_id
        for case in cases.values()
        for one in case.everything.values()
        for instrument_id in (one.instrument_id, one.rate_id)
        if instrument_id is not None
    }
    found = connection.execute(_THEN, {"ids": list(ids), "day": as_of}).mappings()
    rows = {row["id"]: row for row in found}
    # Of portfolios in one base currency the histories are loaded together.
    alike: dict[tuple[str, str], list[int]] = {}
    for each, one in wanted.items():
        alike.setdefault((one.previous.base_currency, one.model.digest), []).append(each)
    for portfolios in alike.values():
        everything = {one.instrument_id: one for each in portfolios for one in cases[each].everything.values()}
        histories = _histories(connection, everything, rows, wanted[portfolios[0]].model)
        for each in portfolios:
            case, one = cases[each], wanted[each]
            mine = [
                rows[i]["day"] for h in case.everything.values() for i in (h.instrument_id, h.rate_id) if i in rows
            ]
            day = as_of or max(filter(None, mine), default=None)
            if day is None:
                continue
            market = Market(
                day=day,
                previous=tuple(_then(h, rows, in_today_s_shares=False) for h in case.held),
                current=tuple(_then(h, rows, in_today_s_shares=True) for h in one.holdings),
                benchmark=case.benchmark,
                histories={i: histories[i] for i in case.everything if i in histories},
            )
            yield each, market


def _then_of(one: Wanted) -> _Then:
    then, benchmark = inputs.holdings_of(one.previous.inputs or {})
    return _Then(then, benchmark, {h.instrument_id: h for h in (*then, *one.holdings, *filter(None, [benchmark]))})


def _histories(
    connection: Connection,
    everything: Mapping[int, Holding],
    rows: Mapping[int, RowMapping],
    model: VolatilityModel,
) -> dict[int, series.History]:
    rates = {one.rate_id for one in everything.values()}
    with_history = [
        one.but(price=ONE, market_revision=rows[each]["market_revision"] if each in rows else 0)
        for each, one in everything.items()
        if each < 0 or (each in rows and rows[each]["has_prices"])
    ]
    return series.of_holdings(
        connection,
        with_history,
        {each: row["market_revision"] for each, row in rows.items() if each in rates and row["has_prices"]},
        model,
    )


def is_same_market(previous: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Say whether two inputs documents differ by positions and settings only.

    An instrument that only one of them has was bought, sold or chosen as the benchmark.
    """
    if previous["code"] != current["code"] or previous["model"] != current["model"]:
        return False
    before, now = _prices(previous), _prices(current)
    return all(before[each] == now[each] for each in before.keys() & now.keys())


def _prices(content: Mapping[str, Any]) -> dict[int, tuple[object, ...]]:
    held = [*content["positions"], *filter(None, [content["benchmark"]])]
    # One is read back from JSON, the other is yet to become it.
    return {
        one["instrument_id"]: (
            None if one["price"] is None else Decimal(one["price"]),
            str(one["price_day"]),
            one["currency"],
            None if one.get("rate") is None else Decimal(one["rate"]),
            _digest(content, one["instrument_id"]),
        )
        for one in held
    }


def _digest(content: Mapping[str, Any], instrument_id: int) -> str | None:
    history = content["histories"].get(str(instrument_id))
    return None if history is None else history["digest"]


_THEN = text(
    """
    SELECT i.id, i.market_revision, i.currency, bar.day, bar.close, s.days AS split_days, s.ratios,
           EXISTS (SELECT FROM prices WHERE instrument_id = i.id) AS has_prices
    FROM instruments i
    LEFT JOIN LATERAL (
      SELECT day, close FROM prices
      WHERE instrument_id = i.id AND day <= coalesce(CAST(:day AS date), 'infinity') ORDER BY day DESC LIMIT 1
    ) bar ON true
    LEFT JOIN LATERAL (
      SELECT array_agg(day ORDER BY day) AS days, array_agg(ratio ORDER BY day) AS ratios
      FROM splits WHERE instrument_id = i.id) s ON true
    WHERE i.id = ANY(:ids)
    """
)


def _then(holding: Holding, rows: Mapping[int, RowMapping], *, in_today_s_shares: bool) -> Holding:
    """Return the position at that day's price, which is of today's shares whatever was split since, and rate."""
    rate, rate_day = holding.rate, None
    if holding.rate_id is not None:
        then = rows.get(holding.rate_id)
        close = None if then is None else then["close"]
        rate = None if close is None else close * major(holding.currency or "")[1]
        rate_day = None if then is None else then["day"]
    if holding.instrument_id < 0:
        return holding.but(rate=rate, rate_day=rate_day, price_day=rate_day)
    row = rows.get(holding.instrument_id)
    if row is None:
        return holding.but(price=None, price_day=None)
    quantity = holding.quantity
    if not in_today_s_shares and holding.price_day is not None:
        splits = [SplitEvent(*one) for one in zip(row["split_days"] or (), row["ratios"] or (), strict=True)]
        quantity = split_adjusted(quantity, holding.price_day, splits)
    return holding.but(
        quantity=quantity,
        price=row["close"],
        price_day=row["day"],
        currency=row["currency"],
        rate=rate,
        rate_day=rate_day,
    )
