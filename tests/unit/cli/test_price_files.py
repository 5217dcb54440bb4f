"""Files of prices and weights as people have them, and what they are told when one cannot be used."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailwatch.cli.price_files import Prices, read_prices
from tailwatch.cli.weight_files import read_weights
from tailwatch.errors import InputFileError

Write = Callable[..., Path]

PLAIN = "date,AAA,BBB\n2020-01-02,10,20.5\n2020-01-03,11,21\n2020-01-06,12.5,20\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(content: str | bytes, name: str = "prices.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def assert_plain(prices: Prices) -> None:
    assert prices.names == ("AAA", "BBB")
    assert prices.labels == ("2020-01-02", "2020-01-03", "2020-01-06")
    assert prices.dated
    assert prices.closes.tolist() == [[10, 20.5], [11, 21], [12.5, 20]]
    assert prices.returns == pytest.approx(np.array([[0.1, 21 / 20.5 - 1], [12.5 / 11 - 1, 20 / 21 - 1]]))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        gzip.compress(PLAIN.encode()),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t").replace(".", ","),
        PLAIN.replace(",", " , "),
        PLAIN.replace("date", ""),
        "\n" + PLAIN.replace("\n", "\n\n") + "\n,,\n",
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("2020-01-03", '"2020-01-03"').replace("21\n", '"21"\n'),
        PLAIN.replace("-", ""),
        PLAIN.replace("-", "/"),
        PLAIN.replace("2020-01-03", "2020-01-03 00:00:00").replace("2020-01-06", "2020-01-06T00:00:00Z"),
        "date,AAA,BBB\n2.1.2020,10,20.5\n3.1.2020,11,21\n6.1.2020,12.5,20\n",
        PLAIN.rstrip("\n"),
    ],
)
def test_the_ways_to_write_the_same_prices(write: Write, content: str | bytes) -> None:
    prices = read_prices(write(content))
    assert_plain(prices)
    assert prices.remarks == ()


def test_newest_first_is_turned_round_and_said(write: Write) -> None:
    header, *rows = PLAIN.splitlines()
    prices = read_prices(write("\n".join([header, *reversed(rows)])))
    assert_plain(prices)
    assert "from the bottom" in prices.remarks[0]


@pytest.mark.parametrize("first", [0, 1, 100])
def test_row_numbers(write: Write, first: int) -> None:
    prices = read_prices(write(f"row,AAA\n{first},1\n{first + 1},2\n{first + 2},3\n"))
    assert not prices.dated
    assert prices.row(str(first + 1)) == 1
    for outside in (first - 1, first + 3):
        with pytest.raises(InputFileError, match="outside"):
            prices.row(str(outside))
    with pytest.raises(InputFileError, match="row numbers"):
        prices.row("2020-01-02")


def test_a_start_is_a_date_or_a_row_counted_from_0(write: Write) -> None:
    prices = read_prices(write(PLAIN))
    assert [prices.row(word) for word in ("2020-01-02", "2020-01-04", "2020-01-06", "20200103", "0", "2")] == [
        0,
        2,
        2,
        1,
        0,
        2,
    ]
    for wrong in ("2020-01-07", "3", "-1", "soon", "1.5", ""):
        with pytest.raises(InputFileError, match=r"a date such as 2005-01-03, or a row counted from 0"):
            prices.row(wrong)


def test_american_dates_are_told_from_european_ones_by_the_days_after_the_twelfth(write: Write) -> None:
    assert read_prices(write("d,A\n01/12/2020,1\n01/13/2020,2\n")).labels == ("2020-01-12", "2020-01-13")
    assert read_prices(write("d,A\n12/01/2020,1\n13/01/2020,2\n")).labels == ("2020-01-12", "2020-01-13")
    with pytest.raises(InputFileError, match="two ways"):
        read_prices(write("d,A\n01/02/2020,1\n01/03/2020,2\n"))


def rows(cells: str) -> str:
    """Return a file of AAA, whose prices are those cells, and BBB, which has every price."""
    lines = [f"{index},{cell},{100 + index}" for index, cell in enumerate(cells.split(" "))]
    return "\n".join(["row,AAA,BBB", *lines])


@pytest.mark.parametrize("word", ["x", "NA", "nan", "N/A", "null", "-", "#N/A"])
def test_a_few_missing_prices_are_carried_and_counted(write: Write, word: str) -> None:
    cell = "" if word == "x" else word
    prices = read_prices(write(rows(f"5 6 {cell} {cell} 7 8 {cell}")))
    assert prices.closes[:, 0].tolist() == [5, 6, 6, 6, 7, 8, 8]
    assert prices.carried == {"AAA": 3}
    assert "3 missing prices" in prices.remarks[0]


def test_five_missing_prices_in_a_row_are_the_most(write: Write) -> None:
    assert read_prices(write(rows("1 2 " + "NA " * 5 + "3"))).carried == {"AAA": 5}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("1 2 " + "NA " * 6 + "3", r"AAA has no price on 6 rows from line 4 \(2\) on"),
        ("1 2 3" + " NA" * 7, r"AAA has no price on 7 rows from line 5 \(3\) on"),
        ("NA " * 6 + "1 2 3", r"AAA begins only on line 8 \(6\)"),
        ("NA NA NA NA", "AAA has no price at all"),
    ],
)
def test_longer_gaps_are_named_and_can_be_left_out(write: Write, cells: str, message: str) -> None:
    path = write(rows(cells))
    with pytest.raises(InputFileError, match=message) as failure:
        read_prices(path)
    assert "--skip-gaps" in str(failure.value)
    prices = read_prices(path, skip_gaps=True)
    assert prices.names == ("BBB",)
    assert set(prices.left_out) == {"AAA"}
    assert prices.closes.shape == (len(cells.split(" ")), 1)


def test_nothing_is_left_when_every_name_has_a_gap(write: Write) -> None:
    late, early = ["NA"] * 7 + ["1"] * 7, ["1"] * 7 + ["NA"] * 7
    lines = [f"{row},{one},{other}" for row, (one, other) in enumerate(zip(late, early, strict=True))]
    with pytest.raises(InputFileError, match="every column"):
        read_prices(write("\n".join(["row,A,B", *lines])), skip_gaps=True)


def test_rows_without_prices_and_a_ragged_beginning_are_left_out_and_said(write: Write) -> None:
    prices = read_prices(write("row,A,B\n0,1,\n1,2,\n2,3,4\n3,,\n4,5,6\n"))
    assert prices.labels == ("2", "4")
    assert prices.closes.tolist() == [[3, 4], [5, 6]]
    assert any("1 rows without any price" in remark for remark in prices.remarks)
    assert any("first 2 rows" in remark for remark in prices.remarks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("date,A\n", "nothing below it"),
        ("price\n1\n2\n", "one column only"),
        ("2020-01-02,1,2\n2020-01-03,1,2\n", "line 1: it holds numbers where the names"),
        ("0,1.5,2\n1,1,2\n", "line 1: it holds numbers where the names"),
        ("0,1,2\n1,1,2\n", "line 1: it holds numbers where the names"),
        ("date,A,A\n2020-01-02,1,2\n", "two columns, 2 and 3"),
        ("date,A,,B\n2020-01-02,1,2,3\n", "column 3 has no name"),
        ("date,A\n2020-01-02,1,2\n", "line 2: there are 3 cells and the header names 2 columns"),
        ("date,A,B\n2020-01-02,1,2\n2020-01-03,1\n", "line 3: there are 2 cells"),
        ("date,A\n2020-01-02,1\n2020-01-03,abc\n", "line 3, column A: “abc” is not a number"),
        ("date,A\n2020-01-02,1\n2020-01-03,$12\n", "“\\$12” is not a number"),
        ("date,A\n2020-01-02,1\n2020-01-03,inf\n", "“inf” is not a number"),
        ("date,A\n2020-01-02,1\n2020-01-03,1_000\n", "“1_000” is not a number"),
        ('date,A\n2020-01-02,1\n2020-01-03,"1,000.5"\n', "“1,000.5” is not a number"),
        ("date;A\n2020-01-02;1,5\n2020-01-03;1.000,5\n", "“1.000,5” is not a number. Write numbers like 1234,56"),
        ("date,A\n2020-01-02,1\n2020-01-02,2\n", "line 3: 2020-01-02 was there before, on line 2"),
        ("date,A\n2020-01-02,1\n2020-01-06,2\n2020-01-03,2\n", "line 4: 2020-01-03 comes after 2020-01-06"),
        ("date,A\n2020-01-02,1\n2020-02-30,2\n", "line 3: “2020-02-30” is neither a date"),
        ("date,A\n2020-01-02,1\ntotal,2\n", "line 3: “total” is neither a date"),
        ("row,A\n1,1\n2,2\n2020-01-06,2\n", "line 4: “2020-01-06” is neither a date"),
        ("date,A\n2020-01-02,1\n,2\n", "line 3: the first column is empty"),
        ("A,B\n10.5,1\n11.25,2\n", "line 2: “10.5” is neither a date"),
        ("date,A,B\n2020-01-02,1,2\n2020-01-03,-1,0\n", "positive: line 3, column A: -1; line 3, column B: 0"),
        ("date,A,B\n2020-01-02,,\n", "no price in it"),
        ("date,A\n2020-01-02,1\n2020-01-03,1e9\n", "line 3: A goes from 1 to 1e.09"),
        (b"PK\x03\x04spreadsheet", "saved as CSV"),
        (b"date,A\n2020-01-02,\x00", "not a text file"),
        (gzip.compress(PLAIN.encode())[:-9], "damaged"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(write: Write, content: str | bytes, message: str) -> None:
    path = write(content)
    with pytest.raises(InputFileError, match=message) as failure:
        read_prices(path)
    assert str(path) in str(failure.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no file"):
        read_prices(tmp_path / "missing.csv")
    with pytest.raises(InputFileError, match="is a folder"):
        read_prices(tmp_path)


def test_many_wrong_cells_are_counted_and_the_first_ones_named(write: Write) -> None:
    lines = "".join(f"{row},x{row}\n" for row in range(20))
    with pytest.raises(InputFileError, match="“x4” is not a number; and 15 more") as failure:
        read_prices(write("row,A\n" + lines))
    assert "x5" not in str(failure.value)


def test_a_jump_like_a_split_is_remarked(write: Write) -> None:
    (remark,) = read_prices(write("row,A\n1,100\n2,20\n3,21\n")).remarks
    assert "line 3, A goes from 100 to 20" in remark
    assert "splits" in remark


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prices=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(st.floats(50, 100), min_size=width, max_size=width), min_size=1, max_size=12)
    ),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal_comma=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    packed=st.booleans(),
    dated=st.booleans(),
)
def test_what_is_written_is_read(
    *,
    write: Write,
    prices: list[list[float]],
    separator: str,
    decimal_comma: bool,
    end: str,
    packed: bool,
    dated: bool,
) -> None:
    lines = [separator.join(["when", *(f"N{column}" for column in range(len(prices[0])))])]
    labels = [str(date(2001, 2, 3) + timedelta(days=3 * row)) if dated else str(row) for row in range(len(prices))]
    for label, row in zip(labels, prices, strict=True):
        cells = [repr(price) for price in row]
        if decimal_comma and separator != ",":
            cells = [cell.replace(".", ",") for cell in cells]
        lines.append(separator.join([label, *cells]))
    content = end.join(lines).encode()
    read = read_prices(write(gzip.compress(content) if packed else content))
    assert read.closes.tolist() == prices
    assert list(read.labels) == labels


@pytest.fixture
def prices(write: Write) -> Prices:
    return read_prices(write("row,AAPL,MSFT,XOM\n0,1,2,3\n1,1,2,3\n"))


@pytest.mark.parametrize(
    ("content", "names", "weights"),
    [
        ("AAPL,XOM\n0.5,-1\n0,2\n", ("1", "2"), [[0.5, 0, -1], [0, 0, 2]]),
        ("portfolio,XOM,AAPL\nlong,1,2\nshort,-1,\n", ("long", "short"), [[2, 0, 1], [0, 0, -1]]),
        (",MSFT,AAPL\n0,1,2\n1,-1,3\n", ("0", "1"), [[2, 1, 0], [3, -1, 0]]),
        ("name;MSFT\na;1,5\n", ("a",), [[0, 1.5, 0]]),
        ("MSFT;AAPL\n1,5;2\n", ("1",), [[2, 1.5, 0]]),
    ],
)
def test_weights(
    write: Write, prices: Prices, content: str, names: tuple[str, ...], weights: list[list[float]]
) -> None:
    read = read_weights(write(content, "weights.csv"), prices)
    assert read.names == names
    assert read.weights.tolist() == weights
    assert read.left_out == {}


def test_tickers_can_be_numbers(write: Write) -> None:
    prices = read_prices(write("date,7203,9984\n2020-01-02,1,2\n2020-01-03,1,2\n"))
    assert prices.names == ("7203", "9984")
    assert read_weights(write("9984,7203\n0.5,1\n", "weights.csv"), prices).weights.tolist() == [[1, 0.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("portfolio,AAPL,MSTF\na,1,2\n", r"no column MSTF \(meant is perhaps MSFT\)"),
        ("APPL,MSFT\n0.5,0.5\n", r"no column APPL \(meant is perhaps AAPL\)"),
        ("portfolio,AAPL\na,1\na,2\n", "line 3: the portfolio a is on line 2, too"),
        ("portfolio,AAPL,MSFT\na,1,2\nb,0,\n", "line 3: the portfolio b holds nothing"),
        ("portfolio,AAPL\n,1\n", "line 2: the portfolio has no name"),
        ("portfolio,AAPL\na,much\n", "line 2, column AAPL: “much” is not a number"),
        ("AAPL,MSFT\n1,2\nmuch,2\n", "line 3: “much” in column AAPL is not a number"),
        ("name,a,b\nAAPL,1,2\nMSFT,1,0\n", "lies on its side"),
    ],
)
def test_wrong_weights(write: Write, prices: Prices, content: str, message: str) -> None:
    path = write(content, "weights.csv")
    with pytest.raises(InputFileError, match=message) as failure:
        read_weights(path, prices)
    assert str(path) in str(failure.value)


def test_portfolios_of_a_name_that_is_left_out_are_left_out(write: Write) -> None:
    prices = read_prices(write(rows("NA " * 6 + "1 2 3")), skip_gaps=True)
    read = read_weights(write("portfolio,AAA,BBB\nboth,1,1\none,,2\n", "weights.csv"), prices)
    assert read.names == ("one",)
    assert read.weights.tolist() == [[2]]
    assert set(read.left_out) == {"both"}
    with pytest.raises(InputFileError, match="every portfolio"):
        read_weights(write("portfolio,AAA,BBB\nboth,1,1\n", "weights.csv"), prices)
