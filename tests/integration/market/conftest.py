from __future__ import annotations

from collections.abc import Iterator

import pytest
from yfinance.data import SingletonMeta

from tailwatch.market.yahoo import client
from tests.support.yahoo_server import YahooServer, serve_yahoo


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    """A server that knows nothing yet, and a yfinance that remembers no cookie, crumb or answer of another test."""
    SingletonMeta._instances.clear()
    client._session.cache_clear()
    with serve_yahoo() as server:
        yield server
