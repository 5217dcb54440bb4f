from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.yahoo_server import YahooServer, serve_yahoo


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with serve_yahoo() as server:
        yield server
