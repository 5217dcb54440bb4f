"""What a process loads before it has anything to do: the whole stack has to fit onto a small machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tailwatch.embedded.environment import ROOT

#: Each costs a process 10 to 100 MB.
HEAVY = {"numpy", "pandas", "scipy", "yfinance", "exchange_calendars", "curl_cffi", "fastparquet", "defusedxml"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("api.app", set()),
        ("scheduler.__main__", set()),
        # It computes, and asks Yahoo only when a price is due.
        ("worker.app", {"numpy"}),
        ("worker.quotes.__main__", {"numpy"}),
    ],
)
def test_a_process_loads_no_more_than_it_needs(module: str, needed: set[str]) -> None:
    program = f"import sys, {module}; print(*({HEAVY!r} & set(sys.modules)))"
    environment = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert set(said.stdout.split()) <= needed
