"""Live quotes on the real product: a server that speaks as Yahoo's stream, the process, and a page's connection."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
import socketio
from sqlalchemy import text

from tailwatch import accounts, refresh
from tailwatch.db.models import Trade
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tailwatch.measurement import series
from tailwatch.measurement.loading import load_with
from tailwatch.measurement.revaluing import Revaluing
from tests.support import markets
from tests.support.product import Product, running_product
from tests.support.stream_server import CURRENCY, POST, PRE, StreamServer, stream_server
from tests.support.waiting import wait_until

#: The day after the sample ends.
OPEN = datetime(2022, 12, 29, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def stream() -> Iterator[StreamServer]:
    with stream_server() as server:
        yield server


@pytest.fixture(scope="module")
def product(stream: StreamServer) -> Iterator[Product]:
    with running_product(LIVE_QUOTES="on", LIVE_QUOTES_URL=stream.url, PRICE_HISTORY_DAYS="3600") as running:
        running.start("quotes")
        yield running


class Page:
    """What a page hears of live prices."""

    def __init__(self, product: Product, token: str | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.gone = threading.Event()
        self.client = socketio.Client(reconnection=False, websocket_extra_options={"origin": product.url})
        self.client.on("prices", self.events.append)
        self.client.on("disconnect", lambda *_: self.gone.set())
        self.client.connect(product.url, transports=["websocket"], auth={"token": token or product.token})

    @property
    def newest(self) -> dict[str, Any]:
        return self.events[-1] if self.events else {}

    def position(self, ticker: str) -> dict[str, Any]:
        return next((one for one in self.newest.get("positions", ()) if one["ticker"] == ticker), {})


@contextmanager
def page(product: Product, portfolio_id: int, token: str | None = None) -> Iterator[Page]:
    opened = Page(product, token)
    try:
        answer = opened.client.call("subscribe", {"portfolio_id": portfolio_id}, timeout=10)
        assert "state" in answer, answer
        yield opened
    finally:
        opened.client.disconnect()


@pytest.fixture
def portfolio_id(product: Product, request: pytest.FixtureRequest) -> int:
    made = product.create_portfolio(request.node.name[:60])
    product.trade(made, "AAPL", "10")
    product.wait_fresh(made, product.trade(made, "MSFT", "-3")["revision"])
    return made


def test_a_tick_moves_value_result_and_risk_of_an_open_page(
    product: Product, stream: StreamServer, portfolio_id: int
) -> None:
    snapshot = product.risk(portfolio_id)
    with page(product, portfolio_id) as opened:
        wait_until(lambda: {"AAPL", "MSFT"} <= stream.followed, "what is held is subscribed to")
        stream.send("AAPL", 130.5, OPEN)
        wait_until(lambda: opened.position("AAPL").get("state") == "live", "the price reaches the page")
        event = opened.newest
    close = closes(snapshot)
    nav = 10 * Decimal("130.5") - 3 * close["MSFT"]
    pnl = 10 * (Decimal("130.5") - close["AAPL"])
    assert Decimal(event["nav"]) == nav
    assert Decimal(event["pnl"]) == pnl
    assert event["pnl_fraction"] == pytest.approx(float(pnl / Decimal(snapshot["nav"])))
    assert (event["snapshot_id"], event["revision"]) == (snapshot["snapshot_id"], snapshot["revision"])
    assert (event["close_day"], event["base_currency"], event["feed"]["state"]) == ("2022-12-28", "USD", "live")
    position = next(one for one in event["positions"] if one["ticker"] == "AAPL")
    assert (position["price"], position["market_value"], position["session"]) == ("130.5", "1305", "regular")
    assert position["change"] == pytest.approx(float(Decimal("130.5") / close["AAPL"] - 1))
    expected = revalued(product, portfolio_id, {"AAPL": Decimal("130.5")})
    for name in ("var_95_1d", "es_95_1d", "annualized_volatility", "es_99_1d"):
        assert event["amounts"][name] == pytest.approx(expected.amounts[name], rel=1e-12)
        assert event[name] == pytest.approx(expected.amounts[name] / float(nav), rel=1e-12)
    assert event["amounts"]["var_95_1d"] != snapshot["amounts"]["var_95_1d"]
    after = product.risk(portfolio_id)
    assert after == snapshot, "a live price became part of what is stored"


def closes(snapshot: dict[str, Any]) -> dict[str, Decimal]:
    return {one["ticker"]: Decimal(one["price"]) for one in snapshot["positions"]}


def revalued(product: Product, portfolio_id: int, prices: dict[str, Decimal]) -> Any:
    # What this process keeps is of the databases of other tests.
    for kept in (series._histories, series._samples):
        kept.clear()
    found = load_with(product.engine, portfolio_id, ())
    assert found is not None
    return Revaluing(found[0], OPEN.date()).at(prices)


def test_what_cannot_be_is_shown_or_passed_over_but_never_valued(
    product: Product, stream: StreamServer, portfolio_id: int
) -> None:
    with page(product, portfolio_id) as opened:
        wait_until(lambda: {"AAPL", "MSFT"} <= stream.followed, "what is held is subscribed to")
        stream.send("AAPL", 128.0, OPEN)
        wait_until(lambda: opened.position("AAPL").get("price") == "128", "a good price arrives")
        good = opened.newest["nav"]
        stream.send_raw("no JSON")
        stream.send_raw('{"message": "%%% no base64"}')
        stream.send_raw('{"message": "AAAA"}')
        stream.send("NOBODY", 5.0, OPEN, to_all=True)
        stream.send("AAPL", 11_000.0, OPEN + timedelta(seconds=1), currency="JPY")
        stream.send("AAPL", float("nan"), OPEN + timedelta(seconds=1))
        stream.send("AAPL", 129.0, OPEN - timedelta(days=2))
        stream.send("MSFT", 240.0, OPEN + timedelta(hours=8), hours=POST)
        wait_until(lambda: opened.position("MSFT").get("state") == "not_regular", "the price after the close arrives")
        assert "after the market has closed" in opened.position("MSFT")["reason"]
        assert opened.newest["nav"] == good
        # A dividend printed as a price, or a split that nobody has heard of yet.
        stream.send("AAPL", 0.23, OPEN + timedelta(seconds=2))
        wait_until(lambda: opened.position("AAPL").get("state") == "suspicious", "the jump is named")
        assert "-100% from the stored close of 2022-12-28" in opened.position("AAPL")["reason"]
        assert opened.newest["nav"] == good
        stream.send("AAPL", 128.5, OPEN + timedelta(seconds=3))
        wait_until(lambda: opened.position("AAPL").get("state") == "live", "the next good price counts again")
        assert Decimal(opened.newest["nav"]) == Decimal(good) + 5
        assert {one["ticker"] for one in opened.newest["positions"]} == {"AAPL", "MSFT"}


def test_a_lost_connection_is_made_again_and_pages_say_so(
    product: Product, stream: StreamServer, portfolio_id: int
) -> None:
    with page(product, portfolio_id) as opened:
        wait_until(lambda: "AAPL" in stream.followed, "what is held is subscribed to")
        made = stream.connections
        stream.hang_up()
        wait_until(lambda: stream.connections > made and "AAPL" in stream.followed, "connected and subscribed again")
        wait_until(
            lambda: opened.newest.get("feed", {}).get("state") == "live", "the page hears that there is a stream"
        )
        stream.stop()
        try:
            wait_until(lambda: opened.newest["feed"]["state"] == "connecting", "the page hears that there is none")
            assert "Yahoo's stream of prices" in opened.newest["feed"]["message"]
        finally:
            stream.start()
        wait_until(lambda: "AAPL" in stream.followed, "connected again", 60)
        stream.send("AAPL", 131.0, OPEN + timedelta(minutes=1))
        wait_until(lambda: opened.position("AAPL").get("price") == "131", "prices come again")
        assert opened.newest["feed"]["state"] == "live"


def forget_interest(product: Product) -> None:
    """What time does to the interest of pages that were closed; those that are open renew theirs."""
    valkey = redis.Redis.from_url(product.servers.redis_url)
    for key in valkey.scan_iter("tailwatch:watched:*"):
        valkey.delete(key)


def test_nothing_is_followed_once_nobody_looks(product: Product, stream: StreamServer, portfolio_id: int) -> None:
    forget_interest(product)
    with page(product, portfolio_id):
        wait_until(lambda: stream.followed == {"AAPL", "MSFT"}, "exactly what is held is subscribed to")
        other = product.create_portfolio("Other")
        product.wait_fresh(other, product.trade(other, "KO", "5")["revision"])
        with page(product, other):
            wait_until(lambda: stream.followed == {"AAPL", "MSFT", "KO"}, "the second one's, too")
        forget_interest(product)
        wait_until(lambda: stream.followed == {"AAPL", "MSFT"}, "the second one's no more")
    # Here nobody helps: what was not renewed expires.
    wait_until(lambda: stream.connected == 0, "there is no connection without a page", 40)


def test_a_trade_is_in_the_live_figures_with_its_snapshot(
    product: Product, stream: StreamServer, portfolio_id: int
) -> None:
    with page(product, portfolio_id) as opened:
        wait_until(lambda: "AAPL" in stream.followed, "what is held is subscribed to")
        stream.send("AAPL", 127.0, OPEN)
        wait_until(lambda: opened.position("AAPL").get("price") == "127", "a price arrives")
        revision = product.trade(portfolio_id, "KO", "100")["revision"]
        snapshot = product.wait_fresh(portfolio_id, revision)
        wait_until(lambda: opened.newest.get("snapshot_id") == snapshot["snapshot_id"], "the new snapshot is valued")
        assert Decimal(opened.newest["nav"]) == Decimal(snapshot["nav"]) + 10 * (
            Decimal(127) - closes(snapshot)["AAPL"]
        )
        wait_until(lambda: "KO" in stream.followed, "the new ticker is followed")


def test_live_prices_go_only_to_whom_may_still_see_the_portfolio(
    product: Product, stream: StreamServer, portfolio_id: int
) -> None:
    with transaction(product.engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        token, secret = accounts.create_token(session, owner.id, "silent", "read", datetime.now(UTC))
    with page(product, portfolio_id) as other, page(product, portfolio_id, secret) as opened:
        wait_until(lambda: "AAPL" in stream.followed, "what is held is subscribed to")
        stream.send("AAPL", 126.5, OPEN)
        wait_until(lambda: opened.position("AAPL").get("price") == "126.5", "the price arrives")
        with product.engine.begin() as connection:
            expired = text("UPDATE api_tokens SET expires_at = now() - interval '1 second' WHERE id = :id")
            connection.execute(expired, {"id": token.id})
        stream.send("AAPL", 126.6, OPEN + timedelta(seconds=1))
        assert opened.gone.wait(10)
        wait_until(lambda: other.position("AAPL").get("price") == "126.6", "the other page still gets it")
        assert opened.position("AAPL")["price"] == "126.5"


def test_interest_that_valkey_lost_is_renewed(product: Product, stream: StreamServer, portfolio_id: int) -> None:
    with page(product, portfolio_id) as opened:
        wait_until(lambda: "AAPL" in stream.followed, "what is held is subscribed to")
        product.servers.stop_valkey()
        product.servers.start_valkey()
        valkey = redis.Redis.from_url(product.servers.redis_url)
        wait_until(lambda: list(valkey.scan_iter("tailwatch:watched:*")), "the open page is announced again")
        wait_until(lambda: "AAPL" in stream.followed, "and followed again")
        later = iter(range(1, 10_000))

        def arrives() -> bool:
            # What is sent before both ends listen again is gone, as it should be: the next one comes.
            stream.send("AAPL", 125.5, OPEN + timedelta(seconds=next(later)))
            return bool(opened.position("AAPL").get("price") == "125.5")

        wait_until(arrives, "prices come again")


def test_a_database_that_went_away_is_found_again(product: Product, stream: StreamServer, portfolio_id: int) -> None:
    with page(product, portfolio_id) as opened:
        wait_until(lambda: "AAPL" in stream.followed, "what is held is subscribed to")
        with product.engine.begin() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        stream.send("MSFT", 230.5, OPEN + timedelta(hours=1))
        wait_until(lambda: opened.position("MSFT").get("price") == "230.5", "prices go on")
        snapshot = product.wait_fresh(portfolio_id, product.trade(portfolio_id, "KO", "2")["revision"], 60)
        wait_until(lambda: opened.newest.get("snapshot_id") == snapshot["snapshot_id"], "new snapshots are seen")
    assert "Traceback" not in (product.servers.folder / "quotes.log").read_text()


def test_an_exchange_rate_moves_what_is_priced_in_its_currency(product: Product, stream: StreamServer) -> None:
    portfolio_id = product.create_portfolio("Foreign")
    days = markets.weekdays(600)
    markets.store(product.engine, "SHELL.L", "GBp", days, markets.walk(3, 600, 2400.0))
    rate = markets.walk(4, 600, 1.25, 0.004)
    markets.store(product.engine, "GBPUSD=X", "USD", days, rate)
    with transaction(product.engine) as session:
        instrument = ensure_instruments(session, ["SHELL.L"])["SHELL.L"]
        session.add(
            Trade(
                portfolio_id=portfolio_id,
                type="buy",
                instrument_id=instrument.id,
                quantity=Decimal(100),
                price=Decimal(24),
                currency="GBP",
                executed_at=datetime(2022, 6, 30, tzinfo=UTC),
            )
        )
        session.flush()
        revision = refresh.raise_revision(session, portfolio_id, "trade")
    snapshot = product.wait_fresh(portfolio_id, revision)
    with page(product, portfolio_id) as opened:
        wait_until(lambda: {"SHELL.L", "GBPUSD=X"} <= stream.followed, "the exchange rate is followed, too")
        stream.send("GBPUSD=X", float(rate[-1]) * 1.01, OPEN, hours=PRE, kind=CURRENCY)
        wait_until(lambda: opened.newest.get("positions"), "the rate reaches the page")
        (position,) = opened.newest["positions"]
        assert (position["ticker"], position["price"], position["state"]) == ("SHELL.L", None, "live")
        assert float(opened.newest["nav"]) == pytest.approx(1.01 * float(snapshot["nav"]), rel=1e-5)
        # Pounds where pence belong: not even shown.
        stream.send("SHELL.L", 24.0, OPEN, currency="GBP")
        price = round(closes(snapshot)["SHELL.L"] * Decimal("1.02"), 2)
        stream.send("SHELL.L", float(price), OPEN + timedelta(seconds=1), currency="GBp")
        wait_until(lambda: opened.position("SHELL.L").get("price") is not None, "the price reaches the page")
        assert Decimal(opened.position("SHELL.L")["price"]) == price
        assert float(opened.newest["nav"]) == pytest.approx(1.01 * 1.02 * float(snapshot["nav"]), rel=1e-5)


def test_the_process_ends_in_order_and_tells_what_it_does_while_off(product: Product, stream: StreamServer) -> None:
    log = product.servers.folder / "quotes.log"
    process = product._processes["quotes"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert "live quotes ended" in log.read_text()
    assert "Traceback" not in log.read_text()
    product.environment["LIVE_QUOTES"] = "off"
    product.start("quotes")
    assert product._processes["quotes"].wait(30) == 0
    assert "LIVE_QUOTES=on switches them on" in log.read_text()
