"""docs/risk-methods.md names every method and every warning code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tailwatch.risk import Method, Status, caveats

PAGE = (Path(__file__).parents[3] / "docs" / "risk-methods.md").read_text()
CODES = {
    *re.findall(r'Caveat\(\s*"(\w+)"', inspect.getsource(caveats)),
    *(status.value for status in Status if status is not Status.MODELLED),
}


def test_codes_are_found() -> None:
    assert {"nav_not_positive", "ewma_scaling", "drawdown", "proxied"} <= CODES


@pytest.mark.parametrize("name", sorted(CODES | {method.value for method in Method}))
def test_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE or f"{name} method" in PAGE
