"""What risk computations need from the database, read at one instant, for one portfolio as for hundreds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, RowMapping, text

from tailwatch.book.splits import quantity_today
from tailwatch.measurement import book, episodes, inputs, instruments, model, series, sharing
from tailwatch.measurement import previous as snapshot_before
from tailwatch.measurement.holding import Holding, is_valued
from tailwatch.risk import CovarianceEstimator, PriceSeries, Sample
from tailwatch.risk.coefficients import default_model
from tailwatch.risk.volatility import VolatilityModel


@dataclass(frozen=True)
class Loaded:
    """A portfolio as it stood at one instant of the database."""

    portfolio_id: int
    revision: int
    market_revision: int
    trigger: str
    base_currency: str
    method: str
    covariance: str
    window: int
    confidence: Decimal
    #: Positions, and cash in foreign currencies if cash counts.
    holdings: tuple[Holding, ...]
    benchmark: Holding | None
    #: Price history in base currency by instrument id, for every holding (and the benchmark) that has one.
    histories: dict[int, series.History]
    #: In base currency; None: cash is no part of the portfolio's value.
    cash: Decimal | None = None
    #: The newest snapshot there is.
    previous: snapshot_before.Previous | None = None
    #: Prices in the episodes of stress, by instrument id; without them there is no stress.
    episodes: dict[int, PriceSeries | None] | None = None
    #: That of `inputs.document`, where it was needed already.
    document: dict[str, Any] = field(default_factory=dict)
    #: The volatility model that scales the scenarios.
    model: VolatilityModel = field(default_factory=default_model)
    #: A sample that holds its instruments and others, to be measured on; None: it has one of its own.
    shared: Sample | None = None


_PORTFOLIOS = f"""
    SELECT p.id, p.revision, p.market_revision, p.done_revision, p.trigger, p.base_currency, p.benchmark_id,
           p.risk_method, p.risk_covariance, p.risk_window, p.risk_confidence, {snapshot_before.COLUMNS},
           {model.COLUMN}, {book.CASH_COUNTS}
    FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
    WHERE p.id = ANY(:ids)
    """  # noqa: S608 - a constant
_BEHIND = text(f"{_PORTFOLIOS} AND (p.revision > p.done_revision OR p.market_revision > p.done_market_revision)")

# Net quantity by day rather than trade by trade: a split asks only for the day.
_LOTS = text(
    """
    WITH by_day AS (
      SELECT portfolio_id, instrument_id, (executed_at AT TIME ZONE 'UTC')::date AS day, sum(quantity) AS quantity
      FROM trades WHERE portfolio_id = ANY(:ids) AND quantity IS NOT NULL GROUP BY 1, 2, 3
    )
    SELECT portfolio_id, instrument_id, array_agg(day ORDER BY day) AS days,
           array_agg(quantity ORDER BY day) AS quantities
    FROM by_day GROUP BY 1, 2
    """
)


def load(engine: Engine, portfolio_id: int) -> Loaded | None:
    """Read a portfolio, its positions and their prices as of one instant; None if it is not behind (any more)."""
    return next(iter(load_all(engine, [portfolio_id])), None)


def load_all(engine: Engine, portfolio_ids: Collection[int], *, share: bool = False) -> list[Loaded]:
    """Read those of these portfolios that are behind, with their positions and prices, as of one instant.

    REPEATABLE READ makes it one instant: the revision read first is exactly that of the trades and prices read
    after it, however many are booked meanwhile.

    Args:
        engine: Of the database.
        portfolio_ids: Which.
        share: Whether those that can be are to be measured on samples that they share.
    """
    with instant(engine) as connection:
        portfolios = connection.execute(_BEHIND, {"ids": list(portfolio_ids)}).mappings().all()
        if not portfolios:
            return []
        loaded = {each: one for each, (one, _) in _positions(connection, portfolios).items()}
        loaded = _with_previous(connection, portfolios, loaded)
        if share:
            loaded = _shared(connection, loaded)
        return _with_episodes(connection, loaded)


def load_with(
    engine: Engine, portfolio_id: int, tickers: Collection[str]
) -> tuple[Loaded, tuple[Holding, ...]] | None:
    """Read a portfolio, behind or not, and other instruments with it; None if there is no such portfolio.

    Returns:
        The portfolio, without its snapshot before and its episodes, and those of `tickers` that are known, with a
        quantity of zero; their histories are among the portfolio's.
    """
    with instant(engine) as connection:
        portfolios = connection.execute(text(_PORTFOLIOS), {"ids": [portfolio_id]}).mappings().all()
        return next(iter(_positions(connection, portfolios, tickers).values()), None)


@contextmanager
def instant(engine: Engine) -> Iterator[Connection]:
    """Yield a connection all of whose statements see one instant."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        yield connection


class _Book(NamedTuple):
    """What a portfolio holds, in the prices' currencies."""

    portfolio: RowMapping
    #: Positions, what was asked for beside, and the benchmark, in this order.
    everything: list[Holding]
    held: int
    cash: Mapping[str, Decimal]


def _positions(
    connection: Connection, portfolios: Sequence[RowMapping], beside: Collection[str] = ()
) -> dict[int, tuple[Loaded, tuple[Holding, ...]]]:
    """Return each portfolio, and with it what was asked for beside, by the portfolio's id."""
    alike: dict[str, list[_Book]] = {}
    for one in _books(connection, portfolios, beside):
        alike.setdefault(one.portfolio["base_currency"], []).append(one)
    found: dict[int, tuple[Loaded, tuple[Holding, ...]]] = {}
    for base_currency, books in alike.items():
        found.update(_in_currency(connection, books, base_currency))
    return found


def _books(connection: Connection, portfolios: Sequence[RowMapping], beside: Collection[str]) -> Iterator[_Book]:
    ids = [one["id"] for one in portfolios]
    lots: dict[int, list[RowMapping]] = {each: [] for each in ids}
    for row in connection.execute(_LOTS, {"ids": ids}).mappings():
        lots[row["portfolio_id"]].append(row)
    benchmarks = {one["benchmark_id"] for one in portfolios if one["benchmark_id"] is not None}
    wanted = benchmarks | {row["instrument_id"] for rows in lots.values() for row in rows}
    known = instruments.load(connection, wanted, beside)
    others = sorted((one.none for one in known.values() if one.none.ticker in beside), key=lambda one: one.ticker)
    counting = [one["id"] for one in portfolios if one["cash_counts"]]
    cash = book.cash(connection, counting) if counting else {}
    for portfolio in portfolios:
        held = []
        for row in lots[portfolio["id"]]:
            one, splits = known[row["instrument_id"]]
            quantity = quantity_today(zip(row["days"], row["quantities"], strict=True), splits)
            if quantity != 0:
                held.append(one.but(quantity=quantity))
        held.sort(key=lambda one: one.ticker)
        benchmark = known.get(portfolio["benchmark_id"])
        everything = [*held, *others, *([] if benchmark is None else [benchmark.none])]
        yield _Book(portfolio, everything, len(held), cash.get(portfolio["id"], {}))


def _in_currency(
    connection: Connection, books: Sequence[_Book], base_currency: str
) -> Iterator[tuple[int, tuple[Loaded, tuple[Holding, ...]]]]:
    """Yield portfolios of one base currency, with their histories in it."""
    rates = book.rates_of(connection, [(one.everything, one.cash) for one in books], base_currency)
    converted = [book.in_base_currency(one.everything, one.cash, base_currency, rates) for one in books]
    volatility_model = model.of_column(books[0].portfolio["volatility_model"])
    histories = series.of_holdings(
        connection,
        {h.instrument_id: h for held in converted for h in held}.values(),
        book.revisions_of(rates),
        volatility_model,
    )
    for one, everything in zip(books, converted, strict=True):
        priced, foreign_cash = everything[: len(one.everything)], everything[len(one.everything) :]
        has_benchmark = one.portfolio["benchmark_id"] is not None
        others = tuple(priced[one.held : len(priced) - has_benchmark])
        loaded = _loaded(one, (*priced[: one.held], *foreign_cash), priced[-1] if has_benchmark else None)
        known = {h.instrument_id: histories[h.instrument_id] for h in everything if h.instrument_id in histories}
        yield loaded.portfolio_id, (replace(loaded, histories=known, model=volatility_model), others)


def _loaded(one: _Book, holdings: tuple[Holding, ...], benchmark: Holding | None) -> Loaded:
    """Return a portfolio without histories."""
    portfolio, base_currency = one.portfolio, one.portfolio["base_currency"]
    return Loaded(
        portfolio_id=portfolio["id"],
        revision=portfolio["revision"],
        market_revision=portfolio["market_revision"],
        trigger=portfolio["trigger"] if portfolio["revision"] > portfolio["done_revision"] else "prices",
        base_currency=base_currency,
        method=portfolio["risk_method"],
        covariance=portfolio["risk_covariance"],
        window=portfolio["risk_window"],
        confidence=portfolio["risk_confidence"],
        holdings=holdings,
        benchmark=benchmark,
        histories={},
        cash=one.cash.get(base_currency, Decimal(0)) if portfolio["cash_counts"] else None,
    )


def _with_previous(
    connection: Connection, portfolios: Sequence[RowMapping], loaded: Mapping[int, Loaded]
) -> dict[int, Loaded]:
    """Return the portfolios with their snapshots before, and what is known today of the days of those."""
    found = dict(loaded)
    cases = {}
    for row in portfolios:
        one, previous = loaded[row["id"]], snapshot_before.of_row(row)
        if previous is None:
            continue
        found[row["id"]] = one = replace(one, previous=previous, document=inputs.document(one))
        if previous.inputs is not None and not snapshot_before.is_same_market(previous.inputs, one.document):
            cases[row["id"]] = snapshot_before.Wanted(previous, one.holdings, one.model)
    for each, market in snapshot_before.markets(connection, cases).items():
        found[each] = replace(found[each], previous=replace(cases[each].previous, market=market))
    return found


def _with_episodes(connection: Connection, loaded: Mapping[int, Loaded]) -> list[Loaded]:
    """Return the portfolios with their prices in the episodes, unless a shared sample has them."""
    alike: dict[str, dict[int, series.History]] = {}
    for one in loaded.values():
        if one.shared is None:
            alike.setdefault(one.base_currency, {}).update(one.histories)
    known = {currency: episodes.load(connection, histories) for currency, histories in alike.items()}
    return [
        replace(one, episodes={each: known.get(one.base_currency, {}).get(each) for each in one.histories})
        for one in loaded.values()
    ]


def _shared(connection: Connection, loaded: Mapping[int, Loaded]) -> dict[int, Loaded]:
    """Return the portfolios, each with a sample that it shares if there is one with its instruments."""
    wanted: dict[int, sharing.Wanted] = {}
    for each, one in loaded.items():
        benchmark = one.histories.get(one.benchmark.instrument_id) if one.benchmark else None
        # Shrinkage rests on all instruments of a sample: it takes one of the portfolio's own.
        if benchmark is not None and one.covariance == CovarianceEstimator.SAMPLE:
            then = one.previous.as_of if one.previous else None
            wanted[each] = sharing.Wanted(one.base_currency, benchmark, one.window, one.model, then)
    sharing.prepare(connection, wanted.values())
    return {
        each: replace(one, shared=wanted[each].find(_valued(one))) if each in wanted else one
        for each, one in loaded.items()
    }


def _valued(one: Loaded) -> list[series.History]:
    """Return the histories that the portfolio's own sample would be made of."""
    return [one.histories[h.instrument_id] for h in one.holdings if h.instrument_id in one.histories and is_valued(h)]
