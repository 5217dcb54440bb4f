"""What the doctor says of price sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwatch.cli import doctor
from tailwatch.settings import get_settings


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("PRICE_SOURCES", "folder")
    monkeypatch.setenv("PRICE_FOLDER", str(tmp_path / "prices"))
    get_settings.cache_clear()
    yield tmp_path / "prices"
    get_settings.cache_clear()


def found() -> list[tuple[str, str]]:
    return [(one.verdict, one.sentence) for one in doctor._prices()]


def test_a_folder_without_the_ticker_that_is_asked_for_is_in_order(folder: Path) -> None:
    folder.mkdir()
    [(kind, said)] = found()
    assert kind == "ok"
    assert said.startswith(f"folder answers; it has no {doctor.KNOWN_TICKER} (There is no file")


def test_a_folder_that_is_not_there_is_not(folder: Path) -> None:
    (note, said), (wrong, _) = found()
    assert (note, wrong) == ("note", "wrong")
    assert said.startswith("folder: There is no folder ")
