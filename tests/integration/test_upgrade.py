"""Older databases are brought up to date, with a backup; newer ones are refused by everything that would use them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

import tailwatch
from tailwatch.backup import archive
from tailwatch.db import migrate, schema
from tailwatch.db.session import sqlalchemy_url
from tailwatch.embedded import programs
from tailwatch.embedded.environment import ROOT
from tests.integration.test_migrations import FILL_THEN
from tests.support.servers import Servers

CLI = (sys.executable, "-m", "tailwatch.cli")
#: Everything that uses the schema, as it is started.
STARTS = {
    "migrate": (*CLI, "migrate"),
    "another command": (*CLI, "sign-in-link"),
    "backup": (*CLI, "backup", "-"),
    "upgrade": (*CLI, "upgrade", "--notes"),
    "launcher": (sys.executable, "-m", "tailwatch.embedded.prepare", "--begun", "2026-01-01T00:00:00+00:00"),
    **{
        program.name: program.command
        for program in (programs.WEB, *programs.WORKERS, programs.SCHEDULER, programs.QUOTES)
    },
}


@pytest.fixture
def environment(engine: Engine, redis_url: str) -> dict[str, str]:
    url = engine.url.render_as_string(hide_password=False)
    return os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "PRICE_SOURCES": "sample",
        "LOG_FORMAT": "console",
    }


def run(command: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_revisions_known_without_alembic_are_alembics() -> None:
    config = migrate._config()
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert schema.known() == tuple(reversed([script.revision for script in scripts]))


@pytest.mark.parametrize("start", STARTS)
def test_a_newer_database_is_refused_in_a_sentence(engine: Engine, environment: dict[str, str], start: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
        connection.execute(
            text("INSERT INTO releases (version, schema_revision, first_at) VALUES ('9.8.7', '0999', :at)"),
            {"at": datetime.now(UTC) + timedelta(days=1)},
        )
    done = run(STARTS[start], environment)
    assert done.returncode != 0
    said = done.stderr
    assert "brought there by Tailwatch 9.8.7" in said
    assert f"This is Tailwatch {tailwatch.__version__}" in said
    assert "Install Tailwatch 9.8.7 or newer" in said
    assert "Traceback" not in said
    assert done.stdout == ""
    with engine.connect() as connection:
        assert schema.current(connection) == "0999"


def test_every_version_notes_itself(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM releases"))
    for _ in range(2):
        migrate.upgrade(engine)
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT version, schema_revision FROM releases")).all()
        assert schema.made_by(connection) == tailwatch.__version__
    assert noted == [(tailwatch.__version__, migrate.head())]


def test_an_upgrade_shows_backs_up_and_migrates(
    servers: Servers, environment: dict[str, str], tmp_path: Path
) -> None:
    url = servers.create_database("previous")
    older = create_engine(sqlalchemy_url(url))
    migrate.upgrade(older, "0001")
    with older.begin() as connection:
        connection.execute(text(FILL_THEN))
    variables = environment | {"DATABASE_URL": url, "BACKUP_DIR": str(tmp_path)}

    shown = run((*CLI, "upgrade", "--notes"), variables)
    assert shown.returncode == 0, shown.stderr
    assert f"This is Tailwatch {tailwatch.__version__}, whose schema is {migrate.head()}" in shown.stdout
    assert "at schema 0001, brought there by Tailwatch 0.1.0" in shown.stdout
    assert "There is no daily backup" in shown.stdout
    assert f"## {tailwatch.__version__}" in shown.stdout
    assert "## 0.1.0" not in shown.stdout

    asked = run((*CLI, "upgrade"), variables)
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    assert migrate.current(older) == "0001"
    assert list(tmp_path.iterdir()) == []

    # Nothing is migrated that could not be backed up.
    blocked = run((*CLI, "upgrade", "--yes", "--backup", str(tmp_path / "no" / "file.tar")), variables)
    assert blocked.returncode == 1
    assert migrate.current(older) == "0001"

    done = run((*CLI, "upgrade", "--yes"), variables)
    assert done.returncode == 0, done.stderr
    assert migrate.current(older) == migrate.head()
    (made,) = tmp_path.iterdir()
    assert made.name.startswith(f"before-{tailwatch.__version__}-")
    assert archive.verify(made).schema_revision == "0001"

    again = run((*CLI, "upgrade", "--yes"), variables)
    assert "Nothing has to be migrated" in again.stdout
    assert "What is new" not in again.stdout
    older.dispose()
    servers.drop_database("previous")


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (None, "· Backup: none yet"),
        (
            "'2026-01-01', now(), now() - interval '5 hours', '/backups/a.tar', 1234567, NULL",
            "✓ Backup: the last one is 5 hours old: /backups/a.tar, 1.2 MB",
        ),
        (
            "'2026-01-01', now(), now() - interval '40 hours', '/backups/a.tar', 1, NULL",
            "✗ Backup: the last one is 40 hours old",
        ),
        (
            "'2026-01-01', now(), NULL, NULL, NULL, 'The disk is full.'",
            "✗ Backup: the one of 2026-01-01 failed: The disk is full.",
        ),
    ],
)
def test_the_doctor_looks_at_the_last_backup(
    engine: Engine, environment: dict[str, str], tmp_path: Path, row: str | None, found: str
) -> None:
    if row is not None:
        with engine.begin() as connection:
            connection.execute(text(f"INSERT INTO backup_runs VALUES ({row})"))
    variables = environment | {"TAILWATCH_DATA_DIR": str(tmp_path), "BACKUP_AT": "03:00"}
    lines = run((*CLI, "doctor"), variables).stdout.splitlines()
    assert [line for line in lines if line.startswith(found)], lines
