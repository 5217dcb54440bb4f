"""The chain of sources that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from tailwatch.market.folder import FolderSource
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import PriceSource, SourceChain
from tailwatch.market.yahoo import YahooSource
from tailwatch.settings import Settings, get_settings


def configured_chain() -> SourceChain:
    """Return a new chain for one run, with the sources of `PRICE_SOURCES` in their order."""
    settings = get_settings()
    return SourceChain([_MAKERS[name](settings) for name in settings.price_sources])


def _yahoo(settings: Settings) -> PriceSource:
    return YahooSource(settings.yahoo_timeout_seconds, settings.yahoo_base_url)


def _csv(settings: Settings) -> PriceSource:
    # Its HTTP client is a few megabytes that only those pay who use it.
    from tailwatch.market.web_csv import WebCsvSource  # noqa: PLC0415

    return WebCsvSource(
        # The settings are refused without it.
        cast("str", settings.csv_prices_url),
        key=settings.csv_prices_key,
        currency=settings.csv_prices_currency,
        per_minute=settings.csv_prices_per_minute,
    )


def _folder(settings: Settings) -> PriceSource:
    return FolderSource(cast("Path", settings.price_folder), settings.price_folder_currency)


_MAKERS: Final[dict[str, Callable[[Settings], PriceSource]]] = {
    "yahoo": _yahoo,
    "csv": _csv,
    "folder": _folder,
    "sample": lambda _: SampleSource(),
}
