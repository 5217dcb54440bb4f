"""What a newcomer brings: a broker's file, and a folder with prices of all that it names."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.support.markets import walk, weekdays

#: Ticker: first price, currency, daily volatility.
PRICED = {
    "AAPL": (150.0, "USD", 0.018),
    "BRK-B": (400.0, "USD", 0.011),
    "VOD.L": (90.0, "GBp", 0.016),
    "SAP.DE": (120.0, "EUR", 0.015),
    "GBPUSD=X": (1.25, "USD", 0.006),
    "EURUSD=X": (1.08, "USD", 0.005),
}
SESSIONS = 1300

_COLUMNS = (
    "ClientAccountID,CurrencyPrimary,FXRateToBase,AssetClass,Symbol,ListingExchange,TradeID,DateTime,Quantity,TradePrice,"
    "Taxes,IBCommission,IBCommissionCurrency,Buy/Sell,TransactionID,LevelOfDetail"
)
_TRADES = """
U1,USD,1,STK,AAPL,NASDAQ,501,20230103;093105,40,125.5,0,-1,USD,BUY,901,EXECUTION
U1,USD,1,STK,BRK B,NYSE,502,20230104;093105,10,310,0,-1,USD,BUY,902,EXECUTION
U1,GBP,1.25,STK,VOD,LSE,503,20230104;100000,3000,0.8,-0.5,-3,GBP,BUY,903,EXECUTION
U1,EUR,1.07,STK,SAP,IBIS,504,20230105;110000,-15,105,0,-2,EUR,SELL,904,EXECUTION
"""
#: A Flex report of trades, as Interactive Brokers writes it.
BROKERS_FILE = f"{_COLUMNS}{_TRADES}"
#: What that is today.
HELD = {"AAPL": Decimal(40), "BRK-B": Decimal(10), "VOD.L": Decimal(3000), "SAP.DE": Decimal(-15)}


def fill(folder: Path, last: date) -> dict[str, Decimal]:
    """Write a file of prices for each ticker, up to the last weekday before or on `last`; return the last closes."""
    newest = {}
    for seed, (ticker, (first, currency, volatility)) in enumerate(PRICED.items()):
        closes = walk(seed, SESSIONS, first, volatility)
        lines = [f"{day},{close},{currency}" for day, close in zip(weekdays(SESSIONS, last), closes, strict=True)]
        (folder / f"{ticker}.csv").write_text("\n".join(["date,close,currency", *lines, ""]))
        newest[ticker] = closes[-1]
    return newest
