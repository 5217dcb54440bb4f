"""The launcher's first words: which Python it takes, and what it says when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tailwatch.embedded import environment
from tailwatch.embedded.environment import ROOT

#: Runs ./run under a Python that says it is old.
OLD_PYTHON = (
    "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = [{run!r}, 'doctor']; "
    "runpy.run_path({run!r}, run_name='__main__')"
)


def run_with_old_python(path: Path) -> subprocess.CompletedProcess[str]:
    code = OLD_PYTHON.format(run=str(ROOT / "run"))
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": str(path)},
    )


def test_an_old_python_says_what_to_install(tmp_path: Path) -> None:
    done = run_with_old_python(tmp_path)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_an_old_python_finds_a_newer_one(tmp_path: Path) -> None:
    newer = tmp_path / "python3.12"
    newer.write_text('#!/bin/sh\necho "started with: $*"\n')
    newer.chmod(0o755)
    (tmp_path / "python3.13").mkdir()
    done = run_with_old_python(tmp_path)
    assert done.stdout == f"started with: {ROOT / 'run'} doctor\n"


def test_the_environment_without_anything_to_do_says_nothing() -> None:
    environment.ensure(test=False)
    done = subprocess.run([sys.executable, ROOT / "run", "version"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1


def test_locks_name_no_package_index() -> None:
    for name in (
        environment.BOOTSTRAP,
        environment.REQUIREMENTS,
        environment.TEST_REQUIREMENTS,
        environment.NODE_REQUIREMENTS,
    ):
        lines = (ROOT / name).read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("--index")], name
        assert any("--hash=sha256:" in line for line in lines), name
