"""The tasks, called as functions on a real database with the bundled sample."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from tailwatch import accounts, demo, live, refresh
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tailwatch.settings import get_settings
from tests.support.waiting import wait_until
from tests.support.work import book, work_off
from tests.support.work import newest as body
from worker import fetching
from worker.tasks import prices, risk, upkeep

pytestmark = pytest.mark.usefixtures("worker_process")


@dataclass(frozen=True)
class WakeUps:
    portfolios: list[int]
    fetches: list[int]


def sweep(engine: Engine) -> WakeUps:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        portfolios = list(refresh.sweep_interactive(connection, now)) + refresh.sweep_nightly(connection, now)
        return WakeUps(portfolios, refresh.sweep_fetches(connection, now))


@pytest.fixture
def demo_id(engine: Engine) -> int:
    with transaction(engine) as session:
        portfolio_id = demo.load(session, accounts.create_owner(session, "owner@example.org"))
    assert portfolio_id is not None
    return portfolio_id


def test_the_demo_is_measured_from_the_sample(engine: Engine, demo_id: int) -> None:
    work_off(engine)
    found = body(engine, demo_id)
    assert found["as_of"] == "2022-12-28"
    assert found["method"] == "filtered"
    assert len(found["positions"]) == len(demo.TRADES) == 20
    assert {position["price_source"] for position in found["positions"]} == {"sample"}
    assert 0 < found["var_95_1d"] < found["es_95_1d"] < found["es_99_1d"] < 0.2
    assert set(found["methods"]) == {"covariance", "student_t", "ewma", "historical", "filtered"}
    assert found["benchmark"] == demo.BENCHMARK
    assert 0.5 < found["beta"] < 1.5
    total = sum(position["component_volatility"] for position in found["positions"])
    assert total == pytest.approx(found["annualized_volatility"], rel=1e-9)
    assert Decimal(found["nav"]) == sum(Decimal(position["market_value"]) for position in found["positions"])
    short = next(position for position in found["positions"] if position["ticker"] == "RRC")
    assert Decimal(short["quantity"]) == -300
    assert short["component_volatility"] < 0


def test_the_demo_is_not_loaded_over_what_somebody_has(engine: Engine, demo_id: int) -> None:
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        assert demo.load(session, owner) is None


def test_a_new_name_shows_as_pending_and_then_with_its_risk(engine: Engine, demo_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM trades WHERE instrument_id = (SELECT id FROM instruments WHERE ticker = 'KO')")
        )
    work_off(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM instruments WHERE ticker = 'KO'"))
    book(engine, demo_id, "KO", "10")
    found = sweep(engine)
    assert len(found.fetches) == 1
    risk.refresh_risk(found.portfolios)
    waiting = next(p for p in body(engine, demo_id)["positions"] if p["ticker"] == "KO")
    assert waiting["status"] == "pending"
    assert waiting["reason"]
    assert waiting["market_value"] is None
    prices.fetch_prices(found.fetches)
    work_off(engine)
    known = next(p for p in body(engine, demo_id)["positions"] if p["ticker"] == "KO")
    assert known["status"] == "modelled"
    assert Decimal(known["market_value"]) == Decimal("626.09")


def test_pages_hear_how_many_prices_are_there(
    engine: Engine, demo_id: int, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "HAND_OUT_SECONDS", -1.0)
    # One under way and one that waits: so many are kept at once.
    monkeypatch.setenv("PRICE_CONCURRENCY", "1")
    get_settings.cache_clear()
    listener = redis.Redis.from_url(redis_url).pubsub(ignore_subscribe_messages=True)
    listener.subscribe(live.CHANNEL)
    wait_until(lambda: listener.get_message() is None and listener.subscribed, "the subscription stands")
    prices.fetch_prices(sweep(engine).fetches)
    heard: list[dict[str, Any]] = []

    def hear() -> bool:
        message = listener.get_message()
        if message:
            heard.append(json.loads(message["data"]))
        return bool(heard) and heard[-1]["fraction"] >= 0.9

    wait_until(hear, "the last but one or two of twenty")
    listener.close()
    assert {(each["kind"], each["portfolio_id"], each["stage"]) for each in heard} == {
        ("progress", demo_id, "prices")
    }
    fractions = [each["fraction"] for each in heard]
    assert fractions == sorted(fractions)
    with engine.connect() as connection:
        assert connection.execute(prices._WAITING).all() == [], "nobody waits any more"


def test_a_ticker_that_nobody_knows_is_visible_and_in_the_way_of_nothing(engine: Engine, demo_id: int) -> None:
    book(engine, demo_id, "NOSUCH", "10")
    work_off(engine)
    found = body(engine, demo_id)
    lost = next(p for p in found["positions"] if p["ticker"] == "NOSUCH")
    assert lost["status"] == "unknown"
    assert "NOSUCH" in lost["reason"]
    assert lost["market_value"] is None
    assert found["var_95_1d"] > 0
    assert any("NOSUCH" in warning["message"] for warning in found["warnings"])


def test_a_closed_book_has_a_snapshot_with_nothing_in_it(engine: Engine, demo_id: int) -> None:
    with transaction(engine) as session:
        session.execute(text("DELETE FROM trades"))
        refresh.raise_revision(session, demo_id, "trade")
    work_off(engine)
    found = body(engine, demo_id)
    assert found["positions"] == []
    assert found["var_95_1d"] is None
    assert found["nav"] == "0"


def test_the_same_inputs_have_the_same_hash_and_figures(engine: Engine, demo_id: int) -> None:
    work_off(engine)
    first = body(engine, demo_id)
    with transaction(engine) as session:
        refresh.request_recompute(session, demo_id)
    work_off(engine)
    again = body(engine, demo_id)
    assert again["trigger"] == "manual"
    assert again["revision"] == first["revision"] + 1
    varying = {"revision", "trigger", "computed_at"}
    assert {k: v for k, v in again.items() if k not in varying} == {
        k: v for k, v in first.items() if k not in varying
    }
    book(engine, demo_id, "KO", "1")
    work_off(engine)
    assert body(engine, demo_id)["inputs_hash"] != first["inputs_hash"]


def test_a_split_scales_what_was_booked_before_it_once(engine: Engine, demo_id: int) -> None:
    with transaction(engine) as session:
        apple = ensure_instruments(session, ["AAPL"])["AAPL"]
        session.execute(
            text("INSERT INTO splits (instrument_id, day, ratio, source) VALUES (:id, '2022-08-01', 4, 'test')"),
            {"id": apple.id},
        )
    work_off(engine)
    held = next(p for p in body(engine, demo_id)["positions"] if p["ticker"] == "AAPL")
    assert Decimal(held["quantity"]) == 4 * 160


def test_a_failed_computation_is_kept_with_its_reason(
    engine: Engine, demo_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_off(engine)
    good = body(engine, demo_id)
    with transaction(engine) as session:
        refresh.request_recompute(session, demo_id)

    def broken(*_: Any) -> None:
        raise FloatingPointError("the matrix is cursed")

    monkeypatch.setattr("tailwatch.measurement.snapshot.make_all", broken)
    risk.refresh_risk(sweep(engine).portfolios)
    with engine.connect() as connection:
        reason = connection.scalar(text("SELECT failure_reason FROM portfolios WHERE id = :id"), {"id": demo_id})
    assert "the matrix is cursed" in reason
    assert body(engine, demo_id) == good


def test_the_night_makes_everything_held_due_once_a_business_day(engine: Engine, demo_id: int) -> None:
    work_off(engine)
    assert sweep(engine).fetches == []
    prices.nightly_prices()
    due = sweep(engine).fetches
    assert len(due) == len(demo.TRADES) + 1
    prices.fetch_prices(due)
    prices.nightly_prices()
    assert sweep(engine).fetches == [], "the second call of the night finds it done"
    assert sweep(engine).portfolios == [], "the same prices again are no reason to compute"


def test_housekeeping_throws_away_only_what_has_expired(engine: Engine) -> None:
    now = datetime.now(UTC)
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        kept = accounts.open_session(session, owner.id, now, timedelta(days=1))
        accounts.open_session(session, owner.id, now - timedelta(days=3), timedelta(days=1))
    upkeep.housekeeping()
    with engine.connect() as connection:
        left = connection.scalars(text("SELECT id FROM sessions")).all()
    assert left == [kept.principal.session_id]


def test_a_probe_notes_the_round_trip(engine: Engine) -> None:
    upkeep.probe("nightly")
    upkeep.probe("nightly")
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT queue, now() - answered_at < interval '5 s' AS recent FROM worker_heartbeats")
        ).all()
    assert [tuple(row) for row in rows] == [("nightly", True)]


def test_portfolio_settings_reach_the_kernel(engine: Engine, demo_id: int) -> None:
    work_off(engine)
    before = body(engine, demo_id)
    with transaction(engine) as session:
        portfolio = session.get_one(Portfolio, demo_id)
        portfolio.risk_method, portfolio.risk_window = "covariance", 250
        session.flush()
        refresh.raise_revision(session, demo_id, "settings")
    work_off(engine)
    after = body(engine, demo_id)
    assert (after["method"], after["trigger"]) == ("covariance", "settings")
    assert after["coverage"]["observations"] == 250
    assert after["var_95_1d"] != before["var_95_1d"]
