"""A stored snapshot computed again: the same to the last bit, or what changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts, demo, refresh
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tailwatch.errors import NotReplayableError
from tailwatch.market import store
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import Bar, Outcome, PriceHistory, SourceChain
from tailwatch.measurement.replay import Replay, replay
from tests.support.price_days import PriceDays
from tests.support.work import book, newest, snapshot_id, work_off

pytestmark = pytest.mark.usefixtures("worker_process")


@pytest.fixture
def demo_id(engine: Engine) -> int:
    with transaction(engine) as session:
        made = demo.load(session, accounts.create_owner(session, "owner@example.org"))
    assert made is not None
    work_off(engine)
    return made


def again(engine: Engine, snapshot: int) -> Replay:
    with engine.connect() as connection:
        return replay(connection, snapshot)


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("method", "covariance"), [("filtered", "sample"), ("historical", "ledoit_wolf"), ("student_t", "ledoit_wolf")]
)
def test_a_snapshot_is_the_same_to_the_last_bit(engine: Engine, demo_id: int, method: str, covariance: str) -> None:
    execute(engine, f"UPDATE portfolios SET risk_method = '{method}', risk_covariance = '{covariance}'")
    book(engine, demo_id, "KO", "0.1234567891")
    work_off(engine)
    found = again(engine, snapshot_id(engine, demo_id))
    assert found.same, found.differing
    assert found.causes == ()


def test_later_prices_and_trades_change_nothing_of_it(engine: Engine, demo_id: int) -> None:
    days = PriceDays(engine, date(2022, 12, 22))
    work_off(engine)
    snapshot, body = snapshot_id(engine, demo_id), newest(engine, demo_id)
    for day in days.to_come:
        days.arrive(day)
        book(engine, demo_id, "KO", "10")
        work_off(engine)
    assert newest(engine, demo_id)["var_95_1d"] != body["var_95_1d"]
    found = again(engine, snapshot)
    assert found.same, found.differing
    assert found.causes == ()


def test_a_position_without_prices_is_part_of_it(engine: Engine, demo_id: int) -> None:
    book(engine, demo_id, "NOSUCH", "10")
    work_off(engine)
    assert again(engine, snapshot_id(engine, demo_id)).same


def test_restated_prices_are_named(engine: Engine, demo_id: int) -> None:
    execute(
        engine,
        "UPDATE prices SET adjusted_close = adjusted_close * 1.01 WHERE day = '2022-06-30' "
        "AND instrument_id = (SELECT id FROM instruments WHERE ticker = 'XOM')",
    )
    found = again(engine, snapshot_id(engine, demo_id))
    assert not found.same
    assert [cause.message for cause in found.causes] == ["The prices of XOM up to 2022-12-28 are not what they were."]
    stored, computed = found.figures["annualized_volatility"]
    assert stored == newest(engine, demo_id)["annualized_volatility"]
    assert computed != stored
    assert "annualized_volatility" in found.differing


def restate(engine: Engine, ticker: str, day: date, factor: Decimal) -> None:
    """Have a fetch bring another price of a day."""
    now = datetime.now(UTC)
    with transaction(engine) as session:
        instrument = ensure_instruments(session, [ticker])[ticker]
        bars = [
            Bar(row.day, *([row.close * factor] * 2 if row.day == day else [row.close, row.adjusted_close]))
            for row in session.execute(
                text("SELECT day, close, adjusted_close FROM prices WHERE instrument_id = :id ORDER BY day"),
                {"id": instrument.id},
            )
        ]
        history = PriceHistory(ticker, "sample", "USD", None, bars[0].day, bars)
        chain = SourceChain([SampleSource()])
        assert store.save(session, instrument.id, Outcome("ok", history, None), chain, now)
        refresh.raise_market_revision(session, [instrument.id])


def test_a_snapshot_is_computed_again_on_the_prices_that_were_known_then(engine: Engine, demo_id: int) -> None:
    first = snapshot_id(engine, demo_id)
    restate(engine, "XOM", date(2022, 6, 30), Decimal("1.01"))
    work_off(engine)
    second = snapshot_id(engine, demo_id)
    restate(engine, "XOM", date(2022, 6, 30), Decimal("1.01"))
    restate(engine, "XOM", date(2022, 12, 28), Decimal("0.98"))
    work_off(engine)
    third = snapshot_id(engine, demo_id)
    assert len({first, second, third}) == 3
    for snapshot in (first, second):
        found = again(engine, snapshot)
        assert found.same, found.differing
        assert [cause.message for cause in found.causes] == [
            "The prices of XOM up to 2022-12-28 are others today; those known then were taken."
        ]
    assert (again(engine, third).same, again(engine, third).causes) == (True, ())


def test_another_code_is_named_though_the_figures_are_the_same(engine: Engine, demo_id: int) -> None:
    document = newest(engine, demo_id, "inputs")
    document["code"] = {"version": "0.0.9", "risk": "abc", "numpy": "1.0"}
    with engine.begin() as connection:
        connection.execute(text("UPDATE risk_snapshots SET inputs = :it"), {"it": json.dumps(document).encode()})
    found = again(engine, snapshot_id(engine, demo_id))
    assert found.same
    assert [cause.code for cause in found.causes] == ["code", "numpy"]


def test_what_cannot_be_computed_again(engine: Engine, demo_id: int) -> None:
    with pytest.raises(NotReplayableError, match="no snapshot 999"):
        again(engine, 999)
    execute(engine, "UPDATE risk_snapshots SET inputs = NULL")
    with pytest.raises(NotReplayableError, match=r"before 0\.3"):
        again(engine, snapshot_id(engine, demo_id))


def test_the_command(engine: Engine, redis_url: str, demo_id: int) -> None:
    environment = os.environ | {
        "DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "REDIS_URL": redis_url,
        "PRICE_SOURCES": "sample",
    }

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = (sys.executable, "-m", "tailwatch.cli", "replay", *arguments)
        return subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    snapshot = str(snapshot_id(engine, demo_id))
    done = command(snapshot)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"Snapshot {snapshot}: every figure is the same to the last bit."
    execute(engine, "UPDATE prices SET adjusted_close = adjusted_close * 1.01 WHERE day = '2022-06-30'")
    changed = command(snapshot, "--out", "json")
    assert changed.returncode == 1
    said = json.loads(changed.stdout)
    assert said["same"] is False
    assert len(said["causes"]) == 21
    assert said["figures"]["var_95_1d"]["stored"] != said["figures"]["var_95_1d"]["computed"]
    assert "are not what they were" in command(snapshot).stdout
    missing = command("999")
    assert (missing.returncode, missing.stderr.strip()) == (2, "There is no snapshot 999.")
