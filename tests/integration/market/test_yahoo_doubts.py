"""Yahoo answers, and what it says cannot be: what the user sees, and that no snapshot rests on it silently."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from tailwatch import refresh
from tailwatch.db.session import transaction
from tailwatch.errors import InvalidTickerError, TickerTakenError
from tailwatch.market.instruments import rename
from tests.integration.market.investor import TODAY, YESTERDAY, Investor, change, value, without_newest
from tests.support.work import work_off
from tests.support.yahoo_server import NEW_YORK, Listing, YahooServer, sample_listing

D = Decimal


def test_a_finished_day_without_a_price(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO", "XOM")
    yahoo.knows("KO", "XOM")
    yahoo.faults["KO"] = "no newest price"
    ada.night()
    said = f"The source yahoo gives no price of {TODAY}; that of {YESTERDAY} stands in."
    assert ada.sees("KO") == ("ok", str(YESTERDAY), None)
    [remark] = ada.price("KO")["remarks"]
    assert (remark["code"], remark["message"]) == ("no_price", said)
    assert ada.warned()["no_price"] == f"KO: {said}"
    assert (ada.position("KO")["price_date"], ada.position("XOM")["price_date"]) == (str(YESTERDAY), str(TODAY))
    # It is asked for again soon, and the warning goes with its reason.
    yahoo.faults.clear()
    ada.wait(timedelta(minutes=20))
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert ada.price("KO")["remarks"] == []
    assert "no_price" not in ada.warned()


def test_a_day_that_had_a_price_and_has_none_now_keeps_it(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO")
    yahoo.knows("KO")
    # Nulls two and three sessions before the newest.
    yahoo.faults["KO"] = "nan"
    before = stored(ada)
    ada.night()
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert stored(ada)[:-1] == before
    assert ada.price("KO")["restatements"] == []


def stored(ada: Investor) -> list[Any]:
    query = "SELECT day, close, adjusted_close FROM prices ORDER BY instrument_id, day"
    with ada.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def split(listing: Listing, *, adjusted: bool, effective: bool = True) -> None:
    """Split two for one as of the newest session, whose bar is in new shares if that has opened."""
    listing.splits = [(TODAY, 2, 1)]
    if adjusted:
        change(listing, lambda price: price / 2)
    elif effective:
        change(listing, lambda price: price / 2, first=-1)


@pytest.mark.parametrize("session", ["before its session", "after its session"])
def test_a_split_announced_today_that_prices_are_adjusted_for(
    ada: Investor, yahoo: YahooServer, session: str
) -> None:
    ada.held_yesterday("KO")
    before = value(ada.position("KO"))
    listing = sample_listing("KO")
    split(listing, adjusted=True)
    yahoo.listings["KO"] = listing if session == "after its session" else without_newest(listing)
    ada.night()
    held = ada.position("KO")
    assert D(held["quantity"]) == 20, "what was booked before it is scaled, once"
    assert ada.price("KO")["remarks"] == []
    moved = listing.closes[-1] / listing.closes[-2] if session == "after its session" else 1
    assert value(held) == pytest.approx(before * D(moved), rel=D("1e-6"))
    assert [one["kind"] for one in ada.price("KO")["restatements"]] == ["rebased"]
    [told] = ada.price("KO")["splits"]
    assert (told["day"], D(told["ratio"]), told["source"]) == (str(TODAY), 2, "yahoo")
    bars = ada.price("KO")["bars"]
    assert [bar["day"] for bar in bars] == sorted((bar["day"] for bar in bars), reverse=True)
    assert (bars[0]["close"], bars[0]["volume"]) == (held["price"], 1000)
    assert D(bars[-1]["close"]) == pytest.approx(D(listing.closes[-len(bars) - (moved == 1)]), rel=D("1e-6"))


@pytest.mark.parametrize("session", ["before its session", "after its session"])
def test_a_split_announced_today_that_prices_are_not_adjusted_for(
    ada: Investor, yahoo: YahooServer, session: str
) -> None:
    """New shares at old prices would double what it is worth, old shares at a new price halve it."""
    ada.held_yesterday("KO")
    before = ada.position("KO")
    listing = sample_listing("KO")
    split(listing, adjusted=False)
    yahoo.listings["KO"] = listing if session == "after its session" else without_newest(listing)
    for _ in range(2):
        ada.night()
        state, last_bar, said = ada.sees("KO")
        assert (state, last_bar, said) == ("ok", str(YESTERDAY), None)
        [remark] = ada.price("KO")["remarks"]
        assert remark["code"] == "split_announced"
        assert remark["message"].startswith(f"The source yahoo tells of a 2-for-1 split on {TODAY}")
        assert ada.warned()["split_announced"] == f"KO: {remark['message']}"
        held = ada.position("KO")
        assert [held[name] for name in ("quantity", "price", "market_value")] == [
            before[name] for name in ("quantity", "price", "market_value")
        ]
        # Seven hours later it says the same: that confirms a price, but not this.
        ada.wait(timedelta(hours=7))

    listing = sample_listing("KO")
    split(listing, adjusted=True)
    yahoo.listings["KO"] = listing
    ada.night()
    held = ada.position("KO")
    assert (D(held["quantity"]), held["price_date"]) == (20, str(TODAY))
    assert D(held["price"]) == pytest.approx(D(listing.closes[-1]), rel=D("1e-6"))
    assert ada.price("KO")["remarks"] == []
    assert "split_announced" not in ada.warned()


def test_a_split_that_prices_were_adjusted_for_long_ago_is_taken(ada: Investor, yahoo: YahooServer) -> None:
    """A list of splits that is mended late: there is no jump for it to explain."""
    ada.held_yesterday("KO")
    listing = sample_listing("KO")
    listing.splits = [(listing.days[-5], 2, 1)]
    yahoo.listings["KO"] = listing
    with ada.engine.begin() as connection:
        # Something else has to bring the whole history.
        connection.execute(text("UPDATE prices SET adjusted_close = adjusted_close * 0.99"))
    ada.night()
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert ada.price("KO")["remarks"] == []
    assert D(ada.position("KO")["quantity"]) == 20


def test_a_dividend_printed_as_a_price(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO")
    before = ada.position("KO")
    yahoo.knows("KO")
    change(yahoo.listings["KO"], lambda _: 0.46, first=-1)
    ada.night()
    assert ada.sees("KO") == ("held", str(YESTERDAY), None)
    [held] = ada.price("KO")["held_prices"]
    assert (held["code"], held["close"], held["decision"]) == ("not_a_price", "0.46", None)
    assert "it looks like a dividend, or another amount, printed as a price." in ada.warned()["held_price"]
    assert value(ada.position("KO")) == value(before)
    yahoo.knows("KO")
    ada.night()
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert "held_price" not in ada.warned()


@pytest.fixture
def in_pence(ada: Investor, yahoo: YahooServer) -> Listing:
    """Ten shares at some 6,000 pence, with the pound at 1.25 dollars."""
    listing = without_newest(sample_listing("KO"))
    change(listing, lambda price: price * 100)
    listing.currency = "GBp"
    yahoo.listings["KO"] = listing
    pounds = sample_listing("XOM")
    change(pounds, lambda _: 1.25)
    yahoo.listings["GBPUSD=X"] = Listing("GBPUSD=X", "GBP/USD", pounds.days, pounds.closes, pounds.adjusted)
    ada.buys("KO")
    return listing


def test_pence_are_hundredths_of_pounds(ada: Investor, in_pence: Listing) -> None:
    held = ada.position("KO")
    assert (held["currency"], D(held["rate"])) == ("GBp", D("0.0125"))
    assert value(held) == pytest.approx(10 * D(in_pence.closes[-1]) / 100 * D("1.25"), rel=D("1e-6"))
    assert ada.price("KO")["currency"] == "GBp"


def test_a_bar_in_pounds_among_pence_is_held_back(ada: Investor, yahoo: YahooServer, in_pence: Listing) -> None:
    before = value(ada.position("KO"))
    whole = sample_listing("KO")
    in_pounds = whole.closes[-1]
    change(whole, lambda price: price * 100)
    change(whole, lambda _: in_pounds, first=-1)
    whole.currency = "GBp"
    yahoo.listings["KO"] = whole
    ada.night()
    assert ada.sees("KO")[0] == "held"
    assert "it looks like hundredths taken for whole units" in ada.warned()["held_price"]
    assert value(ada.position("KO")) == before


def test_the_same_numbers_in_pounds_are_not_believed_for_three_days(
    ada: Investor, yahoo: YahooServer, in_pence: Listing
) -> None:
    before = ada.risk()
    in_pence.currency = "GBP"
    ada.night()
    state, _, said = ada.sees("KO")
    assert state == "failed"
    assert said.startswith(
        "The source yahoo gives the prices of KO in GBP instead of GBp, with the same numbers: nothing was taken."
    )
    [remark] = ada.price("KO")["remarks"]
    assert remark["code"] == "other_currency"
    assert ada.risk() == before
    # Mended: nothing is left of it.
    in_pence.currency = "GBp"
    ada.night()
    assert ada.sees("KO")[0] == "ok"
    assert ada.price("KO")["remarks"] == []
    assert yahoo.listings["KO"].time_zone is NEW_YORK


def test_a_source_that_stays_with_another_currency_is_believed(ada: Investor, in_pence: Listing) -> None:
    before = value(ada.position("KO"))
    in_pence.currency = "GBP"
    ada.night()
    with ada.engine.begin() as connection:
        connection.execute(
            text("UPDATE instruments SET remarks = jsonb_set(remarks, '{0,day}', '\"2020-01-01\"') WHERE ticker='KO'")
        )
    ada.night()
    assert ada.sees("KO")[0] == "ok"
    assert ada.price("KO")["currency"] == "GBP"
    assert value(ada.position("KO")) == 100 * before


def test_a_changed_symbol_is_named_with_what_to_do(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO")
    before = ada.risk()
    listing = yahoo.listings.pop("KO")
    yahoo.listings["COKE"] = Listing("COKE", "Coke", listing.days, listing.closes, listing.adjusted)
    yahoo.renamed["KO"] = "COKE"
    ada.night()
    state, last_bar, said = ada.sees("KO")
    assert (state, last_bar) == ("failed", str(YESTERDAY))
    assert said == (
        "The source yahoo calls KO COKE now: the prices are those that are stored of it. To follow, for all "
        'portfolios, run "tailwatch prices rename KO COKE". Its last prices stay in use. '
        "The next try comes by itself."
    )
    assert ada.risk() == before

    yahoo.knows("KO")
    yahoo.listings["COKE"] = replace(yahoo.listings.pop("KO"), symbol="COKE")
    with transaction(ada.engine) as session:
        renamed = rename(session, "KO", "COKE")
        assert renamed is not None
        refresh.raise_market_revision(session, [renamed.id])
    work_off(ada.engine)
    assert ada.sees("COKE") == ("ok", str(TODAY), None)
    assert ada.price("COKE")["restatements"] == [], "its history goes on"
    assert D(ada.position("COKE")["quantity"]) == 10
    assert [one["ticker"] for one in ada.risk()["positions"]] == ["COKE"]


def test_a_symbol_that_is_there_already_is_no_new_name(ada: Investor, yahoo: YahooServer) -> None:
    yahoo.knows("KO", "PEP")
    ada.buys("KO", "PEP")
    with transaction(ada.engine) as session:
        with pytest.raises(TickerTakenError, match="There is an instrument PEP already"):
            rename(session, "KO", "PEP")
        with pytest.raises(InvalidTickerError):
            rename(session, "KO", "P E P")
        assert rename(session, "NOSUCH", "OTHER") is None
    assert ada.sees("KO")[0] == "ok"


def test_an_answer_for_the_wrong_symbol(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO")
    before = ada.risk()
    yahoo.knows("XOM")
    yahoo.renamed["KO"] = yahoo.renamed["PEP"] = "XOM"
    ada.night()
    state, last_bar, said = ada.sees("KO")
    assert (state, last_bar) == ("failed", str(YESTERDAY))
    assert said.startswith("Yahoo answered for XOM when asked for KO; nothing was taken.")
    assert "rename" not in said
    assert ada.risk() == before
    ada.buys("PEP")
    [left_out] = [one for one in ada.risk()["coverage"]["instruments"] if one["ticker"] == "PEP"]
    assert left_out["reason"].startswith("Yahoo answered for XOM when asked for PEP; nothing was taken.")
    assert ada.risk()["nav"] == before["nav"]


def test_prices_that_stand_still_and_gaps_are_remarked_on(ada: Investor, yahoo: YahooServer) -> None:
    listing = without_newest(sample_listing("KO"))
    for them in (listing.days, listing.closes, listing.adjusted):
        del them[-60:-40]
    change(listing, lambda _: listing.closes[-4], first=-4)
    yahoo.listings["KO"] = listing
    ada.buys("KO")
    assert [one["code"] for one in ada.price("KO")["remarks"]] == ["gap"]
    assert "stale_run" not in ada.warned()

    whole = sample_listing("KO")
    for them in (whole.days, whole.closes, whole.adjusted):
        del them[-61:-41]
    change(whole, lambda _: listing.closes[-4], first=-5)
    yahoo.listings["KO"] = whole
    ada.night()
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert {one["code"] for one in ada.price("KO")["remarks"]} == {"gap", "stale_run"}
    assert ada.warned()["stale_run"].startswith("KO: The price has been ")
    assert "gap" not in ada.warned(), "coverage counts what was carried"
