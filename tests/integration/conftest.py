"""A worker's process, played by the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tailwatch import live
from tailwatch.db.session import get_engine
from tailwatch.settings import get_settings


@pytest.fixture
def worker_process(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> Iterator[None]:
    """Settings and connections of a worker process, with the sample as its prices."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PRICE_SOURCES", "sample")
    # As much as the scenarios need: the default reaches back to 1998, and takes three times as long.
    monkeypatch.setenv("PRICE_HISTORY_DAYS", "3600")
    caches = (get_settings, get_engine, live.client)
    for cached in caches:
        cached.cache_clear()
    yield
    get_engine().dispose()
    for cached in caches:
        cached.cache_clear()
