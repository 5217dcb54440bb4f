"""Whole histories that repeat what is stored are kept many at a time; all others one by one, as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.market import store, whole
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import Bar, Outcome, PriceHistory, SourceChain
from tailwatch.market.yahoo import YahooSource
from tests.support.markets import walk, weekdays

CHAIN = SourceChain([YahooSource(), SampleSource()])
DAYS = weekdays(300)
CLOSES = walk(5, len(DAYS), 80.0)
THEN = datetime(2022, 12, 27, 22, tzinfo=UTC)
NOW = THEN + timedelta(days=1)
D = Decimal


def history(ticker: str, **changes: Any) -> PriceHistory:
    bars = [
        Bar(day, close, close, 1000, close, close + 1, close - 1) for day, close in zip(DAYS, CLOSES, strict=True)
    ]
    return replace(PriceHistory(ticker, "yahoo", "USD", "Some", DAYS[0], bars, splits=[(DAYS[9], D(2))]), **changes)


def keep(engine: Engine, histories: list[PriceHistory], now: datetime) -> list[str]:
    """Save what came of a run; return the tickers that changed."""
    with transaction(engine) as session:
        ids = {each.ticker: each.id for each in ensure_instruments(session, [h.ticker for h in histories]).values()}
        outcomes = {ids[one.ticker]: Outcome("ok", one, None) for one in histories}
        changed = store.save_all(session, outcomes, CHAIN, now)
    return [ticker for ticker, each in ids.items() if each in changed]


def stored(engine: Engine) -> list[tuple[Any, ...]]:
    query = """
        SELECT i.ticker, p.day, p.close, p.adjusted_close, p.open, p.high, p.low, p.volume, p.source, p.fetched_at
        FROM prices p JOIN instruments i ON i.id = p.instrument_id ORDER BY i.ticker, p.day
    """
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.fixture
def kept(engine: Engine) -> list[str]:
    """Three instruments, kept a session ago."""
    before = [replace(one, bars=one.bars[:-1]) for one in map(history, ("KO", "PEP", "XOM"))]
    return keep(engine, before, THEN)


def test_histories_that_are_repeated_bring_their_newest_bars_together(
    engine: Engine, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(engine)
    one_by_one: list[int] = []
    monkeypatch.setattr(store, "save", lambda _session, each, *_: one_by_one.append(each))
    assert keep(engine, [history(ticker) for ticker in kept], NOW) == kept
    assert one_by_one == []
    after = stored(engine)
    assert [row for row in after if row[-1] == THEN] == before
    assert [row[:2] for row in after if row[-1] == NOW] == [(ticker, DAYS[-1]) for ticker in kept]
    assert keep(engine, [history(ticker) for ticker in kept], NOW) == [], "the same again is no change"


def other_close(one: PriceHistory) -> PriceHistory:
    bars = list(one.bars)
    bars[100] = replace(bars[100], close=bars[100].close + D("0.01"))
    return replace(one, bars=bars)


def dividend(one: PriceHistory) -> PriceHistory:
    bars = [replace(bar, adjusted_close=bar.adjusted_close * D("0.99")) for bar in one.bars[:-1]]
    return replace(one, bars=[*bars, one.bars[-1]])


def jump(one: PriceHistory) -> PriceHistory:
    last = one.bars[-1]
    return replace(one, bars=[*one.bars[:-1], replace(last, close=last.close * 3, adjusted_close=last.close * 3)])


def no_number(one: PriceHistory) -> PriceHistory:
    bars = list(one.bars)
    bars[3] = replace(bars[3], close=D("sNaN"))
    return replace(one, bars=bars)


@pytest.mark.parametrize(
    "change",
    [
        other_close,
        dividend,
        jump,
        no_number,
        lambda one: replace(one, bars=[*one.bars[:50], *one.bars[51:]]),
        lambda one: replace(one, splits=[]),
        lambda one: replace(one, splits=[(DAYS[9], D(3))]),
        lambda one: replace(one, currency="EUR"),
        lambda one: replace(one, name="Another"),
        lambda one: replace(one, labels={"asset_class": "ETF"}),
        lambda one: replace(one, blank=[NOW.date()]),
        lambda one: replace(one, source="sample"),
        lambda one: replace(one, bars=[Bar(DAYS[0] - timedelta(days=3), D(1), D(1)), *one.bars]),
        lambda one: replace(one, bars=one.bars[:-2]),
    ],
)
def test_whatever_else_there_is_to_say_is_said_one_by_one(
    engine: Engine, kept: list[str], change: Callable[[PriceHistory], PriceHistory]
) -> None:
    with engine.connect() as connection:
        ids = dict(connection.execute(text("SELECT ticker, id FROM instruments")).all())
        outcomes = {ids[t]: Outcome("ok", change(history(t)) if t == "KO" else history(t), None) for t in kept}
        cut = whole.narrowed(connection, outcomes)
    assert cut[ids["PEP"]].history is not None
    assert cut[ids["PEP"]].history.partial
    if change is jump:
        # That is for the gate to say, which looks at newer bars as well.
        assert cut[ids["KO"]].history is not None
    else:
        assert cut[ids["KO"]] is outcomes[ids["KO"]]
    keep(engine, [change(history("KO")), history("PEP")], NOW)
    assert ("PEP", DAYS[-1]) in {row[:2] for row in stored(engine)}
    if change is jump:
        assert ("KO", DAYS[-1]) not in {row[:2] for row in stored(engine)}


def test_bars_without_a_range_get_it_one_by_one(engine: Engine, kept: list[str]) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE prices SET open = NULL, high = NULL, low = NULL WHERE day = :day"), {"day": DAYS[5]}
        )
    keep(engine, [history(ticker) for ticker in kept], NOW)
    assert all(row[5] is not None for row in stored(engine))
