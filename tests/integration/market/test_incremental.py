"""Known tickers are asked for what is newer alone; whatever does not continue it brings the whole history."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.market import incremental, store
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sample import SampleSource
from tailwatch.market.sources import Bar, Known, Outcome, PriceHistory, SourceChain
from tailwatch.market.yahoo import YahooSource
from tests.support.yahoo_server import EVENING, Listing, YahooServer, sample_listing

TOMORROW = EVENING + timedelta(days=1)


def ids_of(engine: Engine, *tickers: str) -> dict[str, int]:
    with transaction(engine) as session:
        return {ticker: each.id for ticker, each in ensure_instruments(session, tickers).items()}


def known(engine: Engine, instrument_id: int) -> Known | None:
    """What is known of it on a day that is not the one on which its whole history is asked for."""
    today = date(1970, 1, 1) + timedelta(days=1 - instrument_id)
    with engine.connect() as connection:
        return incremental.load_known(connection, [instrument_id], today).get(instrument_id)


def fetch(engine: Engine, yahoo: YahooServer, *tickers: str, now: datetime = EVENING) -> list[str]:
    """What the price task does; return the tickers whose prices changed."""
    chain = SourceChain([YahooSource(10, yahoo.url), SampleSource()])
    ids = ids_of(engine, *tickers)
    start = now.date() - timedelta(days=800)
    outcomes = {each: chain.fetch(ticker, start, now, known(engine, each)) for ticker, each in ids.items()}
    with transaction(engine) as session:
        changed = store.save_all(session, outcomes, chain, now)
    return [ticker for ticker, each in ids.items() if each in changed]


def asked(yahoo: YahooServer) -> list[str]:
    """Whether each chart since the last question was asked for whole or in part."""
    charts = [query for path, query in yahoo.requests if path.startswith("/v8/")]
    yahoo.requests.clear()
    month_ago = (EVENING - timedelta(days=31)).timestamp()
    return ["part" if int(query["period1"]) > month_ago else "whole" for query in charts]


def without_newest(listing: Listing, days: int = 1) -> Listing:
    return replace(
        listing, days=listing.days[:-days], closes=listing.closes[:-days], adjusted=listing.adjusted[:-days]
    )


def stored(engine: Engine, ticker: str = "KO") -> list[tuple[Any, ...]]:
    query = """
        SELECT day, close, adjusted_close, p.fetched_at FROM prices p JOIN instruments i ON i.id = instrument_id
        WHERE ticker = :ticker ORDER BY day
    """
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), {"ticker": ticker})]


def one(engine: Engine, query: str) -> Any:
    with engine.connect() as connection:
        return connection.scalar(text(query))


@pytest.fixture
def kept(engine: Engine, yahoo: YahooServer) -> YahooServer:
    """Yahoo, asked when it did not know the newest session yet."""
    for ticker in ("KO", "XOM"):
        yahoo.listings[ticker] = without_newest(sample_listing(ticker))
    assert fetch(engine, yahoo, "KO", "XOM") == ["KO", "XOM"]
    assert asked(yahoo) == ["whole", "whole"]
    return yahoo


def test_only_what_is_newer_is_asked_for_and_added(engine: Engine, kept: YahooServer) -> None:
    before = stored(engine)
    assert fetch(engine, kept, "KO", now=TOMORROW) == []
    kept.knows("KO")
    assert fetch(engine, kept, "KO", now=TOMORROW) == ["KO"]
    assert asked(kept) == ["part", "part"]
    after = stored(engine)
    assert after[:-1] == before
    assert (after[-1][0], after[-1][3]) == (EVENING.date(), TOMORROW)
    assert one(engine, "SELECT count(*) FROM superseded_prices") == 0
    assert one(engine, "SELECT last_fetched_at FROM instruments WHERE ticker = 'KO'") == TOMORROW


def rebased(listing: Listing) -> None:
    listing.adjusted = [price * 0.99 for price in listing.adjusted[:-1]] + listing.adjusted[-1:]


def split(listing: Listing) -> None:
    listing.closes = [price / 2 for price in listing.closes]
    listing.adjusted = [price / 2 for price in listing.adjusted]
    listing.splits = [(listing.days[-1], 2, 1)]


def restated(listing: Listing) -> None:
    listing.closes[-3] *= 1.01
    listing.adjusted[-3] *= 1.01


def withdrawn(listing: Listing) -> None:
    del listing.days[-3], listing.closes[-3], listing.adjusted[-3]


@pytest.mark.parametrize(
    ("happens", "kind"),
    [(rebased, "rebased"), (split, "rebased"), (restated, "restated"), (withdrawn, "removed")],
)
def test_what_is_no_continuation_brings_the_whole_history(
    engine: Engine, kept: YahooServer, happens: Any, kind: str | None
) -> None:
    kept.knows("KO")
    happens(kept.listings["KO"])
    assert fetch(engine, kept, "KO", now=TOMORROW) == ["KO"]
    assert asked(kept) == ["part", "whole"]
    assert one(engine, "SELECT kind FROM superseded_prices") == kind
    listing = kept.listings["KO"]
    told = dict(zip(listing.days, listing.adjusted, strict=True))
    for day, _, adjusted, _ in stored(engine):
        assert float(adjusted) == pytest.approx(told[day], rel=1e-6)
    assert one(engine, "SELECT count(*) FROM splits") == len(listing.splits)


def test_another_currency_is_no_continuation(engine: Engine, kept: YahooServer) -> None:
    listing = kept.listings["KO"]
    listing.currency = "GBp"
    listing.closes, listing.adjusted = (
        [price * 100 for price in them] for them in (listing.closes, listing.adjusted)
    )
    assert fetch(engine, kept, "KO", now=TOMORROW) == ["KO"]
    assert asked(kept) == ["part", "whole"]
    assert one(engine, "SELECT currency FROM instruments WHERE ticker = 'KO'") == "GBp"


def test_a_jump_among_newer_bars_is_held_back_and_a_second_fetch_adds_it(engine: Engine, kept: YahooServer) -> None:
    before = stored(engine)
    kept.knows("KO", "XOM")
    for prices in (kept.listings["KO"].closes, kept.listings["KO"].adjusted):
        prices[-1] *= 0.3
    assert fetch(engine, kept, "KO", "XOM", now=TOMORROW) == ["KO", "XOM"]
    assert stored(engine) == before
    assert len(stored(engine, "XOM")) == len(before) + 1
    assert one(engine, "SELECT status FROM instruments WHERE ticker = 'KO'") == "ok"
    assert fetch(engine, kept, "KO", now=TOMORROW + timedelta(hours=1)) == []
    assert fetch(engine, kept, "KO", now=TOMORROW + timedelta(hours=7)) == ["KO"]
    assert asked(kept) == ["part"] * 4
    assert [row[0] for row in stored(engine)] == [*(row[0] for row in before), EVENING.date()]
    assert one(engine, "SELECT decided_by FROM held_prices") == "a second fetch"


def test_a_mended_jump_is_added_and_forgotten(engine: Engine, kept: YahooServer) -> None:
    kept.knows("KO")
    right = [*kept.listings["KO"].closes], [*kept.listings["KO"].adjusted]
    for prices in (kept.listings["KO"].closes, kept.listings["KO"].adjusted):
        prices[-1] *= 0.3
    fetch(engine, kept, "KO", now=TOMORROW)
    kept.listings["KO"].closes, kept.listings["KO"].adjusted = right
    assert fetch(engine, kept, "KO", now=TOMORROW + timedelta(hours=1)) == ["KO"]
    assert stored(engine)[-1][0] == EVENING.date()
    assert one(engine, "SELECT count(*) FROM held_prices") == 0
    assert one(engine, "SELECT remarks FROM instruments WHERE ticker = 'KO'") == []


def test_a_price_that_the_database_refuses_costs_the_others_nothing(engine: Engine, kept: YahooServer) -> None:
    ids = ids_of(engine, "KO", "XOM")
    outcomes = {}
    for ticker, bad in (("KO", Decimal("NaN")), ("XOM", None)):
        before = known(engine, ids[ticker])
        assert before is not None
        new = replace(before.bars[-1], day=EVENING.date())
        bars = [*before.bars, replace(new, adjusted_close=bad) if bad else new]
        history = PriceHistory(ticker, "yahoo", "USD", None, before.since, bars, splits=(), partial=True)
        outcomes[ids[ticker]] = Outcome("ok", history, None)
    chain = SourceChain([YahooSource(), SampleSource()])
    with transaction(engine) as session:
        assert store.save_all(session, outcomes, chain, TOMORROW) == [ids["XOM"]]
    assert stored(engine)[-1][0] == stored(engine, "XOM")[-2][0]
    assert "could not be stored" in one(engine, "SELECT status_reason FROM instruments WHERE ticker = 'KO'")


def test_newer_bars_never_join_prices_on_another_basis(engine: Engine, kept: YahooServer) -> None:
    """The stored history was replaced while newer bars were on their way."""
    ko = ids_of(engine, "KO")["KO"]
    before = known(engine, ko)
    assert before is not None
    bars = [*before.bars, Bar(EVENING.date(), Decimal(60), Decimal(60))]
    history = PriceHistory("KO", "yahoo", "USD", None, before.since, bars, splits=(), partial=True)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE prices SET adjusted_close = adjusted_close / 2 WHERE instrument_id = :id"), {"id": ko}
        )
    chain = SourceChain([YahooSource(), SampleSource()])
    with transaction(engine) as session:
        assert store.save_all(session, {ko: Outcome("ok", history, None)}, chain, TOMORROW) == []
    assert stored(engine)[-1][0] < EVENING.date()
    assert "changed while newer ones were fetched" in one(
        engine, "SELECT status_reason FROM instruments WHERE ticker = 'KO'"
    )
    assert one(engine, "SELECT next_fetch_at FROM instruments WHERE ticker = 'KO'") is not None


def test_once_a_month_everything_is_asked_for(engine: Engine, kept: YahooServer) -> None:
    ids = list(ids_of(engine, "KO", "XOM").values())
    with engine.connect() as connection:
        month = [
            len(incremental.load_known(connection, ids, EVENING.date() + timedelta(days=day))) for day in range(30)
        ]
    assert sorted(month) == [1, 1, *[2] * 28]


def test_the_samples_prices_are_not_continued_by_yahoos(engine: Engine, yahoo: YahooServer) -> None:
    yahoo.everything = "break"
    fetch(engine, yahoo, "KO")
    asked(yahoo)
    yahoo.everything = None
    yahoo.knows("KO")
    assert fetch(engine, yahoo, "KO", now=TOMORROW) == ["KO"]
    assert asked(yahoo) == ["whole"]
    assert one(engine, "SELECT source FROM instruments WHERE ticker = 'KO'") == "yahoo"
