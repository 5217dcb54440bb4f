"""What fetches leave in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tailwatch.db.models import Instrument
from tailwatch.db.session import transaction
from tailwatch.market import sample, short, store
from tailwatch.market.instruments import ensure_instruments, set_labels
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import Bar, Outcome, PriceHistory, SourceChain
from tailwatch.market.yahoo import YahooSource
from tests.support.yahoo_server import EVENING, YahooServer

NOW = datetime(2024, 3, 1, 22, tzinfo=UTC)
FIRST = date(2024, 1, 1)
D = Decimal
#: Only the order of the sources plays a part where outcomes are made by hand.
CHAIN = SourceChain([YahooSource(), SampleSource()])


def history(
    *closes: str, source: str = "yahoo", first: date = FIRST, since: date = FIRST, **changes: Any
) -> PriceHistory:
    bars = [Bar(first + timedelta(days=n), D(close), D(close) / 2, 100) for n, close in enumerate(closes)]
    return replace(PriceHistory("KO", source, "USD", "Coca-Cola", since, bars, splits=()), **changes)


def served(*closes: str, reason: str | None = None, **changes: Any) -> Outcome:
    return Outcome("ok", history(*closes, **changes), reason)


AWAY = Outcome("failed", None, "Yahoo could not be reached.")
UNKNOWN = Outcome("unknown", None, "No price source knows KO.")


@pytest.fixture
def keep(engine: Engine) -> Callable[..., bool]:
    """Save an outcome for KO in a transaction of its own."""

    def save(outcome: Outcome, now: datetime = NOW, chain: SourceChain = CHAIN) -> bool:
        with transaction(engine) as session:
            return store.save(session, ensure_instruments(session, ["KO"])["KO"].id, outcome, chain, now)

    return save


def instrument(engine: Engine, ticker: str = "KO") -> Instrument:
    with transaction(engine) as session:
        return ensure_instruments(session, [ticker])[ticker]


def rows(engine: Engine, ticker: str = "KO") -> list[Row[Any]]:
    query = """
        SELECT day, close, adjusted_close, volume, p.source, fetched_at
        FROM prices p JOIN instruments i ON i.id = instrument_id WHERE ticker = :ticker ORDER BY day
    """
    with engine.connect() as connection:
        return list(connection.execute(text(query), {"ticker": ticker}))


def closes(engine: Engine) -> list[Decimal]:
    return [row.close for row in rows(engine)]


def splits(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT day, ratio, source FROM splits ORDER BY day"))]


def test_the_first_history_is_kept_whole(engine: Engine, keep: Callable[..., bool]) -> None:
    assert keep(served("10.5", "11", splits=[(FIRST, D(2))])) is True
    kept = rows(engine)
    assert [tuple(row) for row in kept] == [
        (FIRST, D("10.5"), D("5.25"), 100, "yahoo", NOW),
        (FIRST + timedelta(days=1), D(11), D("5.5"), 100, "yahoo", NOW),
    ]
    assert splits(engine) == [(FIRST, 2, "yahoo")]
    state = instrument(engine)
    assert (state.status, state.status_reason, state.source, state.currency) == ("ok", None, "yahoo", "USD")
    assert (state.name, state.next_fetch_at, state.last_fetched_at) == ("Coca-Cola", None, NOW)
    assert (state.fetch_attempts, state.fetch_queued_at) == (0, None)


def test_the_same_again_changes_nothing_and_writes_nothing(engine: Engine, keep: Callable[..., bool]) -> None:
    outcome = served("10.5", "11", splits=[(FIRST, D("0.3333333333"))])
    keep(outcome)
    before = rows(engine)
    assert keep(outcome, NOW + timedelta(days=1)) is False
    assert rows(engine) == before
    assert instrument(engine).last_fetched_at == NOW + timedelta(days=1)


def test_the_noise_in_yahoos_seventh_digit_is_no_change_and_a_dividend_is(
    engine: Engine, keep: Callable[..., bool]
) -> None:
    keep(served("71.69662", "72"))
    assert keep(served("71.69665", "72")) is False
    assert keep(served("71.69", "72"), NOW + timedelta(days=1)) is True
    assert [row.fetched_at for row in rows(engine)] == [NOW + timedelta(days=1), NOW]


def test_a_new_bar_is_a_change_and_a_bar_withdrawn_is_one(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(served("1", "2", "3", "4"))
    assert keep(served("1", "2", "3", "4", "5")) is True
    shorter = served("1", "2", "3", "4", "5")
    assert shorter.history is not None
    without_one = [bar for bar in shorter.history.bars if bar.close != 3]
    assert keep(Outcome("ok", replace(shorter.history, bars=without_one), None)) is True
    assert closes(engine) == [1, 2, 4, 5]


def test_days_before_the_wish_go_without_counting_as_a_change(engine: Engine, keep: Callable[..., bool]) -> None:
    """Their adjustment is an earlier answer's: beside newer bars they would be a jump that never happened."""
    keep(served("1", "2", "3"))
    tomorrow = FIRST + timedelta(days=1)
    assert keep(served("2", "3", first=tomorrow, since=tomorrow)) is False
    assert closes(engine) == [2, 3]


def test_half_an_answer_is_refused_and_what_is_stored_stays(engine: Engine, keep: Callable[..., bool]) -> None:
    whole = [str(n) for n in range(1, 101)]
    keep(served(*whole))
    assert keep(served(*whole[:60])) is False
    state = instrument(engine)
    assert len(rows(engine)) == 100
    assert state.status == "failed"
    assert state.status_reason is not None
    assert "60 sessions" in state.status_reason
    assert "100 are stored" in state.status_reason
    assert keep(served(*whole[:90])) is True, "a few withdrawn days are possible"


def test_half_an_answer_that_stays_is_the_truth_after_three_days(engine: Engine, keep: Callable[..., bool]) -> None:
    whole = [str(n) for n in range(1, 101)]
    keep(served(*whole))
    assert [keep(served(*whole[:60]), NOW + timedelta(days=day)) for day in range(3)] == [False] * 3
    [remark] = instrument(engine).remarks
    assert (
        remark["message"]
        == "The source yahoo gives 60 sessions only. If it still does on 2024-03-04, they are taken."
    )
    # Even less is another answer.
    assert keep(served(*whole[:20]), NOW + timedelta(days=3)) is False
    assert keep(served(*whole[:60]), NOW + timedelta(days=5)) is False
    assert keep(served(*whole[:60]), NOW + timedelta(days=6)) is True
    state = instrument(engine)
    assert (len(rows(engine)), state.status, state.remarks) == (60, "ok", [])


def test_a_person_may_take_half_an_answer_at_once(engine: Engine, keep: Callable[..., bool]) -> None:
    whole = [str(n) for n in range(1, 101)]
    keep(served(*whole))
    with transaction(engine) as session:
        short.accept(ensure_instruments(session, ["KO"])["KO"])
    assert keep(served(*whole[:30])) is True
    assert keep(served(*whole[:10])) is False, "once is once"


def test_a_better_source_replaces_the_whole_history(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(served("1", "2", "3", source="sample", reason="Yahoo could not be reached.", name="Coca-Cola"))
    state = instrument(engine)
    assert (state.status, state.source) == ("ok", "sample")
    assert state.status_reason == (
        "Yahoo could not be reached. These prices are from the source sample, up to 2024-01-03. "
        "The next try comes by itself."
    )
    assert keep(served("2", "3", first=FIRST + timedelta(days=1), since=FIRST)) is True
    assert [(row.day, row.source) for row in rows(engine)] == [
        (FIRST + timedelta(days=1), "yahoo"),
        (FIRST + timedelta(days=2), "yahoo"),
    ]
    state = instrument(engine)
    assert (state.source, state.name, state.status_reason, state.next_fetch_at) == ("yahoo", "Coca-Cola", None, None)


def test_a_later_source_never_takes_the_place_of_a_better_ones_prices(
    engine: Engine, keep: Callable[..., bool]
) -> None:
    keep(served("1", "2"))
    assert keep(served("7", "8", source="sample", reason="Yahoo could not be reached.")) is False
    assert closes(engine) == [1, 2]
    state = instrument(engine)
    assert (state.status, state.source) == ("failed", "yahoo")
    assert state.status_reason == (
        "Yahoo could not be reached. Its last prices stay in use. The next try comes by itself."
    )
    assert state.next_fetch_at is not None
    assert keep(served("1", "2")) is False, "it is back, and nothing has changed"
    assert instrument(engine).status == "ok"


def test_a_source_taken_out_of_the_settings_is_replaced(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(served("1", "2"))
    assert keep(served("7", source="sample"), chain=SourceChain([SampleSource()])) is True
    assert [(row.close, row.source) for row in rows(engine)] == [(7, "sample")]


def test_the_sample_serves_while_yahoo_is_tried_again_ever_more_rarely(
    engine: Engine, keep: Callable[..., bool]
) -> None:
    outcome = served("1", "2", source="sample", reason="Yahoo could not be reached.")
    waits = []
    for number in range(8):
        assert keep(outcome) is (number == 0)
        due = instrument(engine).next_fetch_at
        assert due is not None
        waits.append((due - NOW) / timedelta(minutes=1))
    for wait, plain in zip(waits, [15, 30, 60, 120, 240, 360, 360, 360], strict=True):
        assert plain <= wait <= 1.2 * plain
    keep(served("1", "2"))
    assert instrument(engine).fetch_attempts == 0


def test_a_failure_without_prices_is_seen_once_and_tried_again(engine: Engine, keep: Callable[..., bool]) -> None:
    assert [keep(AWAY), keep(AWAY)] == [True, False]
    state = instrument(engine)
    assert (state.status, state.source) == ("failed", None)
    assert state.status_reason == "Yahoo could not be reached. The next try comes by itself."
    assert state.fetch_attempts == 2
    assert state.next_fetch_at is not None
    assert timedelta(seconds=60) <= state.next_fetch_at - NOW <= timedelta(seconds=72)


def test_a_refusal_is_not_asked_again_before_its_time(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(replace(AWAY, retry_after=timedelta(hours=1)))
    due = instrument(engine).next_fetch_at
    assert due is not None
    assert timedelta(hours=1) <= due - NOW <= timedelta(hours=1.2)


def test_a_ticker_that_nobody_knows_waits_for_the_night(engine: Engine, keep: Callable[..., bool]) -> None:
    assert [keep(UNKNOWN), keep(UNKNOWN)] == [True, False]
    state = instrument(engine)
    assert (state.status, state.status_reason) == ("unknown", "No price source knows KO. Is it spelt right?")
    assert state.next_fetch_at is None
    assert keep(served("1")) is True, "it may be listed tomorrow"


def test_a_ticker_that_is_suddenly_unknown_keeps_its_prices(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(served("1", "2"))
    assert keep(UNKNOWN) is False
    assert closes(engine) == [1, 2]
    state = instrument(engine)
    assert (state.status, state.status_reason) == (
        "failed",
        f"No price source knows KO. {store.GONE} Its last prices stay in use. The next try comes by itself.",
    )
    # Yahoo forgets live tickers for an hour at times. What is gone for good is left to the nights.
    waits = []
    while state.next_fetch_at is not None:
        waits.append(state.next_fetch_at - state.last_fetched_at)
        keep(UNKNOWN)
        state = instrument(engine)
    assert len(waits) == store.TRIES_OF_UNKNOWN
    assert waits == sorted(waits)
    assert timedelta(hours=7) < sum(waits, timedelta(0)) < timedelta(hours=12)


def test_a_ticker_that_only_a_later_source_still_knows_says_so(engine: Engine, keep: Callable[..., bool]) -> None:
    """Yahoo forgets what is delisted; the sample does not, and is no better than what is there."""
    keep(served("1", "2"))
    assert keep(served("7", "8", source="sample")) is False
    assert closes(engine) == [1, 2]
    state = instrument(engine)
    assert state.status == "failed"
    assert state.status_reason == (
        f"The source yahoo does not know KO any more. {store.GONE} Its last prices stay in use. "
        "The next try comes by itself."
    )


def test_the_same_numbers_in_another_currency_are_a_change(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(served("10", currency="GBP"))
    assert keep(served("10", currency="GBp")) is True
    assert instrument(engine).currency == "GBp"
    assert keep(served("10", currency="GBp")) is False


@pytest.mark.parametrize("said", ["a\0b", "a\ud800b", "a\nb"])
def test_what_a_source_says_can_be_stored_whatever_it_is(
    engine: Engine, keep: Callable[..., bool], said: str
) -> None:
    assert keep(served("10", name=said, reason=said)) is True
    state = instrument(engine)
    assert (state.name, (state.status_reason or "")[:4]) == ("a b", "a b ")
    keep(Outcome("failed", None, said))
    assert (instrument(engine).status_reason or "").startswith("a b Its last prices")


@pytest.mark.parametrize("said", [None, "", "\0", " "])
def test_a_name_once_known_stays(engine: Engine, keep: Callable[..., bool], said: str | None) -> None:
    keep(served("10"))
    keep(served("10", name=said))
    assert instrument(engine).name == "Coca-Cola"


def test_splits_after_the_last_price_of_a_source_that_knows_none_are_not_applied_to_it(
    engine: Engine, keep: Callable[..., bool]
) -> None:
    """Yahoo's split of June is not in the sample's prices of January; shares booked before it stay as they were."""
    later = date(2024, 6, 1)
    keep(served("30", splits=[(FIRST, D(2)), (later, D(3))]))
    only_sample = SourceChain([SampleSource()])
    assert keep(served("30", source="sample", splits=None), chain=only_sample) is True
    assert splits(engine) == [(FIRST, 2, "yahoo")]
    assert keep(served("30", source="sample", splits=None), chain=only_sample) is False


def test_splits_follow_the_source_and_a_source_without_any_says_nothing(
    engine: Engine, keep: Callable[..., bool]
) -> None:
    keep(served("1", source="sample", splits=None))
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO splits SELECT id, '2023-05-05', 7, 'hand' FROM instruments WHERE ticker = 'KO'")
        )
    assert keep(served("1", source="sample", splits=None)) is False
    assert splits(engine) == [(date(2023, 5, 5), 7, "hand")]
    keep(served("1", splits=[(FIRST, D(4))]))
    assert splits(engine) == [(FIRST, 4, "yahoo")]
    assert keep(served("1", splits=[(FIRST, D(3))])) is True
    assert keep(served("1", splits=[])) is True
    assert splits(engine) == []


@pytest.mark.parametrize("column", ["close", "adjusted_close"])
@pytest.mark.parametrize("bad", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "0", "1e20"])
def test_no_price_that_is_none_gets_into_the_database(
    engine: Engine, keep: Callable[..., bool], bad: str, column: str
) -> None:
    keep(served("10", "11"))
    first, second = history("10", "11").bars
    broken = replace(second, close=D(bad)) if column == "close" else replace(second, adjusted_close=D(bad))
    assert keep(served(bars=[first, broken])) is False
    assert closes(engine) == [10, 11], "the answer is refused as a whole, and what was there stays"
    state = instrument(engine)
    assert (state.status, state.source) == ("failed", "yahoo")
    assert "could not be stored" in (state.status_reason or "")


def test_prices_that_the_database_refuses_fail_their_ticker_alone(engine: Engine) -> None:
    tickers = ["AAPL", "KO", "XOM"]
    with transaction(engine) as session:
        ids = {ticker: each.id for ticker, each in ensure_instruments(session, tickers).items()}
        outcomes = {"AAPL": served("10"), "KO": served("10", "0.000000001"), "XOM": served("10")}
        changed = {ticker: store.save(session, ids[ticker], outcomes[ticker], CHAIN, NOW) for ticker in tickers}
    assert changed == {"AAPL": True, "KO": True, "XOM": True}
    assert [len(rows(engine, ticker)) for ticker in tickers] == [1, 0, 1]
    state = instrument(engine)
    assert (state.status, state.currency, state.last_fetched_at) == ("failed", None, NOW)
    assert state.status_reason is not None
    assert "could not be stored" in state.status_reason
    assert state.next_fetch_at is not None


def test_a_currency_that_the_database_refuses_is_no_different(engine: Engine, keep: Callable[..., bool]) -> None:
    keep(served("10", currency="$"))
    assert instrument(engine).status == "failed"
    assert rows(engine) == []


class LostOnReading(list[Bar]):
    """Bars in the middle of whose writing the server ends the connection."""

    def __init__(self, bars: Sequence[Bar], lose: Callable[[], None]) -> None:
        super().__init__(bars)
        self._lose = lose

    def __iter__(self) -> Iterator[Bar]:
        self._lose()
        return super().__iter__()


def test_a_connection_lost_in_the_middle_is_the_callers_to_handle(engine: Engine) -> None:
    ko = instrument(engine).id

    def save(session: Session) -> None:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()

        def lose() -> None:
            with engine.begin() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

        store.save(
            session, ko, Outcome("ok", history(bars=LostOnReading(history("10").bars, lose)), None), CHAIN, NOW
        )

    with transaction(engine) as session:
        with pytest.raises(DBAPIError):
            save(session)
        session.rollback()
    assert instrument(engine).status == "pending"


def test_trades_are_booked_while_prices_are_being_saved(engine: Engine) -> None:
    """A trade's foreign key shares the instrument's key; it may not wait for a price task."""
    with transaction(engine) as session:
        ko = ensure_instruments(session, ["KO"])["KO"].id
    with transaction(engine) as session:
        store.save(session, ko, served("10"), CHAIN, NOW)
        with engine.begin() as booking:
            key = text("SELECT id FROM instruments WHERE id = :id FOR KEY SHARE NOWAIT")
            assert booking.execute(key, {"id": ko}).scalar_one() == ko


def test_only_what_is_still_due_is_fetched(engine: Engine) -> None:
    with transaction(engine) as session:
        ids = {ticker: each.id for ticker, each in ensure_instruments(session, ["AAPL", "KO", "XOM"]).items()}
        session.execute(text("UPDATE instruments SET next_fetch_at = NULL WHERE ticker = 'KO'"))
    later = datetime.now(UTC) + timedelta(seconds=1)
    with engine.connect() as connection:
        assert store.due_instruments(connection, [*ids.values(), 999], later) == {
            ids["AAPL"]: "AAPL",
            ids["XOM"]: "XOM",
        }
        assert store.due_instruments(connection, ids.values(), later - timedelta(days=1)) == {}


# --- sources, chain and store together ---


def fetch(engine: Engine, chain: SourceChain, *tickers: str) -> dict[str, bool]:
    """What the price task does."""
    start = EVENING.date() - timedelta(days=2200)
    with transaction(engine) as session:
        return {
            ticker: store.save(session, each.id, chain.fetch(ticker, start, EVENING), chain, EVENING)
            for ticker, each in ensure_instruments(session, tickers).items()
        }


def test_yahoo_serves_refuses_for_an_hour_and_is_back(engine: Engine, yahoo: YahooServer) -> None:
    def chain() -> SourceChain:
        return SourceChain([YahooSource(10, yahoo.url), SampleSource()])

    yahoo.knows("KO")
    yahoo.everything = "refuse"
    assert fetch(engine, chain(), "KO") == {"KO": True}
    state = instrument(engine)
    assert (state.status, state.source, state.name) == ("ok", "sample", "Coca-Cola")
    assert state.status_reason == (
        "Yahoo refused to answer (429, too many requests). "
        "These prices are from the source sample, up to 2022-12-28. The next try comes by itself."
    )
    yahoo.everything = None
    assert fetch(engine, chain(), "KO") == {"KO": True}
    assert {row.source for row in rows(engine)} == {"yahoo"}
    yahoo.everything = "refuse"
    before = rows(engine)
    assert fetch(engine, chain(), "KO") == {"KO": False}
    assert rows(engine) == before
    assert (instrument(engine).status, instrument(engine).source) == ("failed", "yahoo")
    yahoo.everything = "part"
    assert fetch(engine, chain(), "KO") == {"KO": False}
    assert rows(engine) == before


def test_one_dead_ticker_stands_in_nobodys_way(engine: Engine, yahoo: YahooServer) -> None:
    yahoo.knows("AAPL", "KO", "XOM")
    yahoo.faults["KO"] = "break"
    chain = SourceChain([YahooSource(10, yahoo.url)])
    assert fetch(engine, chain, "AAPL", "KO", "NOSUCH", "XOM") == dict.fromkeys(("AAPL", "KO", "NOSUCH", "XOM"), True)
    states = {ticker: instrument(engine, ticker).status for ticker in ("AAPL", "KO", "NOSUCH", "XOM")}
    assert states == {"AAPL": "ok", "KO": "failed", "NOSUCH": "unknown", "XOM": "ok"}


def test_the_whole_sample_is_stored_once(engine: Engine) -> None:
    chain = SourceChain([SampleSource()])
    assert set(fetch(engine, chain, *sample.NAMES).values()) == {True}
    assert set(fetch(engine, chain, *sample.NAMES).values()) == {False}
    assert rows(engine)[-1].close == D("62.609")


def test_labels_of_the_source_are_kept_and_those_of_the_operator_stay(
    engine: Engine, keep: Callable[..., bool]
) -> None:
    assert keep(served("10", "11"))
    assert instrument(engine).labels == {}
    assert keep(served("10", "11", labels={"asset_class": "Equity"})), "figures by label are part of a snapshot"
    assert not keep(served("10", "11", labels={"asset_class": "Equity"}))
    with transaction(engine) as session:
        set_labels(session, "ko", {"asset_class": "Drinks", "sector": "Consumer Staples"})
    assert not keep(served("10", "11", labels={"asset_class": "Equity"}))
    assert instrument(engine).labels == {"asset_class": "Drinks", "sector": "Consumer Staples"}
    with transaction(engine) as session:
        set_labels(session, "KO", {"asset_class": ""})
    assert instrument(engine).labels == {"sector": "Consumer Staples"}
    assert keep(served("10", "11", labels={"asset_class": "Equity"}))
    assert instrument(engine).labels == {"asset_class": "Equity", "sector": "Consumer Staples"}
