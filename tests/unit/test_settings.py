"""Settings from variables and from files that variables name; secrets that would protect nothing are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from tailwatch.settings import Settings, get_settings, refuse_weak

STRONG = "k2/9 vQ%x8Lw@Zt4"


@pytest.fixture(autouse=True)
def _read_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DATABASE_URL", "REDIS_URL", "DATABASE_PASSWORD", "REDIS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_a_file_works_wherever_a_variable_does(field: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    value = EXAMPLES.get(field, "7")
    file = tmp_path / "value"
    file.write_text(f"{value}\n")
    monkeypatch.setenv(field.upper(), value)
    by_variable = getattr(Settings(), field)
    monkeypatch.delenv(field.upper())
    default = getattr(Settings(), field)
    monkeypatch.setenv(f"{field.upper()}_FILE", str(file))
    assert getattr(Settings(), field) == by_variable != default


#: A value other than the default, for settings that are not whole numbers.
EXAMPLES = {
    "database_url": "postgresql://somebody@db/other",
    "redis_url": "redis://cache:1/2",
    "database_password": STRONG,
    "redis_password": STRONG,
    "price_sources": "sample",
    "price_history_days": "500",
    "yahoo_base_url": "http://127.0.0.1:1",
    "csv_prices_url": "http://127.0.0.1:1/{ticker}.csv",
    "csv_prices_currency": "GBp",
    "price_folder": "/prices",
    "price_folder_currency": "EUR",
    "live_quotes": "on",
    "live_quotes_url": "ws://127.0.0.1:1",
    "nightly_at": "21:15",
    "backup_at": "03:00",
    "backup_dir": "/backups",
    "backup_keep": "3",
    "cookie_secure": "true",
    "trust_proxy_hops": "1",
    "frontend_dist": "/page",
    "log_format": "json",
    "log_level": "ERROR",
    "prometheus_multiproc_dir": "/metrics",
    "metrics_token": STRONG,
    "edge_status_url": "http://frontend:8081/status",
    "celery_events": "true",
    "health_dir": "/health",
    "edge_marks_dir": "/marks",
    "public_url": "https://tailwatch.example.org",
    "tailwatch_host": "0.0.0.0",
    "tailwatch_socket": "/run/api.sock",
}


def test_a_password_goes_into_an_address_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://tailwatch@postgres:5432/tailwatch?sslmode=disable")
    monkeypatch.setenv("DATABASE_PASSWORD", STRONG)
    monkeypatch.setenv("REDIS_URL", "redis://redis:6379/0")
    monkeypatch.setenv("REDIS_PASSWORD", STRONG)
    settings = get_settings()
    assert settings.database_url == (
        "postgresql://tailwatch:k2%2F9%20vQ%25x8Lw%40Zt4@postgres:5432/tailwatch?sslmode=disable"
    )
    assert settings.redis_url == "redis://:k2%2F9%20vQ%25x8Lw%40Zt4@redis:6379/0"


def test_an_address_with_a_password_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://tailwatch:own@postgres/tailwatch")
    monkeypatch.setenv("DATABASE_PASSWORD", STRONG)
    assert get_settings().database_url == "postgresql://tailwatch:own@postgres/tailwatch"


def test_variable_and_file_at_once_are_refused_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    monkeypatch.setenv("LOG_LEVEL_FILE", str(tmp_path / "level"))
    with pytest.raises(ValueError, match="LOG_LEVEL and LOG_LEVEL_FILE are both set; keep one of them"):
        get_settings()


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match=r"REDIS_PASSWORD_FILE: .*missing cannot be read \(No such file"):
        get_settings()


@pytest.mark.parametrize(
    "secret", ["short", "postgres", "Postgres2024!", "changeme1234", "aaaaaaaaaaaaaaaaaaaa", "tailwatch-secret"]
)
def test_weak_secrets_are_refused_and_not_repeated(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", secret)
    with pytest.raises(ValidationError, match="DATABASE_PASSWORD is too easy to guess") as refused:
        get_settings()
    assert secret not in str(refused.value)


@pytest.mark.parametrize("secret", [STRONG, "0123456789ab", "correct horse battery staple"])
def test_other_secrets_are_taken(secret: str) -> None:
    refuse_weak("DATABASE_PASSWORD", secret)


@pytest.mark.parametrize("process", ["api.gunicorn_config", "worker.app", "scheduler.__main__"])
@pytest.mark.parametrize(
    ("name", "value"), [("REDIS_PASSWORD", "password1"), ("LOG_LEVEL", "LOUD"), ("REDIS_URL_FILE", "/nowhere/at/all")]
)
def test_a_process_whose_settings_are_refused_ends_with_a_sentence(process: str, name: str, value: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in {"REDIS_URL", "REDIS_PASSWORD"}} | {name: value}
    ended = subprocess.run(
        [sys.executable, "-c", f"import {process}"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Tailwatch cannot start. ")
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "password1" not in ended.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://prices.example.org/daily",
        "ftp://prices.example.org/{ticker}",
        "https://prices.example.org/{ticker}?{secret}",
        "https://prices.example.org/{ticker}?{}",
        "https://prices.example.org/{ticker",
        "https://prices.example.org/{ticker.__class__}",
        "https://prices.example.org/{ticker}?{start:%Y%m%d}&{key[0]}",
        "https://prices.example.org/{ticker:%Y}",
    ],
)
def test_an_address_that_cannot_be_filled_in_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSV_PRICES_URL", url)
    with pytest.raises(ValidationError, match=r"has \{ticker\} in it"):
        get_settings()


@pytest.mark.parametrize(("source", "missing"), [("csv", "CSV_PRICES_URL"), ("folder", "PRICE_FOLDER")])
def test_a_source_without_its_setting_is_refused(source: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICE_SOURCES", f"{source},sample")
    with pytest.raises(ValidationError, match=f"PRICE_SOURCES names {source}, so {missing} must be set"):
        get_settings()
