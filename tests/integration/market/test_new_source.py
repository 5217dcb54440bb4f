"""The guide's example of a new source, run as it stands there, through the chain and the store."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tailwatch.market import store
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import PriceSource, SourceChain

NOW = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> PriceSource:
    guide = (ROOT / "docs" / "data.md").read_text()
    [example] = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "docs/data.md", "exec"), names)
    made: PriceSource = names["JsonSource"](tmp_path / "prices.json")
    return made


def test_the_example_of_the_guide_is_a_source(engine: Engine, source: PriceSource, tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_text(json.dumps({"XYZ": {"2026-03-31": "62.25", "2026-03-30": "62.1"}}))
    chain = SourceChain([source, SampleSource()])
    with transaction(engine) as session:
        ids = {ticker: each.id for ticker, each in ensure_instruments(session, ["XYZ", "KO", "NOSUCH"]).items()}
        outcomes = {each: chain.fetch(ticker, date(2020, 1, 1), NOW) for ticker, each in ids.items()}
        assert store.save_all(session, outcomes, chain, NOW) == sorted(ids.values())
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT ticker, source FROM instruments"))
        served = {row.ticker: row.source for row in rows}
        closes = connection.scalars(text("SELECT close FROM prices WHERE source = 'json' ORDER BY day")).all()
    assert served == {"XYZ": "json", "KO": "sample", "NOSUCH": None}
    assert closes == [Decimal("62.1"), Decimal("62.25")]


def test_its_failure_is_one_that_the_chain_knows(source: PriceSource) -> None:
    chain = SourceChain([source, SampleSource()])
    outcome = chain.fetch("KO", date(2020, 1, 1), NOW)
    assert outcome.history is not None
    assert outcome.history.source == "sample"
    assert outcome.reason is not None
    assert outcome.reason.endswith("prices.json cannot be read.")
    assert "json" in chain.out_of_service
