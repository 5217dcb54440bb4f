"""Somebody with a portfolio, whose prices come from the local Yahoo by way of the real task, database and API."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from tests.integration.api.support import Caller, application
from tests.support.work import work_off
from tests.support.yahoo_server import Listing, YahooServer, sample_listing

#: The newest two sessions that the local Yahoo knows.
YESTERDAY, TODAY = date(2022, 12, 27), date(2022, 12, 28)

_PASS = text(
    """
    WITH sources AS (
      UPDATE price_sources SET out_until = out_until - CAST(:passed AS interval),
                               last_error_at = last_error_at - CAST(:passed AS interval)
    ), held AS (UPDATE held_prices SET fetched_at = fetched_at - CAST(:passed AS interval))
    UPDATE instruments SET next_fetch_at = next_fetch_at - CAST(:passed AS interval),
                           last_fetched_at = last_fetched_at - CAST(:passed AS interval)
    """
)


class Investor:
    """Holds ten shares each of what is bought, since the middle of 2022."""

    def __init__(self, engine: Engine, yahoo: YahooServer) -> None:
        self.engine, self.yahoo = engine, yahoo
        self.caller = Caller(application(), engine, "ada@example.org")
        self.portfolio_id = self.caller.portfolio()

    def buys(self, *tickers: str) -> None:
        """Book purchases, and let the worker do what follows."""
        for ticker in tickers:
            self.caller.trade(
                self.portfolio_id, ticker=ticker, quantity="10", price="50", executed_at="2022-06-30T15:00:00Z"
            )
        work_off(self.engine)

    def held_yesterday(self, *tickers: str) -> None:
        """Have bought what Yahoo had prices of up to the session before its newest."""
        for ticker in tickers:
            self.yahoo.listings[ticker] = without_newest(sample_listing(ticker))
        self.buys(*tickers)

    def night(self) -> None:
        """Have everything fetched, as the nightly run does."""
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE instruments SET next_fetch_at = now(), fetch_queued_at = NULL"))
        work_off(self.engine)

    def wait(self, passed: timedelta) -> None:
        """Let time pass, and the worker do what is due by then."""
        with self.engine.begin() as connection:
            connection.execute(_PASS, {"passed": passed})
        work_off(self.engine)

    def price(self, ticker: str) -> dict[str, Any]:
        """Return what the API says of the prices of an instrument."""
        found: dict[str, Any] = self.caller.get(f"/api/prices/{ticker}").json
        return found

    def risk(self) -> dict[str, Any]:
        """Return the snapshot that is served."""
        found: dict[str, Any] = json.loads(self.caller.get(f"/api/portfolios/{self.portfolio_id}/risk").data)
        return found

    def position(self, ticker: str) -> dict[str, Any]:
        """Return a position of the snapshot."""
        return next(one for one in self.risk()["positions"] if one["ticker"] == ticker)

    def warned(self) -> dict[str, str]:
        """Return the warnings of the snapshot by code."""
        return {one["code"]: one["message"] for one in self.risk()["warnings"]}

    def source(self) -> dict[str, Any]:
        """Return what the API says of Yahoo."""
        [found] = self.caller.get("/api/prices/sources").json["items"]
        return dict(found)

    def sees(self, ticker: str) -> tuple[str, str, str | None]:
        """Return state, newest bar and the sentence about it.

        The API's clock is today's, and by that what is well here awaits bars since 2022: late is ok.
        """
        found = self.price(ticker)
        return "ok" if found["state"] == "late" else found["state"], found["last_bar"], found["last_error"]


def without_newest(listing: Listing) -> Listing:
    """Return a listing as it was a session before."""
    return replace(listing, days=listing.days[:-1], closes=listing.closes[:-1], adjusted=listing.adjusted[:-1])


def change(listing: Listing, how: Callable[[float], float], first: int = 0) -> None:
    """Change the prices of a listing from a place on."""
    for prices in (listing.closes, listing.adjusted):
        prices[first:] = [how(price) for price in prices[first:]]


def value(position: dict[str, Any]) -> Decimal:
    """Return a position's market value."""
    return Decimal(position["market_value"])


def moment(told: str) -> datetime:
    """Return a time that the API told."""
    return datetime.fromisoformat(told)
