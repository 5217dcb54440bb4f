from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from yfinance.data import SingletonMeta

from tailwatch.market import incremental
from tailwatch.market.yahoo import client
from tests.integration.api.support import forget_settings
from tests.integration.market.investor import Investor
from tests.support.yahoo_server import YahooServer, serve_yahoo


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    """A server that knows nothing yet, and a yfinance that remembers no cookie, crumb or answer of another test."""
    SingletonMeta._instances.clear()
    client._session.cache_clear()
    with serve_yahoo() as server:
        yield server


@pytest.fixture
def ada(worker_process: None, engine: Engine, yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch) -> Investor:
    """An investor whose only source of prices is Yahoo, and no day of the month on which everything is fetched."""
    monkeypatch.setenv("PRICE_SOURCES", "yahoo")
    monkeypatch.setenv("YAHOO_BASE_URL", yahoo.url)
    monkeypatch.setenv("YAHOO_TIMEOUT_SECONDS", "1")
    monkeypatch.setattr(incremental, "WHOLE_EVERY_DAYS", 10**9)
    forget_settings()
    return Investor(engine, yahoo)
