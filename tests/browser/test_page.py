"""The page as its reader uses it: sign in by the link, read, trade, watch the figures change by themselves."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.product import Product
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

FIGURES = ("nav", "volatility", "var", "es")


def fill_trade(page: Page, ticker: str, quantity: str, price: str) -> None:
    form = page.get_by_test_id("trade-form").last
    form.scroll_into_view_if_needed()
    form.get_by_test_id("trade-ticker").fill(ticker)
    form.get_by_test_id("trade-quantity").fill(quantity)
    form.get_by_test_id("trade-price").fill(price)
    form.get_by_test_id("trade-submit").click()


def figure(page: Page, name: str) -> str:
    return page.get_by_test_id(f"figure-{name}").inner_text()


def test_the_link_signs_in_once_and_leaves_no_trace(page: Page, console: list[str], sign_in_link: str) -> None:
    page.goto(sign_in_link)
    expect(page.get_by_test_id("answer")).to_contain_text("On 19 of 20 days")
    assert "#" not in page.url
    assert console == []
    page.context.clear_cookies()
    page.goto("about:blank")
    page.goto(sign_in_link)
    expect(page.get_by_test_id("link-failure")).to_be_visible()
    expect(page.get_by_test_id("sign-in-password")).to_be_visible()


def test_every_figure_and_every_position_is_there(dashboard: Page, console: list[str]) -> None:
    for name in FIGURES:
        expect(dashboard.get_by_test_id(f"figure-{name}")).to_contain_text(re.compile(r"\d"))
    expect(dashboard.get_by_test_id("holding-row")).to_have_count(20)
    assert console == []


def test_a_trade_changes_the_figures_without_a_reload(
    dashboard: Page, console: list[str], product: Product, demo_id: int
) -> None:
    before = {name: figure(dashboard, name) for name in FIGURES}
    dashboard.evaluate("window.notReloaded = true")
    fill_trade(dashboard, "aapl", "5000", "125.67")
    for name in FIGURES:
        expect(dashboard.get_by_test_id(f"figure-{name}")).not_to_have_text(before[name], timeout=10_000)
    expect(dashboard.get_by_test_id("freshness")).to_contain_text("Fresh", timeout=10_000)
    row = dashboard.get_by_test_id("holding-row").filter(has_text="AAPL")
    expect(row).to_contain_text("5,160")
    assert dashboard.evaluate("window.notReloaded") is True
    assert console == []
    newest = product.api.get(f"{product.url}/api/portfolios/{demo_id}/trades", timeout=10).json()["items"][0]
    product.api.delete(f"{product.url}/api/portfolios/{demo_id}/trades/{newest['id']}", timeout=10)
    for name in FIGURES:
        expect(dashboard.get_by_test_id(f"figure-{name}")).to_have_text(before[name], timeout=10_000)


def test_a_refused_trade_says_why_at_the_field_and_keeps_what_was_typed(dashboard: Page) -> None:
    fill_trade(dashboard, "A$PL", "0", "-3")
    form = dashboard.get_by_test_id("trade-form").last
    for field in ("ticker", "quantity", "price"):
        expect(form.get_by_test_id(f"trade-{field}-error").first).to_be_visible()
    expect(form.get_by_test_id("trade-ticker")).to_have_value(re.compile("A\\$PL", re.IGNORECASE))
    expect(form.get_by_test_id("trade-price")).to_have_value("-3")


def test_a_ticker_that_nobody_knows_is_shown_as_such(dashboard: Page, product: Product, demo_id: int) -> None:
    booked = product.trade(demo_id, "NOSUCH", "10", "5")
    try:
        row = dashboard.get_by_test_id("holding-row").filter(has_text="NOSUCH")
        expect(row).to_be_visible(timeout=15_000)
        expect(dashboard.get_by_test_id("caveat").filter(has_text="NOSUCH").first).to_be_visible(timeout=15_000)
    finally:
        trade = booked["trade"]["id"]
        product.api.delete(f"{product.url}/api/portfolios/{demo_id}/trades/{trade}", timeout=10)


def test_recompute_makes_a_new_snapshot(dashboard: Page, product: Product, demo_id: int) -> None:
    before = product.risk(demo_id)["snapshot_id"]
    dashboard.get_by_test_id("recompute").click()
    # The last snapshot may be seconds old itself: what the page says of its age proves nothing before the new one.
    wait_until(lambda: product.risk(demo_id)["snapshot_id"] > before, "there is a new snapshot")
    expect(dashboard.get_by_test_id("freshness")).to_contain_text(
        re.compile(r"Fresh · (just now|[0-9] s)"), timeout=15_000
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_scrolls_sideways_and_axe_finds_nothing(
    browser: Browser, sign_in_link: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.goto(sign_in_link)
        page.get_by_test_id("freshness").filter(has_text="Fresh").wait_for(timeout=20_000)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.get_by_test_id("trade-row").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    finally:
        context.close()
