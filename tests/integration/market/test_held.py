"""Bars that are held back, and versions that were replaced, in a real PostgreSQL and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch import refresh
from tailwatch.db.session import transaction
from tailwatch.errors import SourceRefusedError
from tailwatch.market import breakers, store
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import Bar, Outcome, PriceHistory, SourceChain
from tailwatch.market.yahoo import YahooSource
from tests.integration.api.support import Caller, application, assert_problem, forget_settings
from tests.support.markets import walk, weekdays
from tests.support.work import work_off

EVENING = datetime(2022, 12, 28, 22, tzinfo=UTC)
CHAIN = SourceChain([YahooSource(), SampleSource()])
DAYS = weekdays(300)
CLOSES = walk(21, len(DAYS), 100.0, 0.01, 2)
D = Decimal

Keep = Callable[..., bool]


def history(closes: list[Decimal], days: list[date] | None = None, **changes: Any) -> PriceHistory:
    bars = [
        Bar(day, close, close, 1000, close, close + 1, close - 1)
        for day, close in zip(days or DAYS, closes, strict=True)
    ]
    return replace(PriceHistory("KO", "yahoo", "USD", "Coca-Cola", DAYS[0], bars, splits=()), **changes)


@pytest.fixture
def keep(worker_process: None, engine: Engine) -> Keep:
    def save(kept: PriceHistory, now: datetime = EVENING) -> bool:
        with transaction(engine) as session:
            instrument_id = ensure_instruments(session, ["KO"])["KO"].id
            changed = store.save(session, instrument_id, Outcome("ok", kept, None), CHAIN, now)
            if changed:
                refresh.raise_market_revision(session, [instrument_id])
            return changed

    return save


@pytest.fixture
def ada(worker_process: None, engine: Engine) -> Caller:
    forget_settings()
    return Caller(application(), engine, "ada@example.org")


def newest(engine: Engine) -> tuple[date, Decimal]:
    query = "SELECT day, close FROM prices ORDER BY day DESC LIMIT 1"
    with engine.connect() as connection:
        return tuple(connection.execute(text(query)).one())  # type: ignore[return-value]


WRONG = [*CLOSES[:-1], round(CLOSES[-2] * D("0.3"), 2)]


def test_a_jump_is_kept_apart_and_a_second_fetch_the_same_day_releases_it(engine: Engine, keep: Keep) -> None:
    keep(history(WRONG))
    assert newest(engine) == (DAYS[-2], CLOSES[-2])
    # An hour later it may be the same mistake still.
    keep(history(WRONG), EVENING + timedelta(hours=1))
    assert newest(engine) == (DAYS[-2], CLOSES[-2])
    assert keep(history(WRONG), EVENING + timedelta(hours=7)) is True
    assert newest(engine) == (DAYS[-1], WRONG[-1])
    with engine.connect() as connection:
        row = connection.execute(text("SELECT seen, decision, decided_by FROM held_prices")).one()
        remarks = connection.scalar(text("SELECT remarks FROM instruments"))
    assert tuple(row) == (3, "released", "a second fetch")
    assert remarks == []


def test_a_mistake_that_is_mended_is_no_question_any_more(engine: Engine, keep: Keep) -> None:
    keep(history(WRONG))
    keep(history(CLOSES), EVENING + timedelta(hours=1))
    assert newest(engine) == (DAYS[-1], CLOSES[-1])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM held_prices")) == 0


def test_a_spike_that_the_source_repeats_stays_out(engine: Engine, keep: Keep) -> None:
    spiked = [*CLOSES]
    spiked[200] = spiked[199] * 3
    keep(history(spiked))
    keep(history(spiked), EVENING + timedelta(days=3))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM prices WHERE day = :day"), {"day": DAYS[200]}) == 0
        assert connection.scalar(text("SELECT decision FROM held_prices")) is None


def test_no_snapshot_is_computed_from_it_silently(engine: Engine, keep: Keep, ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="KO", quantity="10")
    keep(history(WRONG))
    work_off(engine)
    url = f"/api/portfolios/{portfolio_id}/risk"
    served = json.loads(ada.get(url).data)
    assert D(served["nav"]) == 10 * CLOSES[-2]
    [warning] = [one for one in served["warnings"] if one["code"] == "held_price"]
    assert "A price of KO is held back" in warning["message"]
    assert f"on {DAYS[-1]}" in warning["message"]

    listed = ada.get("/api/prices").json["items"]
    assert [(one["ticker"], one["state"], one["held"], one["last_bar"]) for one in listed] == [
        ("KO", "held", 1, str(DAYS[-2]))
    ]
    detail = ada.get("/api/prices/ko").json
    assert [one["decision"] for one in detail["held_prices"]] == [None]
    decided = ada.post(f"/api/prices/KO/held/{DAYS[-1]}", {"decision": "release"})
    assert decided.status_code == 200, decided.text
    assert decided.json["held_prices"][0]["decided_by"] == 'ada@example.org (token "tests")'
    work_off(engine)
    served = json.loads(ada.get(url).data)
    assert D(served["nav"]) == 10 * WRONG[-1]
    assert [one for one in served["warnings"] if one["code"] == "held_price"] == []

    ada.post(f"/api/prices/KO/held/{DAYS[-1]}", {"decision": "reject"})
    work_off(engine)
    assert D(json.loads(ada.get(url).data)["nav"]) == 10 * CLOSES[-2]
    # Rejected for good: the source may repeat it as often as it likes.
    keep(history(WRONG), EVENING + timedelta(days=2))
    assert newest(engine) == (DAYS[-2], CLOSES[-2])


def test_what_is_not_there_or_not_mine_is_not_found(engine: Engine, keep: Keep, ada: Caller) -> None:
    keep(history(WRONG))
    for answer in (
        ada.get("/api/prices/KO"),
        ada.post(f"/api/prices/KO/held/{DAYS[-1]}", {"decision": "release"}),
        ada.post("/api/prices/KO/refresh"),
        ada.get("/api/prices/A%20B"),
    ):
        assert_problem(answer, 404, "no-such-instrument")
    ada.trade(ada.portfolio(), ticker="KO")
    for day in ("2022-01-03", "yesterday"):
        assert_problem(ada.post(f"/api/prices/KO/held/{day}", {"decision": "release"}), 404, "no-such-held-price")
    assert_problem(
        ada.post(f"/api/prices/KO/held/{DAYS[-1]}", {"decision": "maybe"}), 422, "invalid-input", "decision"
    )


def test_a_fetch_can_be_asked_for(engine: Engine, keep: Keep, ada: Caller) -> None:
    keep(history(CLOSES))
    ada.trade(ada.portfolio(), ticker="KO")
    assert ada.get("/api/prices/KO").json["next_fetch_at"] is None
    assert ada.post("/api/prices/KO/refresh").status_code == 202
    assert ada.get("/api/prices/KO").json["next_fetch_at"] is not None


def test_sources_are_listed_with_what_is_known_of_them(engine: Engine, keep: Keep, ada: Caller) -> None:
    with engine.begin() as connection:
        breakers.note(connection, SourceChain([], _given_up={"sample": SourceRefusedError("No.", 3600)}), EVENING)
    [sample] = ada.get("/api/prices/sources").json["items"]
    assert (sample["name"], sample["failures"], sample["last_error"]) == ("sample", 1, "No.")
    assert datetime.fromisoformat(sample["out_until"]) == EVENING + timedelta(hours=1)


# --- versions ---


def versions(engine: Engine) -> list[tuple[Any, ...]]:
    query = "SELECT kind, days, closes, sources, replaced_at FROM superseded_prices ORDER BY id"
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_restated_bar_stays_as_it_was(engine: Engine, keep: Keep) -> None:
    keep(history(CLOSES))
    restated = [*CLOSES]
    restated[100] += D("0.5")
    later = EVENING + timedelta(days=1)
    assert keep(history(restated), later) is True
    assert versions(engine) == [("restated", [DAYS[100]], [CLOSES[100]], ["yahoo"], later)]
    # The same again is no version.
    assert keep(history(restated), later + timedelta(days=1)) is False
    assert len(versions(engine)) == 1


def test_a_dividend_rebases_what_came_before_it(engine: Engine, keep: Keep) -> None:
    keep(history(CLOSES))
    rebased = [round(close * D("0.99"), 6) for close in CLOSES[:-3]] + CLOSES[-3:]
    kept = history(CLOSES)
    bars = [replace(bar, adjusted_close=adjusted) for bar, adjusted in zip(kept.bars, rebased, strict=True)]
    keep(replace(kept, bars=bars), EVENING + timedelta(days=1))
    [(kind, days, closes, _, _)] = versions(engine)
    assert (kind, days, closes) == ("rebased", DAYS[:-3], CLOSES[:-3])


def test_another_source_and_a_withdrawn_bar_are_told_apart(engine: Engine, keep: Keep) -> None:
    keep(history(CLOSES, source="sample"))
    keep(history(CLOSES))
    without = [(day, close) for day, close in zip(DAYS, CLOSES, strict=True) if day != DAYS[50]]
    keep(history([close for _, close in without], [day for day, _ in without]), EVENING + timedelta(days=1))
    assert [(kind, len(days), sources[0]) for kind, days, _, sources, _ in versions(engine)] == [
        ("source", 300, "sample"),
        ("removed", 1, "yahoo"),
    ]


def test_the_snapshots_that_a_restatement_touches_are_named(engine: Engine, keep: Keep, ada: Caller) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="KO", quantity="10")
    before = datetime.now(UTC)
    keep(history(CLOSES), before)
    work_off(engine)
    first = json.loads(ada.get(f"/api/portfolios/{portfolio_id}/risk").data)["snapshot_id"]
    restated = [*CLOSES]
    restated[100] += D("0.5")
    keep(history(restated), datetime.now(UTC))
    work_off(engine)
    [restatement] = ada.get("/api/prices/KO").json["restatements"]
    assert (restatement["kind"], restatement["first"], restatement["bars"]) == ("restated", str(DAYS[100]), 1)
    assert restatement["snapshots"] == [first]
    eve = Caller(application(), engine, "eve@example.org")
    eve.trade(eve.portfolio(), ticker="KO")
    assert eve.get("/api/prices/KO").json["restatements"][0]["snapshots"] == []


def test_open_high_and_low_are_kept(engine: Engine, keep: Keep) -> None:
    keep(history(CLOSES))
    with engine.connect() as connection:
        row = connection.execute(text("SELECT open, high, low FROM prices ORDER BY day LIMIT 1")).one()
    assert tuple(row) == (CLOSES[0], CLOSES[0] + 1, CLOSES[0] - 1)


def test_a_split_that_a_person_entered_outlives_what_a_source_says(engine: Engine, keep: Keep) -> None:
    keep(history(CLOSES))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO splits SELECT id, :day, 2, 'user' FROM instruments"), {"day": DAYS[10]})
    keep(history(CLOSES, splits=[(DAYS[10], D(3)), (DAYS[20], D(4))]), EVENING + timedelta(days=1))
    keep(history(CLOSES, splits=[]), EVENING + timedelta(days=2))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT day, ratio, source FROM splits ORDER BY day")).all()
    assert [tuple(row) for row in found] == [(DAYS[10], D(2), "user")]
