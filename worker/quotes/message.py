"""What the page of a portfolio is told: its value at live prices, and how far those can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from tailwatch.live import QuoteMessage
from tailwatch.measurement.inputs import plain
from tailwatch.measurement.revaluing import Line, Revaluation, Revaluing
from worker.quotes.ticks import Quote, Quotes

#: Without a price for this long while the market is open, the stream counts as stale.
SILENT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class FeedState:
    """How the stream is, as far as one portfolio's tickers go."""

    state: Literal["live", "stale", "connecting", "closed"]
    message: str


def feed_state(
    quotes: list[Quote], *, connected_since: float | None, problem: str | None, is_open: bool | None, now: float
) -> FeedState:
    """Say how the stream is.

    Args:
        quotes: What came of the portfolio's tickers.
        connected_since: Epoch seconds; None: there is no connection.
        problem: Why there is none, if that is known.
        is_open: Whether a market of these tickers is; None: not known.
        now: Epoch seconds.
    """
    if connected_since is None:
        return FeedState("connecting", problem or "Connecting to Yahoo's stream of prices.")
    silence = now - max([connected_since, *(one.received for one in quotes)])
    if silence < SILENT_SECONDS:
        return FeedState("live", "Live prices from Yahoo, unconfirmed; the snapshot rests on closes.")
    if is_open is False:
        return FeedState("closed", "The market is closed; the last prices of its regular hours are shown.")
    if is_open is None:
        return FeedState("stale", f"No price has come for {silence:.0f} s: the stream is stuck or the market closed.")
    return FeedState("stale", f"No price has come for {silence:.0f} s although the market is open.")


def compose(portfolio: Revaluing, snapshot_id: int, quotes: Quotes, state: FeedState, now: datetime) -> QuoteMessage:
    """Return the message of a portfolio at the prices of now.

    Args:
        portfolio: As its newest snapshot has it.
        snapshot_id: That snapshot.
        quotes: What came.
        state: Of the stream.
        now: When this is.
    """
    found = portfolio.at(quotes.prices())
    known = quotes_of(portfolio, quotes)
    loaded = portfolio.loaded
    return {
        "kind": "quote",
        "portfolio_id": loaded.portfolio_id,
        "snapshot_id": snapshot_id,
        "revision": loaded.revision,
        "base_currency": loaded.base_currency,
        "close_day": None if portfolio.close_day is None else portfolio.close_day.isoformat(),
        "nav": plain(found.nav),
        "pnl": plain(found.pnl),
        "pnl_fraction": found.pnl_fraction,
        "annualized_volatility": found.fractions["annualized_volatility"],
        "var_95_1d": found.fractions["var_95_1d"],
        "es_95_1d": found.fractions["es_95_1d"],
        "var_975_1d": found.fractions["var_975_1d"],
        "es_975_1d": found.fractions["es_975_1d"],
        "var_99_1d": found.fractions["var_99_1d"],
        "es_99_1d": found.fractions["es_99_1d"],
        "amounts": None if found.amounts is None else dict(found.amounts.items()),
        "positions": list(_positions(portfolio, found, quotes)),
        "feed": {
            "state": state.state,
            "message": state.message,
            "last_tick_at": _iso(max((one.newest.at for one in known), default=None)),
        },
        "at": _iso(now) or "",
        "timing": {"received": max((one.received for one in known), default=0.0)},
    }


def quotes_of(portfolio: Revaluing, quotes: Quotes) -> list[Quote]:
    """Return what came of the tickers of a portfolio, exchange rates included."""
    return [quote for each in portfolio.closes if (quote := quotes.get(each)) is not None]


def _positions(portfolio: Revaluing, found: Revaluation, quotes: Quotes) -> Iterator[dict[str, Any]]:
    for line in portfolio.lines:
        own, rate = quotes.get(line.ticker), quotes.get(line.rate_ticker)
        if own is None and (rate is None or rate.valued is None):
            continue
        yield {
            "ticker": line.holding.ticker,
            "currency": line.holding.currency,
            "market_value": plain(found.values[line.holding.ticker]),
            **(_NO_TICK if own is None else _of_tick(line, own)),
        }


#: A position that only its exchange rate moves.
_NO_TICK: Final = {"price": None, "change": None, "session": None, "state": "live", "reason": None, "at": None}


def _of_tick(line: Line, quote: Quote) -> dict[str, Any]:
    tick, close = quote.newest, line.holding.price
    return {
        "price": plain(tick.price),
        "change": float(tick.price / close - 1) if close else None,
        "session": tick.session,
        "state": quote.verdict,
        "reason": quote.reason,
        "at": _iso(tick.at),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
