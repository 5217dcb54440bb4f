"""Live quotes as a reader sees them: the figures follow the stream, say so, and go back to the snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tailwatch import accounts
from tailwatch.db.session import transaction
from tests.support.product import Product, running_product
from tests.support.stream_server import StreamServer, stream_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

#: The day after the sample ends.
OPEN = datetime(2022, 12, 29, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def stream() -> Iterator[StreamServer]:
    with stream_server() as server:
        yield server


@pytest.fixture(scope="module")
def quoted(stream: StreamServer) -> Iterator[Product]:
    with running_product(LIVE_QUOTES="on", LIVE_QUOTES_URL=stream.url, PRICE_HISTORY_DAYS="3600") as running:
        running.start("quotes")
        yield running


def test_figures_follow_the_stream_and_go_back_to_the_snapshot(
    page: Page, console: list[str], quoted: Product, stream: StreamServer
) -> None:
    portfolio_id = quoted.create_portfolio("Live")
    quoted.trade(portfolio_id, "AAPL", "1000")
    snapshot = quoted.wait_fresh(portfolio_id, quoted.trade(portfolio_id, "MSFT", "100")["revision"])
    closes = {one["ticker"]: Decimal(one["price"]) for one in snapshot["positions"]}
    with transaction(quoted.engine) as session:
        secret = accounts.create_sign_in_link(session, quoted.owner, datetime.now(UTC))
    page.goto(f"{quoted.url}/sign-in#{secret}")
    value, mark = page.get_by_test_id("figure-nav"), page.get_by_test_id("live")
    expect(value).to_have_text(f"${snapshot_value(snapshot):,.0f}", timeout=20_000)
    expect(mark).to_have_count(0)
    before = page.get_by_test_id("figure-var").inner_text()

    wait_until(lambda: {"AAPL", "MSFT"} <= stream.followed, "what is held is subscribed to")
    stream.send("AAPL", 150.0, OPEN)
    live = 1000 * Decimal(150) + 100 * closes["MSFT"]
    expect(value).to_have_text(f"${live:,.0f}", timeout=20_000)
    expect(mark).to_have_text(["live"] * 4)
    expect(page.get_by_test_id("change-nav")).to_contain_text(f"+${live - snapshot_value(snapshot):,.0f}")
    expect(page.get_by_test_id("figure-var")).not_to_have_text(before)
    expect(page.get_by_test_id("margin")).to_contain_text("1 of 2 positions")

    stream.stop()
    try:
        expect(mark).to_have_count(0, timeout=30_000)
        expect(value).to_have_text(f"${snapshot_value(snapshot):,.0f}")
        expect(page.get_by_test_id("figure-var")).to_have_text(before)
    finally:
        stream.start()
    wait_until(lambda: "AAPL" in stream.followed, "connected again", 60)
    stream.send("AAPL", 151.0, OPEN)
    expect(mark).to_have_count(4, timeout=20_000)
    # A trade makes a newer snapshot, and the prices of now are put on that.
    quoted.trade(portfolio_id, "AAPL", "1000")
    stream.send("AAPL", 152.0, OPEN)
    doubled = 2000 * Decimal(152) + 100 * closes["MSFT"]
    expect(value).to_have_text(re.compile(re.escape(f"${doubled:,.0f}")), timeout=20_000)
    assert console == []


def snapshot_value(snapshot: dict[str, str]) -> Decimal:
    return Decimal(snapshot["nav"])
