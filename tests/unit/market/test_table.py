"""Price tables of all shapes; every mistake in one is named by line and column."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tailwatch.errors import BadAnswerError
from tailwatch.market.sources import Bar
from tailwatch.market.table import read_csv

HEADER = "Date,Open,High,Low,Close,Volume"
BAR = Bar(date(2026, 3, 31), Decimal("62.5"), Decimal("62.5"), 1000, Decimal(62), Decimal(63), Decimal("61.5"))


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n2026-03-31,62,63,61.5,62.5,1000\n",
        f"{HEADER}\r\n20260331,62,63,61.5,62.5,1000.0\r\n\r\n",
        f"{HEADER},Adj Close\n2026-03-31 00:00:00-04:00,62,63,61.5,62.5,1000,62.5",
        "close;volume;OPEN;high;low;date\n62.5;1e3;62;63;61.5;2026-03-31",
        '"Date","Close","Open","High","Low","Volume","Notes"\n"2026-03-31",62.5,62,63,61.5,1000,"a, b"',
    ],
)
def test_columns_go_by_their_names(text: str) -> None:
    assert read_csv(text, "a file").bars == [BAR]


def test_adjusted_closes_currency_and_splits() -> None:
    found = read_csv(
        "date,close,adjusted_close,currency,split\n"
        "2026-03-31,62.5,61,GBp,3:2\n2026-03-30,62,60.5,GBp,\n2026-03-27,61,60,GBp,0\n2026-04-01,,,GBp,0.1",
        "a file",
    )
    assert [(bar.day.day, bar.close, bar.adjusted_close) for bar in found.bars] == [
        (27, Decimal(61), Decimal(60)),
        (30, Decimal(62), Decimal("60.5")),
        (31, Decimal("62.5"), Decimal(61)),
    ]
    assert found.currency == "GBp"
    assert found.splits == [(date(2026, 3, 31), Decimal("1.5")), (date(2026, 4, 1), Decimal("0.1"))]
    assert read_csv("date,close\n2026-03-31,1", "a file").splits is None, "it says nothing of splits"


def test_a_row_without_a_close_and_ranges_that_cannot_be_are_passed_over() -> None:
    found = read_csv(
        f"{HEADER}\n2026-03-27,1,1,1,N/D,\n2026-03-30,0,0,0,5,-\n2026-03-31,5,4,3,5,\n2026-04-01,5,6,4,5,7", "a file"
    )
    assert [(bar.day.isoformat(), bar.open, bar.volume) for bar in found.bars] == [
        ("2026-03-30", None, None),
        ("2026-03-31", None, None),
        ("2026-04-01", Decimal(5), 7),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Date,Open\n2026-03-31,5", "there is no column close; the first line says: Date, Open."),
        ("", "there is no column date and no close"),
        ("Date,Close,Day\n", "the columns Date and Day say the same"),
        ("Date,Close\n31.03.2026,5", "line 2, column Date: '31.03.2026' is no day such as 2026-03-31."),
        ("Date,Close\n2026-02-30,5", "line 2, column Date: '2026-02-30' is no day"),
        ("Date,Close\n,5", "line 2, column Date: '' is no day"),
        ("Date,Close\n2026-03-31,5\n\n2026-04-01,five", "line 4, column Close: 'five' is no number"),
        ("Date;Close\n2026-03-31;5,10", "line 2, column Close: '5,10' is no number such as 1234.56."),
        ("Date,Close\n2026-03-31,-5", "line 2, column Close: -5 cannot be a price"),
        ("Date,Close\n2026-03-31,0", "line 2, column Close: 0 cannot be a price"),
        ("Date,Close\n2026-03-31,1e15", "column Close: 1E+15 cannot be a price"),
        ("Date,Close\n2026-03-31,Infinity", "column Close: 'Infinity' is no number"),
        ("Date,Close\n2026-03-31,sNaN", "column Close: 'sNaN' is no number"),
        ("Date,Close,Adj Close\n2026-03-31,5,-1", "line 2, column Adj Close: -1 cannot be a price"),
        ("Date,Close,Open\n2026-03-31,5,-1", "line 2, column Open: -1 cannot be a price"),
        ("Date,Close,Volume\n2026-03-31,5,-1", "line 2, column Volume: -1 cannot be a volume"),
        ("Date,Close,Volume\n2026-03-31,5,1e30", "line 2, column Volume: 1E+30 cannot be a volume"),
        ("Date,Close\n2026-03-31,5\n2026-03-31,5", "line 3, column Date: 2026-03-31 stands in line 2 already."),
        ("Date,Close,Currency\n2026-03-31,5,dollars", "column Currency: 'dollars' is no currency"),
        ("Date,Close,Currency\n2026-03-31,5,USD\n2026-04-01,5,EUR", "line 3, column Currency: EUR, but USD before."),
        ("Date,Close,Split\n2026-03-31,5,4:0", "line 2, column Split: '4:0' is no split such as 4, 0.1 or 3:2."),
        ("Date,Close,Split\n2026-03-31,5,-4", "'-4' is no split"),
        ("Date,Close,Split\n2026-03-31,5,nan:1", "'nan:1' is no split"),
        ("Date,Close,Split\n2026-03-31,5,sNaN", "'sNaN' is no split"),
        ("Date,Close,Split\n2026-03-31,5,1e9", "'1e9' is no split"),
        (f"Date,Close\n2026-03-31,{'5' * 200_000}", "line 2 is no line of a CSV file"),
    ],
)
def test_mistakes_are_named_by_line_and_column(text: str, said: str) -> None:
    with pytest.raises(BadAnswerError) as refused:
        read_csv(text, "KO.csv")
    assert str(refused.value).startswith("KO.csv: ")
    assert said in str(refused.value)
