"""The application on a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine

from api.limits import sign_ins, writes
from tests.integration.api.support import Browser, Caller, application, forget_settings


@pytest.fixture
def app(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    forget_settings()
    made = application()
    for limiter in (sign_ins, writes):
        limiter.reset()
    yield made
    forget_settings()


@pytest.fixture
def ada(app: Flask, engine: Engine) -> Caller:
    return Caller(app, engine, "ada@example.org")


@pytest.fixture
def eve(app: Flask, engine: Engine) -> Caller:
    return Caller(app, engine, "eve@example.org")


@pytest.fixture
def browser(app: Flask, engine: Engine, ada: Caller) -> Browser:
    return Browser(app, engine, ada.user_id)
