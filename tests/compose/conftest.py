"""One installation for all tests of this folder, built from this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.stack import Person, Stack


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "the browser test needs Chromium; on Debian: apt-get install chromium"
    return {"executable_path": chromium, "args": ["--no-sandbox", "--disable-background-networking"]}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    answer = subprocess.run(["docker", "info"], check=False, capture_output=True)
    assert answer.returncode == 0, "no Docker engine answers"
    stack = Stack(f"tailwatch-test-{os.getpid()}")
    try:
        stack.compose("build")
        stack.up()
        stack.wait_ready()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def person(stack: Stack) -> Person:
    return Person(stack)


@pytest.fixture(scope="session")
def demo_id(stack: Stack, person: Person) -> int:
    stack.tailwatch("demo", "load")
    portfolio_id = int(person.get("/api/portfolios")["items"][0]["id"])
    person.wait_fresh(portfolio_id, 1)
    return portfolio_id
