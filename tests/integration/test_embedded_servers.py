"""The servers that `./run` brings along: private, of little privilege, whole or not there."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from tailwatch.embedded import instance, layout
from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.layout import Layout
from tailwatch.embedded.servers import Postgres


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    where = layout.resolve(tmp_path_factory.mktemp("embedded") / "with spaces")
    yield where
    shutil.rmtree(layout.make_sockets(where).folder)
    shutil.rmtree(where.servers)


@pytest.fixture(scope="module")
def environment(where: Layout) -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL"):
            patch.delenv(name, raising=False)
        with instance.servers(where) as environment:
            yield environment


def test_an_interrupted_start_left_no_half_made_cluster(where: Layout) -> None:
    unfinished = where.servers / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    postgres = Postgres(where, layout.make_sockets(where))
    assert postgres.is_new
    postgres.make()
    assert not postgres.is_new
    assert not unfinished.exists()


def test_the_applications_role_is_no_superuser(environment: dict[str, str]) -> None:
    with psycopg2.connect(environment["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == ("tailwatch", False, False, False)
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("",)
    connection.close()


def test_nobody_gets_in_without_the_password(environment: dict[str, str]) -> None:
    before, _, after = environment["DATABASE_URL"].partition("@")
    wrong = before.rpartition(":")[0] + ":wrong@" + after
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(wrong)


def test_valkey_answers_on_its_socket_only(environment: dict[str, str]) -> None:
    client = redis.Redis.from_url(environment["REDIS_URL"])
    config = client.config_get("*")
    assert (config["port"], config["appendonly"], config["maxmemory-policy"]) == ("0", "yes", "noeviction")
    client.close()


def test_files_are_private(where: Layout, environment: dict[str, str]) -> None:
    assert environment
    assert stat.S_IMODE((where.servers / "postgres").stat().st_mode) == 0o700
    assert stat.S_IMODE((where.servers / "passwords.json").stat().st_mode) == 0o600
    owner = os.geteuid() if where.owner is None else where.owner.uid
    assert (where.servers / "postgres").stat().st_uid == owner


def test_a_second_holder_of_the_data_is_refused(where: Layout, environment: dict[str, str]) -> None:
    assert environment
    with pytest.raises(SetupError, match="starting or stopping"), instance.hold(where):
        pytest.fail("both hold the data folder")


def test_data_of_another_major_version_is_left_alone(tmp_path: Path) -> None:
    where = layout.resolve(tmp_path / "old")
    (where.servers / "postgres").mkdir()
    (where.servers / "postgres" / "PG_VERSION").write_text("17\n")
    try:
        with pytest.raises(SetupError, match="was made by PostgreSQL 17"):
            Postgres(where, layout.make_sockets(where)).make()
    finally:
        shutil.rmtree(layout.make_sockets(where).folder)
        shutil.rmtree(where.servers)
