"""Failures that Tailwatch expects, each with its sentence.

The docstring of a failure is its message unless the place that raises it has more to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date


class TailwatchError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidPriceSeriesError(TailwatchError):
    """A price series needs one price a day, with its days in rising order."""


class InvalidExposureError(TailwatchError):
    """A market value or cash amount is not a finite number."""


class InvalidEntryError(TailwatchError):
    """An entry of the book contradicts itself.

    Attributes:
        field: The member that is at fault.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NothingToImportError(TailwatchError):
    """None of the rows can be booked."""


class InvalidRiskSettingsError(TailwatchError):
    """The risk settings are outside what the methods are defined for."""


class InvalidModelError(TailwatchError):
    """The coefficients of a volatility model are non-negative and not all zero."""


class TooLittleHistoryError(TailwatchError):
    """There is too little return history for a forecast of the first day asked for."""


class UndefinedScoreError(TailwatchError):
    """The score exists only where every forecast of expected shortfall is a positive loss."""


class InputFileError(TailwatchError):
    """The file cannot be used."""


class NotReplayableError(TailwatchError):
    """The snapshot cannot be computed again."""


class PriceSourceError(TailwatchError):
    """A price source did not give prices."""


class UnknownTickerError(PriceSourceError):
    """No price source knows this ticker."""


class SourceUnreachableError(PriceSourceError):
    """The price source could not be reached."""


class SourceRefusedError(PriceSourceError):
    """The price source refused to answer."""

    def __init__(self, message: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BadAnswerError(PriceSourceError):
    """The price source gave an answer that cannot be used."""


class ShortHistoryError(BadAnswerError):
    """The price source gave far fewer sessions than are stored from it."""


class OtherCurrencyError(BadAnswerError):
    """The price source names another currency for the numbers that are stored from it."""


class SourceBrokenError(BadAnswerError):
    """The price source could not make an answer."""


class OtherSymbolError(BadAnswerError):
    """The price source answered for another symbol.

    Attributes:
        symbol: That one.
        closes: The closes in the answer by day, as numbers.
    """

    def __init__(self, message: str, symbol: str, closes: Mapping[date, float]) -> None:
        super().__init__(message)
        self.symbol = symbol
        self.closes = closes


class SourceTimeoutError(SourceUnreachableError):
    """The price source did not answer in time."""


class InvalidTickerError(TailwatchError):
    """That cannot be a ticker: 1 to 24 of A-Z, 0-9 and . - = ^ _."""


class TickerTakenError(TailwatchError):
    """There is an instrument with that ticker already."""


class NewerSchemaError(TailwatchError):
    """The database was brought to its schema by a newer version of Tailwatch."""


class BackupError(TailwatchError):
    """The backup could not be made."""


class RestoreError(TailwatchError):
    """The backup could not be restored; the database is as it was."""


class BrokenBackupError(RestoreError):
    """The backup is damaged or incomplete."""


class DatabaseNotEmptyError(RestoreError):
    """The database holds data."""
