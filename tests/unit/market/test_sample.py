from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

from tailwatch import demo
from tailwatch.errors import UnknownTickerError
from tailwatch.market import sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REFERENCE = Path(__file__).parents[2] / "reference" / "data" / "reference_window_prices.csv"


def test_the_closes_are_the_reference_values_to_the_last_digit() -> None:
    with REFERENCE.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 501
    for ticker in ("AAPL", "MSFT", "JPM", "XOM", "KO"):
        history = sample.SampleSource().history(ticker, date(1980, 1, 1), NOW)
        closes = {bar.day: bar.adjusted_close for bar in history.bars}
        assert [closes[date.fromisoformat(row["date"])] for row in rows] == [Decimal(row[ticker]) for row in rows]


def test_every_name_has_all_sessions_in_order() -> None:
    for ticker in sample.NAMES:
        history = sample.SampleSource().history(ticker, date(1900, 1, 1), NOW)
        assert len(history.bars) == 8313
        assert all(earlier.day < later.day for earlier, later in pairwise(history.bars))
        assert all(bar.close == bar.adjusted_close > 0 for bar in history.bars)
        assert (history.ticker, history.source, history.currency) == (ticker, "sample", "USD")
        assert history.splits is None, "none known is not none"
        assert history.name is not None
        assert history.source == "sample"


def test_the_wish_for_history_is_moved_to_where_the_sample_ends() -> None:
    history = sample.SampleSource().history("KO", NOW.date() - timedelta(days=1000), NOW)
    assert history.bars[-1].day == sample.last_day() == date(2022, 12, 28)
    assert history.since == sample.last_day() - timedelta(days=1000)
    assert history.since <= history.bars[0].day <= history.since + timedelta(days=4)


@pytest.mark.parametrize("ticker", ["NOSUCH", "SP500", "aapl", "date"])
def test_other_names_are_unknown(ticker: str) -> None:
    with pytest.raises(UnknownTickerError):
        sample.SampleSource().history(ticker, date(2020, 1, 1), NOW)


def test_the_demo_is_booked_at_closes_of_the_sample() -> None:
    day = demo.BOUGHT_AT.date()
    for ticker, _, price in demo.TRADES:
        history = sample.SampleSource().history(ticker, date(1980, 1, 1), NOW)
        assert {bar.day: bar.close for bar in history.bars}[day] == Decimal(price), ticker


def test_the_notice_says_where_the_file_is_from_and_what_it_is_not_for() -> None:
    notice = (resources.files("tailwatch.market") / "data" / "NOTICE").read_text()
    for word in ("skfolio", "BSD 3-Clause", "not for trading", "survivors", sample.FILE):
        assert word in notice


def test_every_name_has_labels_and_only_the_index_no_sector() -> None:
    assert sample.labels().keys() == sample.NAMES.keys()
    for ticker, labels in sample.labels().items():
        assert sample.SampleSource().history(ticker, date(2020, 1, 1), NOW).labels == labels
        assert labels.keys() == ({"asset_class"} if ticker == "^GSPC" else {"sector", "asset_class"})
