"""A newcomer with a broker's file: their own risk, from files of prices, through the product as it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.support.markets import weekdays
from tests.support.newcomer import BROKERS_FILE, HELD, fill
from tests.support.product import running_product
from tests.support.waiting import wait_until


def test_a_brokers_file_becomes_the_risk_of_its_owner(tmp_path: Path) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    closes = fill(tmp_path, yesterday)
    with running_product(PRICE_SOURCES="folder,sample", PRICE_FOLDER=str(tmp_path)) as product:
        portfolio_id = product.create_portfolio("Mine")
        address = f"{product.url}/api/portfolios/{portfolio_id}/trades/import"
        file = {"file": ("U1.csv", BROKERS_FILE.encode())}
        planned = product.api.post(address, params={"dry_run": "true"}, files=file, timeout=30).json()
        assert planned["format"] == "ib_flex_csv"
        assert (planned["counts"]["new"], planned["counts"]["error"]) == (4, 0)
        done = product.api.post(address, files=file, timeout=30).json()
        assert done["counts"]["booked"] == 4

        def is_whole() -> bool:
            found = product.risk(portfolio_id)
            return found["state"] == "fresh" and {one["status"] for one in found["positions"]} == {"modelled"}

        wait_until(is_whole, "all prices and rates have come", 60)
        found = product.risk(portfolio_id)
        standing = product.api.get(f"{product.url}/api/prices", timeout=10).json()["items"]
    assert {one["ticker"]: Decimal(one["quantity"]) for one in found["positions"]} == HELD
    assert found["as_of"] == weekdays(1, yesterday)[0].isoformat()
    euro, pound = closes["EURUSD=X"], closes["GBPUSD=X"]
    value = 40 * closes["AAPL"] + 10 * closes["BRK-B"] + 30 * closes["VOD.L"] * pound - 15 * closes["SAP.DE"] * euro
    assert Decimal(found["nav"]) == value
    assert 0 < found["var_95_1d"] < found["es_95_1d"] < 0.2
    assert found["warnings"] == []
    assert {one["ticker"]: (one["state"], one["source"]) for one in standing} == dict.fromkeys(
        closes, ("ok", "folder")
    )
