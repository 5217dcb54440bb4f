"""`backup` and `restore` as they are typed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from tailwatch.embedded.environment import ROOT
from tests.support import tables
from tests.support.servers import BINARIES

PASSWORD = "s3cret-%2F-of-the-d4tabase"


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    return tables.fill(engine)


def tailwatch(*words: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tailwatch.cli", *words]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, input=stdin, capture_output=True, check=False, timeout=120
    )


def test_through_pipes(engine: Engine, portfolio_id: int, empty_engine: Engine) -> None:
    made = tailwatch("backup", "-")
    assert made.returncode == 0, made.stderr
    assert b"portfolios: 1, trades: 21" in made.stderr
    url = empty_engine.url.render_as_string(hide_password=False)
    restored = tailwatch("restore", "-", stdin=made.stdout, DATABASE_URL=url)
    assert restored.returncode == 0, restored.stderr
    assert tables.contents(empty_engine) == tables.contents(engine)
    again = tailwatch("restore", "-", stdin=made.stdout, DATABASE_URL=url)
    assert again.returncode == 1
    assert b"--replace" in again.stderr
    assert b"Traceback" not in again.stderr


def test_through_a_file(engine: Engine, portfolio_id: int, empty_engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    file.write_bytes(b"yesterday's")
    file.chmod(0o644)
    # Left behind by one that was killed.
    (tmp_path / "backup.tar.partial").write_bytes(bytes(10_000_000))
    assert tailwatch("backup", str(file)).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["backup.tar"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    url = empty_engine.url.render_as_string(hide_password=False)
    assert tailwatch("restore", str(file), DATABASE_URL=url).returncode == 0
    assert tables.contents(empty_engine) == tables.contents(engine)


def test_it_can_be_read_without_tailwatch(engine: Engine, portfolio_id: int, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    assert tailwatch("backup", str(file)).returncode == 0
    dumped = subprocess.run(["tar", "-xOf", str(file), "dump"], capture_output=True, check=True).stdout
    listed = subprocess.run([BINARIES / "pg_restore", "--list"], input=dumped, capture_output=True, check=True).stdout
    assert b"TABLE DATA public trades" in listed


def test_what_goes_wrong_is_said_in_a_sentence(engine: Engine, portfolio_id: int, tmp_path: Path) -> None:
    good = tmp_path / "good.tar"
    good.write_bytes(b"yesterday's")
    nowhere = "postgresql://tailwatch@127.0.0.1:1/tailwatch"
    for words, environment, sentence in (
        (("backup", str(good)), {"DATABASE_URL": nowhere}, b"refused"),
        (("backup", str(tmp_path / "no" / "such" / "folder")), {}, b"cannot be written"),
        (("backup", str(tmp_path)), {}, b"is a folder"),
        (("restore", str(good)), {}, b"no backup of Tailwatch"),
        (("restore", str(tmp_path / "nothing")), {}, b"No such file"),
    ):
        done = tailwatch(*words, **environment)
        assert done.returncode == 1, words
        assert sentence in done.stderr, done.stderr
        assert b"Traceback" not in done.stderr
        assert done.stdout == b""
    assert good.read_bytes() == b"yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["good.tar"]


def test_the_password_is_nowhere_to_be_read(engine: Engine, portfolio_id: int, tmp_path: Path) -> None:
    url = engine.url.set(password=PASSWORD).render_as_string(hide_password=False)
    secrets = [PASSWORD, url, engine.url.set(password=PASSWORD).render_as_string(hide_password=False).split("@")[0]]
    command = [sys.executable, "-m", "tailwatch.cli", "backup", str(tmp_path / "backup.tar")]
    with tables.pg_dump_waits(engine):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        tables.wait_for_pg_dump(engine)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        lines = [" ".join(each.cmdline()) for each in family]
        assert any("pg_dump" in line for line in lines)
        given = [each.environ().get("PGPASSWORD") for each in family if "pg_dump" in each.name()]
        assert given == [PASSWORD]
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    wrong = tailwatch("backup", str(tmp_path / "other.tar"), DATABASE_URL=url.replace("tailwatch:", "nobody:"))
    assert wrong.returncode == 1
    everything = [
        *lines,
        said.decode(),
        wrong.stderr.decode(),
        (tmp_path / "backup.tar").read_bytes().decode("latin1"),
    ]
    assert [secret for secret in secrets for each in everything if secret in each] == []
