"""The chain of sources that the settings ask for."""

from __future__ import annotations

from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import PriceSource, SourceChain
from tailwatch.market.yahoo import YahooSource
from tailwatch.settings import get_settings


def configured_chain() -> SourceChain:
    """Return a new chain for one run, with the sources of `PRICE_SOURCES` in their order."""
    settings = get_settings()
    makers: dict[str, PriceSource] = {
        "yahoo": YahooSource(settings.yahoo_timeout_seconds, settings.yahoo_base_url),
        "sample": SampleSource(),
    }
    return SourceChain([makers[name] for name in settings.price_sources])
