"""What a portfolio's figures would be with some trades in it. Nothing is booked, fetched or kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal, localcontext
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine

from tailwatch.book.exact import PRECISION
from tailwatch.measurement import series
from tailwatch.measurement.holding import Holding, is_valued, market_value, unit_value
from tailwatch.measurement.inputs import plain
from tailwatch.measurement.loading import Loaded, load_with
from tailwatch.measurement.snapshot import market_values, risk_inputs_of, unmodelled_position
from tailwatch.risk import RiskInputs, RiskReport, Sample, Status, measure
from tailwatch.risk.arrays import Vector
from tailwatch.risk.headline import headline_figures
from tailwatch.risk.hedge import HEDGED, best_hedge, candidates_of
from tailwatch.risk.whatif import Figure, Sized, amounts, size_to_limit, with_trades

#: Decimals of a quantity that a search comes to.
_QUANTITY_PLACES: Final = Decimal("0.0001")
#: As many as a trade may have, where those are too few to stay within the limit.
_STORED_PLACES: Final = Decimal("1e-10")


@dataclass(frozen=True)
class Trade:
    """A purchase (positive quantity) or a sale that might be made."""

    ticker: str
    quantity: Decimal


@dataclass(frozen=True)
class Limit:
    """What a figure may come to, as a fraction of NAV, and the trade that is sized to keep to it."""

    figure: Figure
    value: float
    ticker: str


@dataclass(frozen=True)
class Prepared:
    """A portfolio as it is, and the instruments of the trades, read at one instant."""

    loaded: Loaded
    others: Mapping[str, Holding]


def prepare(engine: Engine, portfolio_id: int, trades: Sequence[Trade], limit: Limit | None) -> Prepared | None:
    """Read what the preview needs; None if there is no such portfolio."""
    tickers = {trade.ticker for trade in trades} | ({limit.ticker} if limit else set())
    found = load_with(engine, portfolio_id, tickers)
    return None if found is None else Prepared(found[0], {one.ticker: one for one in found[1]})


def preview(
    prepared: Prepared, trades: Sequence[Trade], today: date, *, limit: Limit | None = None, hedge: bool = False
) -> dict[str, Any]:
    """Return the answer of `POST …/risk/preview` as plain JSON values.

    `after` is what the snapshot says once the trades are booked: they are valued at the last stored price, and a
    position without one is left out of the figures there as here.

    Args:
        prepared: What was read.
        trades: All made at once.
        today: The as-of day of a portfolio without any price.
        limit: Which trade to size, and to what.
        hedge: Whether to look for the best hedge of the portfolio with the trades.
    """
    before = prepared.loaded
    after = _booked(prepared, trades)
    inputs, report = _measured(before, today)
    _, report_after = _measured(after, today)
    search = _Search(prepared, after, report_after, inputs)
    return {
        "as_of": inputs.as_of,
        "base_currency": before.base_currency,
        "method": before.method,
        "before": _figures(report),
        "after": _figures(report_after),
        "incremental": _difference(_figures(report), _figures(report_after)),
        "trades": search.each(trades),
        "limit": None if limit is None else search.sized(trades, limit),
        "hedge": search.hedge() if hedge else None,
        "warnings": [{"code": one.code, "message": one.message} for one in report_after.warnings],
    }


def _booked(prepared: Prepared, trades: Sequence[Trade]) -> Loaded:
    """Return the portfolio with the trades in it; tickers that are not known change nothing.

    Where cash counts, they are paid for in base currency at the last price.
    """
    loaded = prepared.loaded
    holdings = {one.ticker: one for one in loaded.holdings}
    paid = Decimal(0)
    for trade in trades:
        known = holdings.get(trade.ticker) or prepared.others.get(trade.ticker)
        if known is None:
            continue
        holdings[trade.ticker] = replace(known, quantity=known.quantity + trade.quantity)
        if is_valued(known):
            paid += trade.quantity * unit_value(known)
    # In the order in which the database gives them, as the figures' last bits depend on it: cash comes last.
    kept = sorted(
        (one for one in holdings.values() if one.quantity != 0), key=lambda one: (one.instrument_id < 0, one.ticker)
    )
    return replace(loaded, holdings=tuple(kept), cash=None if loaded.cash is None else loaded.cash - paid)


def _measured(loaded: Loaded, today: date) -> tuple[RiskInputs, RiskReport]:
    inputs = risk_inputs_of(loaded, market_values(loaded), today)
    return inputs, measure(inputs)


def _figures(report: RiskReport) -> dict[str, Any]:
    return {"nav": report.nav, "gross": report.gross, **asdict(report.fractions), "amounts": asdict(report.amounts)}


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return after − before, member by member; None where one of them is."""
    found: dict[str, Any] = {}
    for name, value in after.items():
        if isinstance(value, dict):
            found[name] = _difference(before[name], value)
        else:
            found[name] = None if value is None or before[name] is None else value - before[name]
    return found


class _Search:
    """Questions that look at many portfolios on one sample: that of everything held or traded."""

    def __init__(self, prepared: Prepared, after: Loaded, report: RiskReport, inputs: RiskInputs) -> None:
        before = prepared.loaded
        self._prepared = prepared
        self._loaded_after = after
        self._currency = before.base_currency
        self._pays = before.cash is not None
        self._settings = inputs.settings
        self._report_after = report
        everything = {one.ticker: one for one in (*before.holdings, *prepared.others.values())}
        if before.benchmark is not None:
            everything.setdefault(before.benchmark.ticker, before.benchmark)
        self._known = {ticker: one for ticker, one in everything.items() if is_valued(one)}
        histories = before.histories
        benchmark = before.benchmark
        self._sample: Sample = series.aligned(
            [histories[one.instrument_id] for one in self._known.values() if one.instrument_id in histories],
            histories.get(benchmark.instrument_id) if benchmark else None,
            before.window,
            before.model,
        )
        self._before = self._values(before)
        self._after = self._values(after)
        self._benchmark = None if benchmark is None else self._sample.index.get(benchmark.ticker)

    def _values(self, loaded: Loaded) -> Vector:
        values = np.zeros(len(self._sample.tickers))
        for one in loaded.holdings:
            if one.ticker in self._sample.index and is_valued(one):
                values[self._sample.index[one.ticker]] = float(market_value(one))
        return values

    def each(self, trades: Sequence[Trade]) -> list[dict[str, Any]]:
        """Return each trade with its value, and what it alone adds to the VaR."""
        changes = np.zeros((len(trades), len(self._sample.tickers)))
        for row, trade in enumerate(trades):
            if trade.ticker in self._sample.index:
                value = trade.quantity * unit_value(self._known[trade.ticker])
                changes[row, self._sample.index[trade.ticker]] = float(value)
        figures = None
        if self._sample.tickers:
            figures = amounts(with_trades(self._sample, self._before, changes, self._settings))["var_95_1d"]
        return [
            self._described(trade, None if figures is None else float(figures[2 + row] - figures[0]))
            for row, trade in enumerate(trades)
        ]

    def _described(self, trade: Trade, added: float | None) -> dict[str, Any]:
        known = self._known.get(trade.ticker)
        status, reason = self._standing(trade.ticker)
        return {
            "ticker": trade.ticker,
            "quantity": plain(trade.quantity),
            "price": None if known is None or known.price is None else plain(known.price),
            "market_value": None if known is None else plain(market_value(replace(known, quantity=trade.quantity))),
            "status": status.value,
            "reason": reason,
            "incremental_var_95_1d": added if status in {Status.MODELLED, Status.PROXIED} else None,
        }

    def _standing(self, ticker: str) -> tuple[Status, str | None]:
        """Return how far a ticker's risk is in the figures, and why not all of it."""
        outcome = self._sample.scenario_outcome.get(ticker)
        if outcome is not None:
            return outcome.status, outcome.reason
        held = next((one for one in self._prepared.loaded.holdings if one.ticker == ticker), None)
        known = held or self._prepared.others.get(ticker)
        if known is None:
            return Status.UNKNOWN, "No prices of it are stored yet; they are fetched when a trade in it is booked."
        if is_valued(known):
            return Status.EXCLUDED, "It has no price history."
        unmodelled = unmodelled_position(known, self._currency)
        return unmodelled.status, unmodelled.reason

    def sized(self, trades: Sequence[Trade], limit: Limit) -> dict[str, Any]:
        """Return the size of one trade, the others being made, that keeps a figure to its limit."""
        column = self._sample.index.get(limit.ticker)
        wanted = sum((trade.quantity for trade in trades if trade.ticker == limit.ticker), Decimal(0))
        found: dict[str, Any] = {
            "figure": limit.figure,
            "value": limit.value,
            "ticker": limit.ticker,
            "quantity": None,
            "trade_quantity": None,
            "reached": None,
        }
        if column is None:
            _, reason = self._standing(limit.ticker)
            return found | {"message": f"{limit.ticker} cannot be sized: {reason}"}
        price = unit_value(self._known[limit.ticker])
        value = float(wanted * price)
        held = self._after.copy()
        held[column] -= value
        nav = self._report_after.nav - (0.0 if self._pays else value)
        if nav <= 0:
            return found | {
                "message": "Without this trade the portfolio has no positive value to hold a limit against."
            }
        sized = size_to_limit(
            self._sample,
            held,
            column,
            wanted=value,
            nav=nav,
            gross=self._report_after.gross - abs(float(self._after[column])) + abs(float(held[column])),
            figure=limit.figure,
            limit=limit.value,
            settings=self._settings,
            pays=self._pays,
        )
        found["reached"] = sized.figure
        if sized.value is not None:
            trade_quantity = wanted
            if sized.state != "within":

                def of_nav(quantity: Decimal) -> float:
                    value = float(quantity * price)
                    exposures = held[None, :].copy()
                    exposures[0, column] += value
                    figures = amounts(headline_figures(self._sample, exposures, self._settings))
                    return float(figures[limit.figure][0]) / (nav if self._pays else nav + value)

                trade_quantity, found["reached"] = _rounded(sized, price, limit.value, of_nav)
            position = self._held(limit.ticker) - wanted + trade_quantity
            found["trade_quantity"] = plain(trade_quantity)
            found["quantity"] = plain(position)
        return found | {"message": _SIZED[sized.state].format(limit.ticker)}

    def _held(self, ticker: str) -> Decimal:
        """Return the quantity with all trades made."""
        return next((one.quantity for one in self._loaded_after.holdings if one.ticker == ticker), Decimal(0))

    def hedge(self) -> dict[str, Any] | None:
        """Return the best single trade among what is held and the benchmark, made after the trades."""
        others = [] if self._benchmark is None else [self._benchmark]
        if not self._sample.tickers:
            return None
        found = best_hedge(self._sample, self._after, candidates_of(self._after, others), self._settings)
        if found is None:
            return None
        ticker = self._sample.tickers[found.column]
        price = unit_value(self._known[ticker])
        quantity = _quantity(found.value, price)
        report = self._report_after
        share = None if report.fractions.es_975_1d is None else 1 / report.nav
        return {
            "ticker": ticker,
            "quantity": plain(quantity),
            "market_value": plain(quantity * price),
            "figure": HEDGED,
            # Of the value before the hedge: what a short sale brings in stays in the account.
            "before": None if share is None else found.before * share,
            "after": None if share is None else found.after * share,
            "amounts": {"before": found.before, "after": found.after},
        }


_SIZED: Final[Mapping[str, str]] = {
    "within": "The trade in {} keeps to the limit as it is.",
    "cut": "The largest trade in {} that keeps to the limit.",
    "needed": "The smallest trade in {} that brings the figure back to the limit.",
    "unreachable": "No trade in {} alone brings the figure to the limit; the best it could come to is given.",
}


def _rounded(sized: Sized, price: Decimal, limit: float, of_nav: Callable[[Decimal], float]) -> tuple[Decimal, float]:
    """Return a quantity with few decimals that keeps to the limit, and what the figure comes to with it."""
    # To the side on which the limit is kept: more of what mends it, less of what breaks it.
    rounding = ROUND_UP if sized.state == "needed" else ROUND_DOWN
    for places in (_QUANTITY_PLACES, _STORED_PLACES):
        quantity = _quantity(sized.value or 0.0, price, rounding, places)
        reached = of_nav(quantity)
        if reached <= limit:
            break
    return quantity, reached


def _quantity(
    value: float, price: Decimal, rounding: str = ROUND_HALF_EVEN, places: Decimal = _QUANTITY_PLACES
) -> Decimal:
    # The default of 28 digits does not hold the largest amounts.
    with localcontext(prec=PRECISION):
        return (Decimal(repr(value)) / price).quantize(places, rounding=rounding)
