"""What the figures rest on: the positions, how far each is modelled, and the shares of exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from tailwatch.risk.arrays import Indices, Vector
from tailwatch.risk.results import Coverage, InstrumentCoverage
from tailwatch.risk.types import SMALLEST_AMOUNT, AlignedInstrument, Method, RiskInputs, Status


class Holding(NamedTuple):
    """A held position with how far it is modelled.

    Attributes:
        ticker: Its name.
        market_value: Signed, base currency, or None.
        status: How much of its risk is in the figures.
        reason: Why it is not modelled by its own history, or None.
        price_date: Its newest price.
        column: Its column in the sample, or None.
        aligned: What became of its prices, or None where none were given.
    """

    ticker: str
    market_value: float | None
    status: Status
    reason: str | None
    price_date: date | None
    column: int | None
    aligned: AlignedInstrument | None


@dataclass(frozen=True, eq=False, slots=True)
class Exposure:
    """The positions, and those of them that have a column in the sample.

    Attributes:
        holdings: All positions, largest absolute market value first, unvalued ones last.
        nav: Σ known market values + cash.
        gross: Σ |known market values|.
        tickers: The modelled and proxied ones, in the same order.
        columns: Their columns in the sample.
        values: Their signed market values.
    """

    holdings: tuple[Holding, ...]
    nav: float
    gross: float
    tickers: tuple[str, ...]
    columns: Indices
    values: Vector


def exposure_of(inputs: RiskInputs) -> Exposure:
    """Return the positions of a portfolio; those without value are no positions."""
    sample = inputs.sample
    outcome = sample.scenario_outcome if inputs.settings.method is Method.FILTERED else sample.outcome
    held = []
    for ticker, value in inputs.market_values.items():
        if abs(value) < SMALLEST_AMOUNT:
            continue
        aligned = outcome.get(ticker)
        if aligned is None:
            held.append(Holding(ticker, value, Status.EXCLUDED, "It has no price history.", None, None, None))
        else:
            column = sample.index.get(ticker)
            held.append(
                Holding(ticker, value, aligned.status, aligned.reason, aligned.last_price_date, column, aligned)
            )
    held += [
        Holding(one.ticker, one.market_value, one.status, one.reason, one.price_date, None, None)
        for one in inputs.unmodelled
    ]
    held.sort(key=lambda one: (one.market_value is None, -abs(one.market_value or 0.0), one.ticker))
    values = [one.market_value for one in held if one.market_value is not None]
    modelled = [one for one in held if one.column is not None]
    return Exposure(
        holdings=tuple(held),
        nav=math.fsum([*values, inputs.cash]),
        gross=math.fsum(map(abs, values)),
        tickers=tuple(one.ticker for one in modelled),
        columns=np.array([one.column for one in modelled], dtype=np.intp),
        values=np.array([one.market_value for one in modelled], dtype=np.float64),
    )


def coverage_of(exposure: Exposure, observations: int, as_of: date) -> Coverage:
    """Return the shares of gross exposure by status, the instruments to be named, and the oldest price."""
    held, gross = exposure.holdings, exposure.gross
    by_status = dict.fromkeys(Status, 0.0)
    for one in held:
        by_status[one.status] += abs(one.market_value or 0.0)
    modelled, proxied = by_status.pop(Status.MODELLED), by_status.pop(Status.PROXIED)
    dated = [(one.price_date, one.ticker) for one in held if one.price_date is not None]
    oldest, ticker = min(dated) if dated else (None, None)
    return Coverage(
        modelled=modelled / gross if gross else None,
        proxied=proxied / gross if gross else None,
        excluded=math.fsum(by_status.values()) / gross if gross else None,
        unvalued=sum(one.market_value is None for one in held),
        observations=observations,
        instruments=tuple(_named(one) for one in held if _is_named(one)),
        oldest_price_ticker=ticker,
        oldest_price_date=oldest,
        oldest_price_age_days=None if oldest is None else max((as_of - oldest).days, 0),
    )


def _is_named(one: Holding) -> bool:
    return one.status is not Status.MODELLED or (one.aligned is not None and one.aligned.gaps > 0)


def _named(one: Holding) -> InstrumentCoverage:
    observations, gaps = (one.aligned.observations, one.aligned.gaps) if one.aligned else (0, 0)
    return InstrumentCoverage(one.ticker, one.status, one.reason, observations, gaps, one.price_date)
