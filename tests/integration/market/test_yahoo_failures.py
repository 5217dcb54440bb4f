"""Yahoo refuses, breaks, hangs, answers half or forgets: what the user sees of it, and that figures rest on none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tailwatch.settings import get_settings
from tests.integration.api.support import forget_settings
from tests.integration.market.investor import TODAY, YESTERDAY, Investor, moment
from tests.support.work import work_off
from tests.support.yahoo_server import Fault, YahooServer, sample_listing

KEPT = "Its last prices stay in use. The next try comes by itself."


def test_yahoo_refuses_for_an_hour(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO", "XOM", "PEP")
    before = ada.risk()
    yahoo.everything, yahoo.retry_after = "refuse", "3600"
    yahoo.knows("KO", "XOM", "PEP", "JPM")
    asked = len(yahoo.charts_asked())
    refused_at = datetime.now(UTC)
    ada.night()
    # Each twice, for yfinance tries another cookie, and no more than were under way when the first refusal came.
    assert len(yahoo.charts_asked()) - asked <= 2 * get_settings().price_concurrency
    refusal = "Yahoo refused to answer (429, too many requests)."
    for ticker in ("KO", "XOM", "PEP"):
        state, last_bar, said = ada.sees(ticker)
        assert (state, last_bar) == ("failed", str(YESTERDAY))
        assert said.startswith(refusal)
        assert said.endswith(KEPT)
        assert moment(ada.price(ticker)["next_fetch_at"]) - refused_at >= timedelta(minutes=59)
    out_until = moment(ada.source()["out_until"])
    assert timedelta(minutes=59) < out_until - refused_at < timedelta(minutes=61)
    assert ada.risk() == before, "no prices came, so nothing was computed"

    # A ticker that is bought meanwhile waits, and the snapshot says until when.
    asked = len(yahoo.charts_asked())
    ada.buys("JPM")
    assert len(yahoo.charts_asked()) == asked
    left_out = next(one for one in ada.risk()["coverage"]["instruments"] if one["ticker"] == "JPM")
    assert left_out["status"] == "excluded"
    assert left_out["reason"].startswith(f"{refusal} It is left alone until {out_until:%Y-%m-%d %H:%M} UTC.")
    assert "excluded" in ada.warned()
    assert ada.position("JPM")["market_value"] is None

    yahoo.everything = None
    ada.wait(timedelta(minutes=80))
    for ticker in ("KO", "XOM", "PEP", "JPM"):
        assert ada.sees(ticker) == ("ok", str(TODAY), None)
    assert (ada.source()["failures"], ada.source()["out_until"]) == (0, None)
    served = ada.risk()
    assert served["as_of"] == str(TODAY)
    assert {one["status"] for one in served["positions"]} == {"modelled"}
    assert "excluded" not in ada.warned()


def test_yahoo_answers_500_for_one_ticker_and_then_for_all(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO", "XOM")
    yahoo.knows("KO", "XOM")
    yahoo.faults["KO"] = "break"
    ada.night()
    assert ada.sees("KO") == ("failed", str(YESTERDAY), f"Yahoo failed to answer for KO (status 500). {KEPT}")
    assert ada.sees("XOM") == ("ok", str(TODAY), None)
    assert (ada.position("KO")["price_date"], ada.position("XOM")["price_date"]) == (str(YESTERDAY), str(TODAY))
    assert ada.source()["failures"] == 0, "that is KO's failure alone"

    many = ("AAPL", "JPM", "MSFT", "PEP", "PG", "WMT", "CVX", "GE", "HD", "BAC")
    yahoo.knows(*many)
    yahoo.everything = "break"
    asked = len(yahoo.charts_asked())
    ada.buys(*many)
    # After five in a row, and those that were under way, it is left alone.
    assert 5 <= len(yahoo.charts_asked()) - asked < len(many)
    assert ada.source()["failures"] == 1
    states = {one["ticker"]: one["status"] for one in ada.risk()["coverage"]["instruments"]}
    assert {ticker: states[ticker] for ticker in many} == dict.fromkeys(many, "excluded")

    yahoo.everything = None
    yahoo.faults.clear()
    ada.wait(timedelta(hours=1))
    assert {ada.sees(ticker)[0] for ticker in ("KO", "XOM", *many)} == {"ok"}


def test_one_ticker_hangs_and_then_everything_does(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO", "XOM", "PEP")
    yahoo.knows("KO", "XOM", "PEP")
    yahoo.faults["KO"] = "hang"
    ada.night()
    assert ada.sees("KO") == ("failed", str(YESTERDAY), f"Yahoo did not answer within 1 s. {KEPT}")
    assert [ada.sees(ticker)[:2] for ticker in ("XOM", "PEP")] == [("ok", str(TODAY))] * 2
    assert ada.source()["out_until"] is None

    yahoo.everything = "hang"
    before = ada.risk()
    ada.night()
    assert {ada.sees(ticker)[0] for ticker in ("KO", "XOM", "PEP")} == {"failed"}
    assert ada.source()["last_error"] == "Yahoo did not answer within 1 s."
    assert ada.source()["out_until"] is not None
    assert ada.risk() == before


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("half", "Yahoo's answer for KO could not be read."),
        ("cut", "Yahoo's answer for KO could not be used (IncompleteRead)."),
        ("other shape", "Yahoo's answer for KO could not be used (KeyError)."),
        ("part", "Yahoo gave no finished session with a price for KO since"),
        ("empty", "Yahoo has no prices for KO just now"),
        ("no currency", "Yahoo gave no currency for KO; nothing was taken."),
    ],
)
def test_half_an_answer_is_none(ada: Investor, yahoo: YahooServer, fault: Fault, sentence: str) -> None:
    """Neither for a ticker that has prices nor for a new one, which nothing could be compared with."""
    ada.held_yesterday("KO")
    before = ada.risk()
    yahoo.knows("KO", "XOM")
    yahoo.faults = {"KO": fault, "XOM": fault}
    ada.night()
    state, last_bar, said = ada.sees("KO")
    assert (state, last_bar) == ("failed", str(YESTERDAY))
    assert said.startswith(sentence)
    assert said.endswith(KEPT)
    assert ada.risk() == before

    ada.buys("XOM")
    state, last_bar, said = ada.sees("XOM")
    assert (state, last_bar) == ("failed", None)
    [left_out] = [one for one in ada.risk()["coverage"]["instruments"] if one["ticker"] == "XOM"]
    assert (left_out["status"], left_out["reason"]) == ("excluded", said)
    assert ada.risk()["nav"] == before["nav"]

    yahoo.faults.clear()
    ada.wait(timedelta(hours=1))
    assert [ada.sees(ticker)[:2] for ticker in ("KO", "XOM")] == [("ok", str(TODAY))] * 2


def test_a_history_that_ends_years_before_the_last_trade_is_half_of_one(
    ada: Investor, yahoo: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_HISTORY_DAYS", "12000")
    forget_settings()
    yahoo.knows("KO")
    yahoo.faults["KO"] = "part"
    ada.buys("KO")
    state, last_bar, said = ada.sees("KO")
    assert (state, last_bar) == ("failed", None)
    assert said.startswith("Yahoo's prices of KO end on 1998-")
    assert f"but it was traded on {TODAY}: the answer is not complete." in said
    assert ada.risk()["nav"] == "0"


def test_an_answer_that_lacks_what_is_stored_is_half_of_one(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO")
    before = ada.risk()
    listing = sample_listing("KO")
    for them in (listing.days, listing.closes, listing.adjusted):
        del them[:-200]
    # The newest are others, so that the whole history is asked for.
    listing.adjusted[-5] *= 1.001
    yahoo.listings["KO"] = listing
    ada.night()
    state, last_bar, said = ada.sees("KO")
    assert (state, last_bar) == ("failed", str(YESTERDAY))
    assert said.startswith("The source yahoo gave 200 sessions since ")
    assert [one["code"] for one in ada.price("KO")["remarks"]] == ["short_answer"]
    assert ada.risk() == before


@pytest.mark.parametrize("fault", ["delisted", "empty"])
def test_a_live_ticker_that_is_possibly_delisted_keeps_its_prices(
    ada: Investor, yahoo: YahooServer, fault: Fault
) -> None:
    ada.held_yesterday("KO", "XOM")
    before = ada.risk()
    yahoo.knows("KO")
    yahoo.faults["KO"] = fault
    ada.night()
    state, last_bar, said = ada.sees("KO")
    assert (state, last_bar) == ("failed", str(YESTERDAY))
    expected = {
        "delisted": "No price source knows KO (asked: yahoo). It may be delisted, have another symbol now, or be "
        "missing there by mistake.",
        "empty": "Yahoo has no prices for KO just now",
    }
    assert said.startswith(expected[fault])
    assert said.endswith(KEPT)
    assert ada.risk() == before
    # It is asked for again the same night, not the next.
    yahoo.faults.clear()
    ada.wait(timedelta(minutes=30))
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert ada.position("KO")["price_date"] == str(TODAY)


def test_a_new_ticker_that_yahoo_does_not_know_is_said_to_be_unknown(ada: Investor) -> None:
    ada.buys("NOSUCH")
    assert ada.sees("NOSUCH") == (
        "unknown",
        None,
        "No price source knows NOSUCH (asked: yahoo). Is it spelt right?",
    )
    assert "unknown" in ada.warned()
    with ada.engine.connect() as connection:
        assert connection.scalar(text("SELECT next_fetch_at FROM instruments WHERE ticker = 'NOSUCH'")) is None


def test_a_person_may_ask_a_source_that_is_left_alone(ada: Investor, yahoo: YahooServer) -> None:
    ada.held_yesterday("KO", "XOM", "PEP")
    yahoo.knows("KO", "XOM", "PEP")
    yahoo.everything, yahoo.retry_after = "refuse", "3600"
    ada.night()
    yahoo.requests.clear()
    assert ada.caller.post("/api/prices/KO/refresh").status_code == 202
    work_off(ada.engine)
    assert set(yahoo.charts_asked()) == {"KO"}
    assert ada.source()["failures"] == 2
    out_until = moment(ada.source()["out_until"])
    assert out_until - datetime.now(UTC) > timedelta(minutes=59), "it refuses still, and is left alone again"

    yahoo.everything = None
    ada.caller.post("/api/prices/KO/refresh")
    work_off(ada.engine)
    assert ada.sees("KO") == ("ok", str(TODAY), None)
    assert (ada.source()["failures"], ada.source()["out_until"]) == (0, None)
    assert ada.sees("XOM")[0] == "failed", "the others come by themselves"
