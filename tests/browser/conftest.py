"""Chromium on the built page, served by the real product."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page

from tailwatch import accounts, demo
from tailwatch.db.session import transaction
from tailwatch.settings import Settings
from tests.support.product import Product, running_product


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "the browser tests need Chromium; on Debian: apt-get install chromium"
    return {
        "executable_path": chromium,
        "args": ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    }


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    page = Settings().frontend_dist / "index.html"
    assert page.exists(), f"the page is not built ({page} is missing); ./run test builds it"
    # Every test signs in anew.
    with running_product(LOGIN_ATTEMPTS_PER_MINUTE="1000") as product:
        yield product


@pytest.fixture(scope="session")
def demo_id(product: Product) -> int:
    with transaction(product.engine) as session:
        portfolio_id = demo.load(session, accounts.create_owner(session, "owner@example.org"))
    assert portfolio_id is not None
    product.wait_fresh(portfolio_id, 1)
    return portfolio_id


@pytest.fixture
def sign_in_link(product: Product, demo_id: int) -> str:
    with transaction(product.engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        secret = accounts.create_sign_in_link(session, owner, datetime.now(UTC))
    return f"{product.url}/sign-in#{secret}"


@pytest.fixture
def console(page: Page) -> list[str]:
    """What the page complained about: errors on the console, exceptions, answers of 500 and above."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)
    return complaints


@pytest.fixture
def dashboard(page: Page, console: list[str], sign_in_link: str) -> Page:
    """The demo's dashboard, signed in by the one-time link."""
    page.goto(sign_in_link)
    page.get_by_test_id("freshness").filter(has_text="Fresh").wait_for(timeout=20_000)
    return page
