"""A measured portfolio at other prices: its value and its headline figures on the weights that follow from them.

The scenarios are those of the snapshot, so a revaluation is one product of the positions with each scenario matrix.
Nothing is stored, and the snapshot stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np

from tailwatch.book.currencies import major
from tailwatch.market.rates import ticker_of
from tailwatch.market.ticks import Close
from tailwatch.measurement.holding import Holding, is_valued, market_value
from tailwatch.measurement.loading import Loaded
from tailwatch.measurement.snapshot import market_values, newest_price_day, risk_inputs_of
from tailwatch.risk.caveats import unusable_nav
from tailwatch.risk.coverage import exposure_of
from tailwatch.risk.headline import headline_figures
from tailwatch.risk.whatif import FIGURES, Figure, amounts


@dataclass(frozen=True)
class Line:
    """A position that has a value.

    Attributes:
        holding: At the stored close and the stored rate.
        ticker: Whose live price counts; None for cash, whose price is 1.
        rate_ticker: Whose live price is the exchange rate; None where none is needed.
        unit: Major units of currency in one of the price's: 0.01 for pence.
    """

    holding: Holding
    ticker: str | None
    rate_ticker: str | None
    unit: Decimal

    def at(self, prices: Mapping[str, Decimal]) -> Holding:
        """Return the position at these prices by ticker; what is not among them stays at its stored close."""
        price = prices.get(self.ticker) if self.ticker else None
        rate = prices.get(self.rate_ticker) if self.rate_ticker else None
        if price is None and rate is None:
            return self.holding
        return replace(
            self.holding,
            price=self.holding.price if price is None else price,
            rate=self.holding.rate if rate is None else self.unit * rate,
        )


@dataclass(frozen=True)
class Revaluation:
    """A portfolio at some prices.

    Attributes:
        nav: Net asset value, base currency, exact.
        pnl: `nav` less that at the stored closes.
        pnl_fraction: Of NAV at the stored closes; None where that is not positive.
        values: Signed market value of each position that has one, base currency, exact.
        fractions: One-day figures of `nav`, positive losses; None where fractions of NAV say nothing.
        amounts: The same in base currency; None: no position is modelled.
    """

    nav: Decimal
    pnl: Decimal
    pnl_fraction: float | None
    values: Mapping[str, Decimal]
    fractions: Mapping[Figure, float | None]
    amounts: Mapping[Figure, float] | None


class Revaluing:
    """A loaded portfolio that can be valued again and again."""

    def __init__(self, loaded: Loaded, today: date) -> None:
        """Prepare everything that no price changes.

        Args:
            loaded: The portfolio at the instant of its snapshot.
            today: The as-of day of a portfolio without any price.
        """
        values = market_values(loaded)
        self.loaded = loaded
        self.close_day = newest_price_day(loaded)
        self.lines = tuple(_line(one, loaded.base_currency) for one in loaded.holdings if is_valued(one))
        #: The stored close of everything whose live price counts, exchange rates included, by ticker.
        self.closes: Mapping[str, Close] = self._closes()
        self._cash = loaded.cash or Decimal(0)
        self._nav = sum(values.values(), self._cash)
        self._inputs = risk_inputs_of(loaded, values, today)
        # The sample's statistics are made on first use.
        self.at({})

    def _closes(self) -> dict[str, Close]:
        found = {}
        for line in self.lines:
            one = line.holding
            if line.ticker and one.price and one.price_day:
                found[line.ticker] = Close(one.price, one.currency, one.price_day)
            if line.rate_ticker and one.rate and one.rate_day:
                found[line.rate_ticker] = Close(one.rate / line.unit, self.loaded.base_currency, one.rate_day)
        return found

    def at(self, prices: Mapping[str, Decimal]) -> Revaluation:
        """Return the portfolio at these prices by ticker; what is not among them stays at its stored close."""
        values = {line.holding.ticker: market_value(line.at(prices)) for line in self.lines}
        nav = sum(values.values(), self._cash)
        pnl = nav - self._nav
        inputs = replace(self._inputs, market_values={ticker: float(value) for ticker, value in values.items()})
        exposure = exposure_of(inputs)
        found = None
        if exposure.tickers:
            exposures = np.zeros((1, len(inputs.sample.tickers)))
            exposures[0, exposure.columns] = exposure.values
            figures = amounts(headline_figures(inputs.sample, exposures, inputs.settings))
            found = {name: float(figure[0]) for name, figure in figures.items()}
        usable = found is not None and unusable_nav(exposure) is None and exposure.nav > 0
        return Revaluation(
            nav=nav,
            pnl=pnl,
            pnl_fraction=float(pnl / self._nav) if self._nav > 0 else None,
            values=values,
            fractions={name: found[name] / exposure.nav if found and usable else None for name in FIGURES},
            amounts=found,
        )


def _line(holding: Holding, base_currency: str) -> Line:
    currency, unit = major(holding.currency or base_currency)
    return Line(
        holding=holding,
        ticker=holding.ticker if holding.instrument_id > 0 else None,
        rate_ticker=None if holding.rate_id is None else ticker_of(currency, base_currency),
        unit=unit,
    )
