"""Idea 1 on a real PostgreSQL: what is behind, who gets it, what is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, text

from tailwatch import refresh, snapshots
from tailwatch.db.models import Instrument, Portfolio, Trade, User
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tests.support.waiting import wait_until
from tests.support.work import save

HEADLINE = [f"{kind}_{level}_1d" for kind in ("var", "es") for level in (95, 975, 99)] + ["annualized_volatility"]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def portfolio(engine: Engine) -> Portfolio:
    with transaction(engine) as session:
        user = User(email="ada@example.org")
        instrument = Instrument(ticker="AAPL", status="ok", currency="USD", next_fetch_at=None)
        session.add_all([user, instrument])
        session.flush()
        portfolio = Portfolio(user_id=user.id, name="Main")
        session.add(portfolio)
        session.flush()
        session.add(
            Trade(
                portfolio_id=portfolio.id,
                type="buy",
                instrument_id=instrument.id,
                quantity=Decimal(3),
                price=Decimal("12.5"),
                currency="USD",
                executed_at=NOW,
            )
        )
    return portfolio


def change(engine: Engine, portfolio: Portfolio) -> int:
    with transaction(engine) as session:
        return refresh.raise_revision(session, portfolio.id, "trade")


@dataclass(frozen=True)
class WakeUps:
    interactive: list[int]
    nightly: list[int]
    fetches: list[int]


def sweep(engine: Engine, now: datetime = NOW) -> WakeUps:
    """What the dispatcher does, in its order."""
    with engine.begin() as connection:
        return WakeUps(
            list(refresh.sweep_interactive(connection, now)),
            refresh.sweep_nightly(connection, now),
            refresh.sweep_fetches(connection, now),
        )


def snapshot(portfolio: Portfolio, revision: int, market_revision: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "portfolio_id": portfolio.id,
        "revision": revision,
        "market_revision": market_revision,
        "trigger": "trade",
        "computed_at": NOW,
        **dict.fromkeys(HEADLINE),
        "as_of": None,
        "duration_ms": 1.0,
        "method": "historical",
        "base_currency": "USD",
        "nav": Decimal(0),
        "gross": Decimal(0),
        "positions": 1,
        "pending_positions": 0,
        "inputs_hash": "0" * 64,
        "body": b'{"revision":%d}' % revision,
        **more,
    }


def newest(engine: Engine, portfolio: Portfolio, now: datetime = NOW) -> snapshots.NewestSnapshot:
    with engine.connect() as connection:
        found = snapshots.read_newest(connection, portfolio.id, portfolio.user_id, now)
    assert found is not None
    return found


def test_a_change_is_woken_once_until_it_is_done(engine: Engine, portfolio: Portfolio) -> None:
    assert sweep(engine).interactive == []
    revision = change(engine, portfolio)
    assert sweep(engine).interactive == [portfolio.id]
    assert sweep(engine).interactive == []
    assert save(engine, snapshot(portfolio, revision)) is not None
    assert sweep(engine, NOW + timedelta(hours=1)).interactive == []
    change(engine, portfolio)
    assert sweep(engine).interactive == [portfolio.id]


def test_a_wake_up_without_a_result_is_sent_again_after_its_lease(engine: Engine, portfolio: Portfolio) -> None:
    change(engine, portfolio)
    sweep(engine)
    assert sweep(engine, NOW + refresh.INTERACTIVE_LEASE).interactive == []
    late = NOW + refresh.INTERACTIVE_LEASE + timedelta(seconds=1)
    assert sweep(engine, late).interactive == [portfolio.id]


def test_a_change_while_one_is_under_way_is_woken_when_the_first_is_done(
    engine: Engine, portfolio: Portfolio
) -> None:
    first = change(engine, portfolio)
    sweep(engine)
    second = change(engine, portfolio)
    assert sweep(engine).interactive == []
    saved = save(engine, snapshot(portfolio, first))
    assert saved is not None
    assert saved.still_behind
    assert sweep(engine).interactive == [portfolio.id]
    saved = save(engine, snapshot(portfolio, second))
    assert saved is not None
    assert not saved.still_behind


def test_since_when_it_is_behind(engine: Engine, portfolio: Portfolio) -> None:
    def since() -> datetime | None:
        with engine.connect() as connection:
            found: datetime | None = connection.scalar(text("SELECT behind_since FROM portfolios"))
        return found

    assert since() is None
    first = change(engine, portfolio)
    begun = since()
    assert begun is not None
    second = change(engine, portfolio)
    # The one that waits longest counts.
    assert since() == begun
    save(engine, snapshot(portfolio, first))
    # What is left came after what was computed was read.
    left = since()
    assert left is not None
    assert left > begun
    save(engine, snapshot(portfolio, second))
    assert since() is None


def test_new_prices_leave_it_behind_too(engine: Engine, portfolio: Portfolio) -> None:
    with transaction(engine) as session:
        instrument = ensure_instruments(session, ["AAPL"])["AAPL"]
        session.execute(text("UPDATE portfolios SET benchmark_id = :id"), {"id": instrument.id})
        refresh.raise_market_revision(session, [instrument.id])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT behind_since IS NOT NULL FROM portfolios"))


def test_the_commit_of_a_change_notifies(engine: Engine, database_url: str, portfolio: Portfolio) -> None:
    listener = psycopg2.connect(database_url)
    listener.autocommit = True
    try:
        listener.cursor().execute(f"LISTEN {refresh.NOTIFY_CHANNEL}")
        with transaction(engine) as session:
            refresh.raise_revision(session, portfolio.id, "trade")
            listener.poll()
            assert listener.notifies == []
        listener.cursor().execute("SELECT 1")
        assert [n.channel for n in listener.notifies] == [refresh.NOTIFY_CHANNEL]
    finally:
        listener.close()


def test_a_change_that_commits_while_a_result_is_being_kept_is_seen(engine: Engine, portfolio: Portfolio) -> None:
    first = change(engine, portfolio)
    with ThreadPoolExecutor(1) as pool, transaction(engine) as session:
        refresh.raise_revision(session, portfolio.id, "trade")
        saving = pool.submit(save, engine, snapshot(portfolio, first))
        wait_until(lambda: waiting_for_locks(engine), "the save waits for the trade")
        session.commit()
        saved = saving.result(timeout=10)
    assert saved is not None
    assert saved.still_behind
    assert newest(engine, portfolio).snapshot_id == saved.snapshot_id


def waiting_for_locks(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) or 0)


def test_an_older_or_repeated_result_is_never_kept(engine: Engine, portfolio: Portfolio) -> None:
    first, second = change(engine, portfolio), change(engine, portfolio)
    kept = save(engine, snapshot(portfolio, second))
    assert kept is not None
    assert save(engine, snapshot(portfolio, first)) is None
    assert save(engine, snapshot(portfolio, second)) is None
    assert newest(engine, portfolio).snapshot_id == kept.snapshot_id
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM risk_snapshots")) == 1


def test_a_result_for_a_deleted_portfolio_is_dropped(engine: Engine, portfolio: Portfolio) -> None:
    revision = change(engine, portfolio)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM portfolios"))
    assert save(engine, snapshot(portfolio, revision)) is None


def test_the_snapshot_and_its_revision_come_together_or_not_at_all(engine: Engine, portfolio: Portfolio) -> None:
    revision = change(engine, portfolio)
    with pytest.raises(Exception, match="ck_risk_snapshots_duration_ms"):
        save(engine, snapshot(portfolio, revision, duration_ms=-1.0))
    assert newest(engine, portfolio).state == "stale"
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM risk_snapshots")) == 0
        assert connection.scalar(text("SELECT done_revision FROM portfolios")) == 0


def test_a_failure_is_kept_with_its_reason_and_tried_again_with_backoff(engine: Engine, portfolio: Portfolio) -> None:
    good = change(engine, portfolio)
    save(engine, snapshot(portfolio, good))
    bad = change(engine, portfolio)
    sweep(engine)
    refresh.record_failure(engine, portfolio.id, bad, "it rains", NOW)
    answer = newest(engine, portfolio)
    assert (answer.state, answer.revision, answer.wanted_revision) == ("failed", good, bad)
    assert answer.failure is not None
    assert answer.failure.reason == "it rains"
    assert sweep(engine, NOW + timedelta(seconds=4)).interactive == []
    assert sweep(engine, NOW + timedelta(seconds=5)).interactive == [portfolio.id]
    refresh.record_failure(engine, portfolio.id, bad, "it still rains", NOW)
    assert sweep(engine, NOW + timedelta(seconds=9)).interactive == []
    again = change(engine, portfolio)
    assert sweep(engine, NOW).interactive == [portfolio.id], "a new change does not wait for the backoff"
    save(engine, snapshot(portfolio, again))
    assert newest(engine, portfolio).failure is None


def test_backoff_doubles_up_to_ten_minutes() -> None:
    waits = [refresh.backoff(attempts).total_seconds() for attempts in (1, 2, 3, 8, 50)]
    assert waits == [5, 10, 20, 600, 600]


def test_only_one_worker_holds_a_portfolio_and_the_claim_dies_with_its_connection(
    engine: Engine, portfolio: Portfolio
) -> None:
    with refresh.claim(engine, [portfolio.id]) as first:
        assert first
        with refresh.claim(engine, [portfolio.id]) as second:
            assert not second
        with engine.connect() as connection:
            gone = connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            )
            assert gone.scalars().all() == [True]
        with refresh.claim(engine, [portfolio.id]) as third:
            assert third


def test_recompute_pressed_twice_is_one_revision(engine: Engine, portfolio: Portfolio) -> None:
    with transaction(engine) as session:
        first = refresh.request_recompute(session, portfolio.id)
    with transaction(engine) as session:
        assert refresh.request_recompute(session, portfolio.id) == first
    save(engine, snapshot(portfolio, first))
    with transaction(engine) as session:
        assert refresh.request_recompute(session, portfolio.id) == first + 1


def test_new_prices_touch_only_the_portfolios_that_rest_on_them(engine: Engine, portfolio: Portfolio) -> None:
    with transaction(engine) as session:
        benchmark = Instrument(ticker="^GSPC", next_fetch_at=None)
        other = Instrument(ticker="KO", next_fetch_at=None)
        session.add_all([benchmark, other])
        session.flush()
        compared = Portfolio(user_id=portfolio.user_id, name="Compared", benchmark_id=benchmark.id)
        session.add(compared)
        session.flush()
        held = session.query(Instrument).filter_by(ticker="AAPL").one()
    with transaction(engine) as session:
        refresh.raise_market_revision(session, [other.id])
    assert sweep(engine).interactive == []
    with transaction(engine) as session:
        refresh.raise_market_revision(session, [held.id])
    assert sweep(engine).interactive == [portfolio.id]
    with transaction(engine) as session:
        refresh.raise_market_revision(session, [benchmark.id])
    assert sweep(engine).interactive == [compared.id]


def test_a_night_goes_through_the_nightly_queue_a_bounded_number_at_a_time(
    engine: Engine, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "INTERACTIVE_BATCH", 3)
    monkeypatch.setattr(refresh, "NIGHTLY_IN_FLIGHT", 4)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO portfolios (user_id, name, market_revision) "
                "SELECT :user, 'p' || n, 1 FROM generate_series(1, 6) n"
            ),
            {"user": portfolio.user_id},
        )
    change(engine, portfolio)
    found = sweep(engine)
    assert found.interactive == [portfolio.id], "a person's change does not wait for the night"
    assert len(found.nightly) == 4
    assert sweep(engine).nightly == []
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE portfolios SET done_market_revision = 1 WHERE id = ANY(:ids)"), {"ids": found.nightly[:3]}
        )
    rest = sweep(engine)
    assert set(rest.interactive) | set(rest.nightly) == {
        pid for pid in all_ids(engine) if pid not in found.nightly and pid != portfolio.id
    }


def test_a_night_waits_for_the_prices_that_are_on_their_way_but_not_for_ever(
    engine: Engine, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "INTERACTIVE_BATCH", 1)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO portfolios (user_id, name, market_revision, behind_since) "
                "SELECT :user, 'p' || n, 1, :now FROM generate_series(1, 5) n"
            ),
            {"user": portfolio.user_id, "now": NOW},
        )
    with transaction(engine) as session:
        session.add(Instrument(ticker="KO", next_fetch_at=NOW))
    assert sweep(engine).nightly == []
    # A fetch that fails is due again later: it holds up nobody.
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE instruments SET next_fetch_at = :later"), {"later": NOW + timedelta(minutes=5)}
        )
    assert len(sweep(engine).nightly) == 5
    # One that comes to no end does so for a while only.
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET queued_at = NULL, queued_market_revision = 0"))
    late = NOW + timedelta(minutes=14)
    assert sweep(engine, late).nightly == []
    assert len(sweep(engine, late + timedelta(minutes=2)).nightly) == 5


def all_ids(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM portfolios")))


def test_prices_that_are_due_are_fetched_once_a_lease(engine: Engine) -> None:
    with transaction(engine) as session:
        due = Instrument(ticker="KO", next_fetch_at=NOW)
        session.add_all([due, Instrument(ticker="PEP", next_fetch_at=NOW + timedelta(minutes=1))])
    assert sweep(engine).fetches == [due.id]
    assert sweep(engine).fetches == []
    late = NOW + refresh.FETCH_LEASE + timedelta(seconds=1)
    assert due.id in sweep(engine, late).fetches


def test_the_states_a_reader_sees(engine: Engine, portfolio: Portfolio) -> None:
    assert newest(engine, portfolio).state == "empty"
    revision = change(engine, portfolio)
    assert newest(engine, portfolio).state == "stale"
    sweep(engine)
    assert newest(engine, portfolio).state == "computing"
    assert newest(engine, portfolio).progress == {"stage": "risk", "fraction": 0.0}
    save(engine, snapshot(portfolio, revision, positions=4, pending_positions=1))
    waiting = newest(engine, portfolio)
    assert (waiting.state, waiting.progress) == ("computing", {"stage": "prices", "fraction": 0.75})
    revision = change(engine, portfolio)
    save(engine, snapshot(portfolio, revision))
    fresh = newest(engine, portfolio)
    assert (fresh.state, fresh.progress) == ("fresh", None)
    assert fresh.etag != waiting.etag
    with engine.connect() as connection:
        answer = snapshots.read_answer(lambda: connection, fresh)
    assert answer is not None
    assert answer.endswith(b'"revision":%d}' % revision)


def test_another_users_portfolio_is_not_there(engine: Engine, portfolio: Portfolio) -> None:
    with engine.connect() as connection:
        assert snapshots.read_newest(connection, portfolio.id, portfolio.user_id + 1) is None
