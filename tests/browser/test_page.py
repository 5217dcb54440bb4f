"""The page as its reader uses it: sign in by the link, read, trade, watch the figures change by themselves."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import update

from tailwatch.db.models import Instrument
from tailwatch.db.session import transaction
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


def reveal(page: Page, panel: str) -> Locator:
    """Scroll to a panel that loads once it comes into sight."""
    # The placeholder may be replaced at any moment, so it must not be waited for to stand still.
    page.locator(f".{panel}").evaluate("element => element.scrollIntoView()")
    shown = page.locator(f"app-{panel}")
    shown.wait_for()
    return shown


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
    expect(dashboard.get_by_test_id("margin")).to_contain_text("90%")
    expect(dashboard.get_by_test_id("methods").locator("tbody tr")).to_have_count(5)
    expect(dashboard.get_by_test_id("diversification")).to_contain_text("Effective bets")
    assert console == []


def test_contributions_are_shown_by_position_label_and_currency(dashboard: Page, product: Product) -> None:
    names = dashboard.get_by_test_id("share")
    expect(names).to_have_count(20)
    labels = {"sector": "Technology", "asset_class": "Equity"}
    with transaction(product.engine) as session:
        wanted = Instrument.ticker.in_(["AAPL", "AMD", "MSFT"])
        session.execute(update(Instrument).values(labels={}))
        session.execute(update(Instrument).where(wanted).values(labels=labels))
    dashboard.get_by_test_id("recompute").click()
    chosen = dashboard.get_by_test_id("grouping")
    for kind, label in (("Sector", "Technology"), ("Asset class", "Equity")):
        chosen.get_by_role("radio", name=kind).click(timeout=15_000)
        expect(names).to_have_count(2, timeout=15_000)
        expect(names.filter(has_text=label)).to_have_text(re.compile(r"\b3$"))
        expect(names.filter(has_text="No label")).to_have_text(re.compile(r"\b17$"))
    chosen.get_by_role("radio", name="Currency").click()
    expect(names).to_have_text([re.compile("USD.*20", re.DOTALL)])


def test_the_effect_of_a_trade_is_told_before_it_is_booked_and_comes_true(
    dashboard: Page, console: list[str], product: Product, demo_id: int
) -> None:
    form = dashboard.get_by_test_id("trade-form").last
    form.scroll_into_view_if_needed()
    before = figure(dashboard, "var")
    form.get_by_test_id("trade-ticker").fill("amd")
    form.get_by_test_id("trade-quantity").fill("2000")
    told = form.get_by_test_id("effect-var")
    expect(told).to_have_text(re.compile(r"\d"), timeout=15_000)
    promised = told.inner_text()
    assert promised != before
    form.get_by_test_id("effect-limit").click()
    expect(form.get_by_test_id("effect-size")).to_contain_text("AMD", timeout=15_000)
    form.get_by_test_id("effect-hedge").click()
    expect(form.get_by_test_id("effect-hedge-answer")).to_contain_text("from", timeout=15_000)
    form.get_by_test_id("trade-price").fill("64.52")
    form.get_by_test_id("trade-submit").click()
    try:
        expect(dashboard.get_by_test_id("figure-var")).to_have_text(promised, timeout=15_000)
        movement = dashboard.get_by_test_id("movement")
        expect(movement).to_contain_text(re.compile("VaR|olatility"), timeout=15_000)
        dashboard.get_by_test_id("movement-parts").click()
        expect(dashboard.get_by_test_id("movement-table")).to_contain_text("Trades")
        assert console == []
    finally:
        newest = product.api.get(f"{product.url}/api/portfolios/{demo_id}/trades", timeout=10).json()["items"][0]
        product.api.delete(f"{product.url}/api/portfolios/{demo_id}/trades/{newest['id']}", timeout=10)


def test_past_crises_are_replayed_and_open_on_their_positions(dashboard: Page, console: list[str]) -> None:
    stress = reveal(dashboard, "stress")
    episodes = stress.get_by_test_id("episodes").get_by_test_id("scenario")
    expect(episodes.nth(4)).to_contain_text(re.compile(r"[−+]\$\d"))
    expect(stress.get_by_test_id("shocks").locator("tbody tr").first).to_contain_text("Today")
    episodes.last.click()
    expect(stress.get_by_test_id("scenario-positions").locator("li").first).to_contain_text("own prices")
    assert console == []


def test_a_backtest_is_computed_on_demand_and_says_whether_the_figures_held(
    dashboard: Page, console: list[str]
) -> None:
    panel = reveal(dashboard, "backtest")
    words = panel.get_by_test_id("backtest")
    panel.get_by_test_id("backtest-ask").click()
    expect(words).to_have_attribute("data-state", "ready", timeout=60_000)
    expect(words).to_contain_text("Kupiec")
    expect(panel.get_by_role("img")).to_be_visible()
    panel.get_by_role("radio", name="VaR 99").click()
    expect(words).to_contain_text("VaR 99%")
    assert console == []


def test_another_method_leads_once_it_is_chosen(dashboard: Page, product: Product, demo_id: int) -> None:
    before = figure(dashboard, "var")
    dashboard.get_by_role("link", name="Change", exact=True).click()
    dashboard.get_by_test_id("portfolio-method").click()
    dashboard.get_by_role("option", name="Student-t").click()
    dashboard.get_by_test_id("portfolio-covariance").click()
    dashboard.get_by_role("option", name="Ledoit-Wolf").click()
    dashboard.get_by_test_id("portfolio-save").click()
    try:
        leader = dashboard.get_by_test_id("methods").locator("tr.leads")
        expect(leader).to_contain_text("Student-t", timeout=15_000)
        expect(dashboard.get_by_test_id("figure-var")).not_to_have_text(before)
    finally:
        product.api.patch(
            f"{product.url}/api/portfolios/{demo_id}",
            json={"risk_method": "filtered", "risk_covariance": "sample"},
            timeout=10,
        )
    expect(dashboard.get_by_test_id("figure-var")).to_have_text(before, timeout=15_000)


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
        for panel in ("backtest", "stress"):
            reveal(page, panel)
        page.get_by_test_id("scenario").first.wait_for()
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.get_by_test_id("trade-row").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    finally:
        context.close()
