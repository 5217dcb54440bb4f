"""The tables. Whatever must hold is a constraint here, not only a check in Python.

Money, prices and quantities are NUMERIC; risk figures are double precision. Times are timestamptz, UTC.
"""

from tailwatch.db.models.accounts import ApiToken, Session, SignInLink, User
from tailwatch.db.models.base import Base, market_revision_sequence, metadata
from tailwatch.db.models.book import Portfolio, Trade, TradeChange, TradeImport
from tailwatch.db.models.market import HeldPrice, Instrument, PriceBar, PriceSourceState, Split, SupersededPrices
from tailwatch.db.models.operations import BackupRun, IdempotencyKey, NightlyRun, Release, WorkerHeartbeat
from tailwatch.db.models.risk import Backtest, ChosenModel, RiskSnapshot, ServedForecast

__all__ = [
    "ApiToken",
    "Backtest",
    "BackupRun",
    "Base",
    "ChosenModel",
    "HeldPrice",
    "IdempotencyKey",
    "Instrument",
    "NightlyRun",
    "Portfolio",
    "PriceBar",
    "PriceSourceState",
    "Release",
    "RiskSnapshot",
    "ServedForecast",
    "Session",
    "SignInLink",
    "Split",
    "SupersededPrices",
    "Trade",
    "TradeChange",
    "TradeImport",
    "User",
    "WorkerHeartbeat",
    "market_revision_sequence",
    "metadata",
]
