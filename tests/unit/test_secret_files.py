"""Secrets of a container installation: made once, taken when given, refused when they protect nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tailwatch.secret_files import SECRETS, SecretError, ensure

STRONG = 'k2/9 "vQ\\x8Lw@Zt4'


def contents(folder: Path) -> dict[str, str]:
    return {secret.name: (folder / secret.name).read_text() for secret in SECRETS}


def test_first_start_makes_every_secret_and_the_next_keeps_them(tmp_path: Path) -> None:
    made = ensure(tmp_path, {})
    first = contents(tmp_path)
    assert set(made) == set(first)
    assert len(set(first.values())) == len(SECRETS), "each has one of its own"
    assert all(len(value) >= 40 for value in first.values())
    assert ensure(tmp_path, {}) == []
    assert contents(tmp_path) == first


def test_nobody_but_the_services_reads_them(tmp_path: Path) -> None:
    ensure(tmp_path, {})
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o440}


def test_given_ones_are_taken_by_value_and_by_file(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text(STRONG + "\n")
    folder = tmp_path / "secrets"
    folder.mkdir()
    ensure(folder, {"REDIS_PASSWORD_FILE": str(given), "METRICS_TOKEN": "another-3f8b2c1d9e"})
    assert contents(folder)["redis_password"] == STRONG
    assert contents(folder)["metrics_token"] == "another-3f8b2c1d9e"
    assert (folder / "valkey.conf").read_text() == 'requirepass "k2/9 \\"vQ\\\\x8Lw@Zt4"\n'


def test_one_that_nobody_else_keeps_can_be_changed(tmp_path: Path) -> None:
    ensure(tmp_path, {})
    ensure(tmp_path, {"REDIS_PASSWORD": STRONG})
    assert contents(tmp_path)["redis_password"] == STRONG


def test_another_database_password_than_the_databases_own_is_refused(tmp_path: Path) -> None:
    ensure(tmp_path, {"POSTGRES_PASSWORD": STRONG})
    ensure(tmp_path, {"POSTGRES_PASSWORD": STRONG})
    with pytest.raises(SecretError, match="POSTGRES_PASSWORD is not the one this installation was made with"):
        ensure(tmp_path, {"POSTGRES_PASSWORD": STRONG + "x"})
    assert contents(tmp_path)["postgres_password"] == STRONG


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"POSTGRES_PASSWORD": "postgres"}, "POSTGRES_PASSWORD is too easy to guess"),
        ({"REDIS_PASSWORD": "changeme-changeme"}, "REDIS_PASSWORD is too easy to guess"),
        ({"REDIS_PASSWORD": STRONG, "REDIS_PASSWORD_FILE": "/x"}, "are both set; keep one"),
        ({"METRICS_TOKEN_FILE": "/nowhere/token"}, "METRICS_TOKEN_FILE: /nowhere/token cannot be read"),
        ({"METRICS_TOKEN": "abcdefgh\nijklmnop"}, "cannot be printed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(environment: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=sentence) as refused:
        ensure(tmp_path, environment)
    assert not any(value in str(refused.value) for name, value in environment.items() if not name.endswith("_FILE"))
