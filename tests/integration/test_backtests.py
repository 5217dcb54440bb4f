"""Backtests of stored portfolios: what was served against what came, and the jobs, on a real database."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts
from tailwatch.backtests import jobs, live
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tests.support.price_days import PriceDays
from tests.support.product import running_product
from tests.support.waiting import wait_until
from tests.support.work import book, newest, snapshot_id, work_off
from worker.tasks import backtest, prices, upkeep

pytestmark = pytest.mark.usefixtures("worker_process")

HELD = {"AAPL": 300, "XOM": 400, "KO": -100}
LATER = timedelta(minutes=5)


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        portfolio = Portfolio(user_id=owner.id, name="Main")
        session.add(portfolio)
        session.flush()
        made = portfolio.id
    for ticker, quantity in HELD.items():
        book(engine, made, ticker, str(quantity))
    return made


@pytest.fixture
def days(engine: Engine, portfolio_id: int) -> PriceDays:
    """The prices after 2022-12-20 are yet to come; the portfolio is measured up to there."""
    with engine.connect() as connection:
        prices.fetch_prices(list(connection.scalars(text("SELECT id FROM instruments")).all()))
    held_back = PriceDays(engine, date(2022, 12, 20))
    work_off(engine)
    return held_back


def rows(engine: Engine, statement: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(statement)).mappings()]


def forecasts(engine: Engine) -> list[dict[str, Any]]:
    return rows(engine, "SELECT * FROM served_forecasts ORDER BY as_of")


def settle(engine: Engine) -> int:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        return live.settle(connection, now, now - timedelta(hours=1))


def adjusted(engine: Engine, ticker: str, day: date) -> float:
    with engine.connect() as connection:
        found = connection.scalar(
            text(
                "SELECT adjusted_close::float8 FROM prices p JOIN instruments i ON i.id = p.instrument_id "
                "WHERE ticker = :ticker AND day = :day"
            ),
            {"ticker": ticker, "day": day},
        )
    return float(found)


# --- what was served, against what came ---


def test_each_session_is_set_against_the_last_forecast_before_it(
    engine: Engine, portfolio_id: int, days: PriceDays
) -> None:
    assert settle(engine) == 0
    served = []
    for day in days.to_come[:4]:
        # Two snapshots a day: the later one is what somebody looked at when the next session began.
        book(engine, portfolio_id, "KO", "-10")
        work_off(engine)
        served.append((newest(engine, portfolio_id), snapshot_id(engine, portfolio_id)))
        days.arrive(day)
        work_off(engine)
        assert settle(engine) == 1
    found = forecasts(engine)
    assert [row["day"] for row in found] == days.to_come[:4]
    assert [row["snapshot_id"] for row in found] == [snapshot for _, snapshot in served]
    for row, (body, _) in zip(found, served, strict=True):
        assert row["complete"]
        assert row["as_of"].isoformat() == body["as_of"]
        assert {name: row[name] for name in ("var_95_1d", "es_975_1d", "es_99_1d")} == {
            name: body[name] for name in ("var_95_1d", "es_975_1d", "es_99_1d")
        }
        earned = sum(
            float(p["market_value"])
            * (adjusted(engine, p["ticker"], row["day"]) / adjusted(engine, p["ticker"], row["as_of"]) - 1)
            for p in body["positions"]
        )
        assert row["pnl"] == pytest.approx(earned / float(body["nav"]), abs=1e-12)


def test_a_trade_after_the_prices_came_is_not_in_the_result(
    engine: Engine, portfolio_id: int, days: PriceDays
) -> None:
    before = snapshot_id(engine, portfolio_id)
    days.arrive(days.to_come[0])
    work_off(engine)
    book(engine, portfolio_id, "AAPL", "5000")
    work_off(engine)
    assert settle(engine) == 1
    (row,) = forecasts(engine)
    assert row["snapshot_id"] == before


def test_a_repeat_changes_nothing(engine: Engine, portfolio_id: int, days: PriceDays) -> None:
    days.arrive(days.to_come[0])
    work_off(engine)
    assert settle(engine) == 1
    first = forecasts(engine)
    assert settle(engine) == 0
    # Not even when the prices of that session are restated later: it was served, and came, as it was known then.
    with engine.begin() as connection:
        connection.execute(text("UPDATE prices SET adjusted_close = adjusted_close * 2 WHERE day = '2022-12-21'"))
    assert settle(engine) == 0
    assert forecasts(engine) == first


def test_prices_that_arrive_one_by_one_are_waited_for(engine: Engine, portfolio_id: int, days: PriceDays) -> None:
    days.arrive(days.to_come[0], ["AAPL"])
    work_off(engine)
    settle(engine)
    (provisional,) = forecasts(engine)
    assert not provisional["complete"]
    with transaction(engine) as session:
        assert live.read(session, portfolio_id)["n"] == 0
    days.arrive(days.to_come[0], ["XOM", "KO"])
    work_off(engine)
    settle(engine)
    (final,) = forecasts(engine)
    assert final["complete"]
    assert final["snapshot_id"] == provisional["snapshot_id"]
    assert final["pnl"] != provisional["pnl"]


def test_nights_that_were_missed_count_for_one_session_only(
    engine: Engine, portfolio_id: int, days: PriceDays
) -> None:
    for day in days.to_come[:3]:
        days.arrive(day)
    work_off(engine)
    assert settle(engine) == 1
    (row,) = forecasts(engine)
    # The forecast was for the first session; nothing was served for the two others.
    assert (row["as_of"], row["day"]) == (date(2022, 12, 20), days.to_come[0])
    assert row["pnl"] == pytest.approx(
        sum(
            value * (adjusted(engine, ticker, days.to_come[0]) / adjusted(engine, ticker, row["as_of"]) - 1)
            for ticker, value in values_then(engine, row["snapshot_id"]).items()
        )
        / float(row["nav"])
    )


def values_then(engine: Engine, snapshot: int) -> dict[str, float]:
    (row,) = rows(engine, f"SELECT convert_from(body, 'UTF8') AS body FROM risk_snapshots WHERE id = {snapshot}")
    return {p["ticker"]: float(p["market_value"]) for p in json.loads(row["body"])["positions"]}


def test_exceedances_are_counted(engine: Engine, portfolio_id: int, days: PriceDays) -> None:
    with engine.begin() as connection:
        # A bad day, and a catastrophe.
        for day, factor in ((days.to_come[0], 0.999), (days.to_come[1], 0.5)):
            connection.execute(
                text(
                    "UPDATE held_back h SET adjusted_close = h.adjusted_close * :factor FROM instruments i "
                    "WHERE i.id = h.instrument_id AND i.ticker <> 'KO' AND h.day = :day"
                ),
                {"day": day, "factor": factor},
            )
    for day in days.to_come[:2]:
        days.arrive(day)
        work_off(engine)
    assert settle(engine) == 2
    with transaction(engine) as session:
        found = live.read(session, portfolio_id)
    assert [one["day"] for one in found["days"]] == days.to_come[:2]
    assert [one["exceeded_99"] for one in found["days"]] == [one["pnl"] < -one["var_99_1d"] for one in found["days"]]
    assert found["days"][1]["exceeded_99"]
    assert found["exceedances_99"] == sum(one["exceeded_99"] for one in found["days"])
    assert found["n"] == 2
    assert found["rate"] == found["exceedances"] / 2


def test_housekeeping_makes_up_for_what_was_missed(engine: Engine, portfolio_id: int, days: PriceDays) -> None:
    days.arrive(days.to_come[0])
    work_off(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE risk_snapshots SET computed_at = computed_at - interval '1 day'"))
    assert settle(engine) == 0
    upkeep.housekeeping()
    assert len(forecasts(engine)) == 1


# --- jobs ---


def look(engine: Engine) -> None:
    with engine.begin() as connection:
        jobs.look(connection, datetime.now(UTC) + LATER)


def sweep(engine: Engine) -> list[int]:
    with engine.begin() as connection:
        return jobs.sweep(connection, datetime.now(UTC) + LATER)


def due_now(engine: Engine) -> None:
    """Let the time pass that `look` and `sweep` were told has passed."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE backtests SET due_at = now() WHERE due_at IS NOT NULL"))


def read(engine: Engine, portfolio_id: int) -> jobs.Stored:
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        found = jobs.read(session, portfolio_id, owner.id)
    assert found is not None
    return found


def make(engine: Engine) -> list[int]:
    due_now(engine)
    found = sweep(engine)
    backtest.run_backtest(found)
    return found


def test_a_backtest_is_made_once_for_each_change(engine: Engine, portfolio_id: int) -> None:
    assert read(engine, portfolio_id).state == "none"
    work_off(engine)
    with engine.begin() as connection:
        # Something was traded just now: there may be more to come.
        assert jobs.look(connection, datetime.now(UTC)) == 0
    look(engine)
    assert read(engine, portfolio_id).state == "computing"
    assert make(engine) == [portfolio_id]
    stored = read(engine, portfolio_id)
    assert stored.state == "ready"
    assert stored.snapshot_id == snapshot_id(engine, portfolio_id)
    assert stored.as_of == date(2022, 12, 28)
    assert stored.result is not None
    result = json.loads(stored.result)
    assert set(result["methods"]) == {"covariance", "student_t", "ewma", "historical", "filtered"}
    assert result["end"] == "2022-12-28"
    scores = result["methods"]["filtered"]["95"]
    series = result["series"]
    assert scores["n"] == len(series["dates"]) > 1000
    beyond = [pnl < -var for pnl, var in zip(series["pnl"], series["var_95_1d"], strict=True)]
    assert scores["exceedances"] == sum(beyond)
    # What the price of a portfolio of three shares, measured over eight years, should look like.
    assert 0.03 < scores["exceedance_rate"] < 0.07

    # Nothing that it depends on is another: a recompute, or the same book again, makes none.
    book(engine, portfolio_id, "KO", "10")
    book(engine, portfolio_id, "KO", "-10")
    work_off(engine)
    look(engine)
    assert read(engine, portfolio_id).state == "ready"
    assert make(engine) == []
    book(engine, portfolio_id, "KO", "10")
    work_off(engine)
    look(engine)
    assert read(engine, portfolio_id).state == "computing"
    # The one before is shown until then.
    assert read(engine, portfolio_id).result == stored.result
    assert make(engine) == [portfolio_id]
    assert read(engine, portfolio_id).result != stored.result


def test_the_newest_forecast_of_the_backtest_is_the_snapshots(
    engine: Engine, portfolio_id: int, days: PriceDays
) -> None:
    """The day after the last one tested is what the snapshot speaks of: with one more day both meet."""
    served = newest(engine, portfolio_id)
    days.arrive(days.to_come[0])
    work_off(engine)
    look(engine)
    make(engine)
    result = json.loads(read(engine, portfolio_id).result or "")
    # The weights moved by that one day's prices, and nothing else did.
    assert result["series"]["var_95_1d"][-1] == pytest.approx(served["var_95_1d"], rel=0.02)


def test_one_backtest_at_a_time_and_none_during_a_batch(engine: Engine, portfolio_id: int) -> None:
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        other = Portfolio(user_id=owner.id, name="Other")
        session.add(other)
        session.flush()
        other_id = other.id
    book(engine, other_id, "MSFT", "5")
    work_off(engine)
    look(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET market_revision = market_revision + 1"))
    assert sweep(engine) == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET market_revision = done_market_revision"))
    first = sweep(engine)
    assert len(first) == 1
    assert sweep(engine) == []
    with jobs.claim(engine) as mine:
        assert mine
        # Somebody else is at it: the message finds that out and leaves the job where it is.
        due_now(engine)
        backtest.run_backtest(first)
        assert read(engine, first[0]).state == "computing"
    backtest.run_backtest(first)
    assert read(engine, first[0]).state == "ready"
    assert sorted([*first, *sweep(engine)]) == [portfolio_id, other_id]


def test_a_lost_message_is_sent_again(engine: Engine, portfolio_id: int) -> None:
    work_off(engine)
    look(engine)
    assert sweep(engine) == [portfolio_id]
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE backtests SET queued_at = queued_at - CAST(:x AS interval)"), {"x": "6 minutes"}
        )
    assert sweep(engine) == [portfolio_id]


def test_too_little_history_is_a_reason_and_no_job(engine: Engine, portfolio_id: int) -> None:
    work_off(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM prices WHERE day < '2022-06-01'"))
    look(engine)
    make(engine)
    stored = read(engine, portfolio_id)
    assert stored.state == "failed"
    assert "a backtest needs 310" in (stored.reason or "")
    assert make(engine) == []
    # A change of the portfolio gives it another chance.
    book(engine, portfolio_id, "KO", "10")
    work_off(engine)
    look(engine)
    assert read(engine, portfolio_id).state == "computing"


def test_a_failure_is_tried_again_later(engine: Engine, portfolio_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    work_off(engine)
    look(engine)
    with monkeypatch.context() as broken:
        broken.setattr(backtest.making, "make", lambda _: 1 / 0)
        make(engine)
    stored = read(engine, portfolio_id)
    assert stored.state == "failed"
    assert "ZeroDivisionError" in (stored.reason or "")
    (row,) = rows(engine, "SELECT due_at - now() AS wait FROM backtests")
    assert timedelta(0) < row["wait"] <= timedelta(seconds=5)
    assert make(engine) == [portfolio_id]
    assert read(engine, portfolio_id).state == "ready"


def test_one_that_is_wanted_again_while_it_is_made_stays_due(engine: Engine, portfolio_id: int) -> None:
    work_off(engine)
    look(engine)
    due_now(engine)
    with engine.begin() as connection:
        job = jobs.find(connection, portfolio_id, datetime.now(UTC))
        assert job is not None
    book(engine, portfolio_id, "KO", "10")
    work_off(engine)
    look(engine)
    with engine.begin() as connection:
        jobs.save(connection, job, b"{}", datetime.now(UTC))
    assert read(engine, portfolio_id).state == "computing"
    assert make(engine) == [portfolio_id]
    assert read(engine, portfolio_id).state == "ready"


# --- the whole product ---


def test_the_product_makes_a_backtest_that_is_asked_for() -> None:
    with running_product() as product:
        portfolio_id = product.create_portfolio("Tested")
        product.wait_fresh(portfolio_id, product.trade(portfolio_id)["revision"])
        url = f"{product.url}/api/portfolios/{portfolio_id}/risk"
        assert product.api.post(f"{url}/backtest", timeout=10).status_code == 202
        wait_until(lambda: product.api.get(f"{url}/backtest", timeout=10).json()["state"] == "ready", "it is made")
        explained = product.api.get(f"{url}/explain", timeout=10).json()
        assert explained["snapshot_id"] == product.risk(portfolio_id)["snapshot_id"]
