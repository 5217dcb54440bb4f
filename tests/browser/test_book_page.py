"""The book on the page: a broker's file in and out again, the trail of a change, a price that was held back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from tailwatch import refresh
from tailwatch.db.session import transaction
from tests.support.product import Product
from tests.support.waiting import wait_until

FILE = """external_id,date,type,symbol,quantity,price,currency,fee,note
2,2022-01-04,buy,AAPL,40,178.97,USD,1,
3,2022-01-05,buy,KO,100,60.3,USD,1,
4,2022-02-01,sell,KO,-30,61.2,USD,1,
5,2022-02-02,buy,AAPL,ten,170,USD,1,
"""


@pytest.fixture
def broker(dashboard: Page, product: Product) -> Callable[[str], int]:
    """Make a portfolio of a name and open its page of imports."""

    def opened(name: str) -> int:
        portfolio_id = product.create_portfolio(name)
        dashboard.goto(f"{product.url}/portfolios/{portfolio_id}/import")
        return portfolio_id

    return opened


def choose(page: Page, content: str) -> None:
    file = {"name": "broker.csv", "mimeType": "text/csv", "buffer": content.encode()}
    page.get_by_test_id("import-file").set_input_files(files=[file])


def test_a_brokers_file_becomes_risk_and_is_taken_back(
    dashboard: Page, console: list[str], product: Product, broker: Callable[[str], int]
) -> None:
    portfolio_id = broker("Broker")
    choose(dashboard, FILE)
    rows = dashboard.get_by_test_id("import-row")
    expect(rows).to_have_count(4)
    expect(rows.nth(3)).to_have_attribute("data-status", "error")
    expect(rows.nth(3)).to_contain_text("ten")
    assert product.api.get(f"{product.url}/api/portfolios/{portfolio_id}/trades", timeout=10).json()["items"] == []
    dashboard.get_by_test_id("import-book").click()
    expect(dashboard.get_by_test_id("figure-var")).to_have_text(re.compile(r"^\s*\d+\.\d+%"), timeout=20_000)
    holdings = dashboard.get_by_test_id("holding-row")
    expect(holdings.filter(has_text="KO")).to_contain_text("70")
    expect(holdings.filter(has_text="AAPL")).to_contain_text("40")
    # The same file again: everything is there already.
    dashboard.goto(f"{product.url}/portfolios/{portfolio_id}/import")
    choose(dashboard, FILE)
    expect(rows.nth(0)).to_have_attribute("data-status", "duplicate")
    expect(dashboard.get_by_test_id("import-book")).to_be_disabled()
    dashboard.get_by_test_id("take-back").click()
    dashboard.get_by_role("dialog").get_by_role("button", name="Take back").click()
    expect(dashboard.get_by_test_id("past-import")).to_have_count(0)
    assert product.api.get(f"{product.url}/api/portfolios/{portfolio_id}/trades", timeout=10).json()["items"] == []
    assert console == []


def test_an_edited_trade_leaves_its_trail(
    dashboard: Page, console: list[str], product: Product, broker: Callable[[str], int]
) -> None:
    portfolio_id = broker("Edited")
    booked = product.trade(portfolio_id, "KO", "10", "60")
    product.wait_fresh(portfolio_id, booked["revision"])
    dashboard.goto(f"{product.url}/portfolios/{portfolio_id}")
    dashboard.get_by_test_id("trade-edit").click()
    form = dashboard.get_by_role("dialog").get_by_test_id("trade-form")
    form.get_by_test_id("trade-quantity").fill("12")
    form.get_by_test_id("trade-submit").click()
    expect(dashboard.get_by_test_id("holding-row").filter(has_text="KO")).to_contain_text("12", timeout=15_000)
    dashboard.get_by_test_id("to-changes").click()
    change = dashboard.get_by_test_id("change")
    expect(change).to_have_count(1)
    expect(change).to_contain_text("owner@example.org")
    expect(change.locator("del")).to_have_text("10")
    expect(change.locator("ins")).to_have_text("12")
    assert console == []


def test_a_held_price_is_believed_on_the_page(dashboard: Page, console: list[str], product: Product) -> None:
    day, now = "2022-12-29", datetime.now(UTC)
    with product.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO held_prices "
                "(instrument_id, day, close, adjusted_close, source, fetched_at, code, reason) "
                "SELECT id, :day, 200, 200, 'sample', :now, 'jump', :reason "
                "FROM instruments WHERE ticker = 'AAPL'"
            ),
            {"day": day, "now": now, "reason": "A close of 200 after 126 is not explained."},
        )
    dashboard.goto(f"{product.url}/prices")
    row = dashboard.get_by_test_id("price-row").filter(has_text="AAPL")
    expect(row).to_have_attribute("data-state", "held")
    expect(row.get_by_test_id("held-price")).to_contain_text("A close of 200 after 126 is not explained.")
    row.get_by_test_id("release").click()
    dashboard.get_by_role("dialog").get_by_role("button", name="Believe it").click()
    expect(row.get_by_test_id("held-price")).to_contain_text("Believed by owner@example.org")
    expect(row).not_to_have_attribute("data-state", "held")
    assert console == []

    def is_a_price() -> bool:
        with product.engine.connect() as connection:
            return connection.scalar(text("SELECT close FROM prices WHERE day = :day"), {"day": day}) == 200

    wait_until(is_a_price, "the believed price is one")
    # For the tests after this one.
    with transaction(product.engine) as session:
        gone = text("DELETE FROM prices WHERE day = :day RETURNING instrument_id")
        touched = session.scalars(gone, {"day": day}).all()
        session.execute(text("DELETE FROM held_prices"))
        refresh.raise_market_revision(session, touched)
