"""Real servers for the tests: one PostgreSQL and one Valkey a session, a migrated database copied for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, create_engine

from tailwatch.db import migrate
from tailwatch.db.session import sqlalchemy_url
from tailwatch.measurement import episodes, series
from tests.support.servers import Servers, start_servers

# The same examples on every run: a failure that CI saw is the failure that everybody sees.
hypothesis_settings.register_profile("tailwatch", derandomize=True, deadline=None, max_examples=60)
hypothesis_settings.load_profile("tailwatch")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with start_servers() as running:
        yield running


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    return servers.redis_url


@pytest.fixture(scope="session")
def template_database(servers: Servers) -> str:
    """A migrated database that tests copy: a copy takes a tenth of the time of a migration."""
    url = servers.create_database("template_migrated")
    engine = create_engine(sqlalchemy_url(url))
    migrate.upgrade(engine)
    engine.dispose()
    return "template_migrated"


@pytest.fixture
def database_url(servers: Servers, template_database: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    # What is kept between computations is known by id and revision, and those begin anew in every database.
    for kept in (series._histories, series._samples, episodes._series, episodes._returns):
        kept.clear()
    yield servers.create_database(name, template=template_database)
    servers.drop_database(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
def empty_engine(servers: Servers) -> Iterator[Engine]:
    name = f"empty_{next(_numbers)}"
    engine = create_engine(sqlalchemy_url(servers.create_database(name)))
    yield engine
    engine.dispose()
    servers.drop_database(name)
