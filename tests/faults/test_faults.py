"""Whatever is killed, nothing is lost: the snapshot of the last trade arrives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
import requests
from sqlalchemy import text

from tests.support.product import Product, running_product
from tests.support.waiting import wait_until

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with running_product() as product:
        yield product


@pytest.fixture
def portfolio_id(product: Product, request: pytest.FixtureRequest) -> int:
    portfolio_id = product.create_portfolio(request.node.name)
    booked = product.trade(portfolio_id, "KO", "10", "60")
    product.wait_fresh(portfolio_id, booked["revision"])
    return portfolio_id


def snapshots(product: Product, portfolio_id: int) -> int:
    with product.engine.connect() as connection:
        counted = connection.scalar(
            text("SELECT count(*) FROM risk_snapshots WHERE portfolio_id = :id"), {"id": portfolio_id}
        )
    return int(counted or 0)


def test_a_burst_of_trades_collapses_into_fewer_computations(product: Product, portfolio_id: int) -> None:
    before = snapshots(product, portfolio_id)
    last = 0
    for _ in range(100):
        last = product.trade(portfolio_id)["revision"]
    risk = product.wait_fresh(portfolio_id, last)
    assert risk["revision"] == last
    apple = next(p for p in risk["positions"] if p["ticker"] == "AAPL")
    assert float(apple["quantity"]) == 100
    assert snapshots(product, portfolio_id) - before < 100


def test_valkey_down_at_the_post_loses_nothing(product: Product, portfolio_id: int) -> None:
    product.servers.stop_valkey()
    try:
        booked = product.trade(portfolio_id)
        assert product.risk(portfolio_id)["state"] in {"stale", "computing"}
    finally:
        product.servers.start_valkey()
    product.wait_fresh(portfolio_id, booked["revision"], seconds=10)


def test_a_worker_killed_in_mid_computation(product: Product, portfolio_id: int) -> None:
    with product.engine.begin() as connection:
        # Whoever loads a portfolio waits for this lock, so the worker is surely in the middle when it is killed.
        connection.execute(text("LOCK TABLE splits IN ACCESS EXCLUSIVE MODE"))
        revision = product.trade(portfolio_id)["revision"]
        wait_until(lambda: computing(product, portfolio_id), "a worker is at it")
        product.kill("interactive")
    product.start("interactive")
    assert product.risk(portfolio_id)["revision"] < revision
    product.wait_fresh(portfolio_id, revision, seconds=30)


def test_a_nightly_batch_killed_in_the_middle(product: Product, portfolio_id: int) -> None:
    with product.engine.begin() as connection:
        ids = connection.scalars(
            text(
                """
                INSERT INTO portfolios (user_id, name) SELECT user_id, 'Night ' || n
                FROM portfolios, generate_series(1, 300) n WHERE id = :id RETURNING id
                """
            ),
            {"id": portfolio_id},
        ).all()
        connection.execute(
            text(
                """
                INSERT INTO trades (portfolio_id, type, instrument_id, quantity, price, currency, executed_at)
                SELECT p.id, 'buy', i.id, p.id, 60, 'USD', now()
                FROM unnest(CAST(:ids AS int[])) p (id), instruments i
                WHERE i.ticker = 'KO'
                """
            ),
            {"ids": ids},
        )
    with product.engine.begin() as connection:
        connection.execute(text("LOCK TABLE splits IN ACCESS EXCLUSIVE MODE"))
        # As new prices leave them: so many go to the nightly queue.
        with product.engine.begin() as other:
            other.execute(
                text("UPDATE portfolios SET market_revision = nextval('market_revision') WHERE id = ANY(:ids)"),
                {"ids": ids},
            )
        wait_until(lambda: any(computing(product, each) for each in (ids[0], ids[-1])), "a worker is at it")
        product.kill("background")
    assert not any(snapshots(product, each) for each in ids)
    with product.engine.begin() as connection:
        # As a minute later, when the message that died with the worker is sent again.
        connection.execute(text("UPDATE portfolios SET queued_at = queued_at - interval '1 minute'"))
    product.start("background")
    wait_until(lambda: all(snapshots(product, each) for each in ids), "all of them are computed")
    assert {snapshots(product, each) for each in ids} == {1}


def computing(product: Product, portfolio_id: int) -> bool:
    with product.engine.connect() as connection:
        return bool(
            connection.scalar(
                text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :id"),
                {"id": portfolio_id},
            )
        )


def test_postgres_restarted_under_load(product: Product, portfolio_id: int) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answer = requests.post(
                f"{product.url}/api/portfolios/{portfolio_id}/trades",
                json={"ticker": "KO", "quantity": "1", "price": "60"},
                headers={"Authorization": f"Bearer {product.token}"},
                timeout=30,
            )
            statuses.append(answer.status_code)

    posting = threading.Thread(target=load)
    posting.start()
    try:
        wait_until(lambda: statuses.count(201) >= 10, "trades flow")
        product.servers.stop_postgres(signal.SIGINT)
        wait_until(lambda: 503 in statuses, "a request met the missing database")
        product.servers.start_postgres()
        so_far = len(statuses)
        wait_until(lambda: statuses[so_far:].count(201) >= 10, "trades flow again without a restart of ours")
    finally:
        stop.set()
        posting.join()
    assert set(statuses) <= {201, 503}
    product.engine.dispose()  # the test's own connections died with the server
    with product.engine.connect() as connection:
        booked = connection.scalar(
            text("SELECT sum(quantity) FROM trades WHERE portfolio_id = :id"), {"id": portfolio_id}
        )
        revision = connection.scalar(text("SELECT revision FROM portfolios WHERE id = :id"), {"id": portfolio_id})
    assert booked >= 10 + statuses.count(201), "every 201 is booked"
    risk = product.wait_fresh(portfolio_id, int(revision or 0))
    held = next(p for p in risk["positions"] if p["ticker"] == "KO")
    assert float(held["quantity"]) == float(booked)


def test_the_scheduler_killed_and_back(product: Product, portfolio_id: int) -> None:
    product.kill("scheduler")
    booked = product.trade(portfolio_id)
    assert product.risk(portfolio_id)["state"] == "stale"
    product.start("scheduler")
    product.wait_fresh(portfolio_id, booked["revision"], seconds=20)
