"""Which Node can build the page, and when there is nothing to build."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tailwatch.embedded import page


@pytest.mark.parametrize("version", ["v22.22.3", "v22.30.0", "v24.15.0", "v24.19.1"])
def test_fitting_versions(version: str) -> None:
    assert page.fits(version)


@pytest.mark.parametrize("version", ["v20.20.2", "v22.22.2", "v23.9.0", "v24.14.9", "v26.0.0", "", "24.15.0", "v24"])
def test_other_versions(version: str) -> None:
    assert not page.fits(version)


def test_the_versions_are_those_that_the_page_asks_for() -> None:
    wanted = json.loads((page.FRONTEND / "package.json").read_text())["engines"]["node"]
    found = {tuple(map(int, version.split("."))) for version in re.findall(r"\^([\d.]+)", wanted)}
    assert found == set(page.FITTING_NODE.values())


def test_the_build_is_known_by_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frontend = tmp_path / "frontend"
    shutil.copytree(page.FRONTEND, frontend, ignore=shutil.ignore_patterns("node_modules", "dist", ".angular"))
    monkeypatch.setattr(page, "FRONTEND", frontend)
    monkeypatch.setattr(page, "DIST", frontend / "dist")
    assert not page.is_built()
    (frontend / "dist").mkdir()
    (frontend / "dist" / ".built").write_text(page.sources_fingerprint())
    assert page.is_built()
    (frontend / "src" / "only.spec.ts").write_text("// a test is no part of the page")
    assert page.is_built()
    main = frontend / "src" / "main.ts"
    main.write_text(main.read_text() + "\n")
    assert not page.is_built()
