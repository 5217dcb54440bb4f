"""Which programs run: live quotes only where somebody asked for them."""

from __future__ import annotations

import pytest

from tailwatch.embedded.programs import PRODUCT, QUOTES, product
from tailwatch.settings import Settings


@pytest.mark.parametrize("said", ["on", "ON", "true", "1", "yes", "y", "t"])
def test_live_quotes_run_when_they_are_asked_for_and_stop_first(said: str) -> None:
    assert Settings.model_validate({"live_quotes": said}).live_quotes
    assert product({"LIVE_QUOTES": said}) == ((QUOTES,), *PRODUCT)


@pytest.mark.parametrize("environment", [{}, {"LIVE_QUOTES": ""}, {"LIVE_QUOTES": "off"}, {"LIVE_QUOTES": "0"}])
def test_otherwise_they_do_not(environment: dict[str, str]) -> None:
    assert product(environment) == PRODUCT
    assert QUOTES not in [program for group in PRODUCT for program in group]
