"""Rows of any format: their mistakes in words, their identities, and a book that comes back as it went."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book import importers
from tailwatch.book.entries import INCOMING, OF_SHARES, OUTGOING, Entry, EntryType
from tailwatch.book.export import csv_of, json_of
from tailwatch.book.importers import ImportedFile
from tailwatch.book.importers.rows import entries_of
from tailwatch.book.importers.values import decimal_mark, moment, number
from tailwatch.book.ledger import book
from tailwatch.book.splits import SplitEvent

D = Decimal
HEADER = "external_id,account,date,type,symbol,isin,quantity,price,amount,currency,fee,tax,fx_rate,note\n"


def read(text: str) -> ImportedFile:
    return importers.read(text.encode(), base_currency="USD")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",,2023-01-03,buy,AAPL,,ten,1,,,,,,", "quantity: “ten” is no number."),
        (",,yesterday,buy,AAPL,,10,1,,,,,,", "date: “yesterday” is no date such as 2026-03-31."),
        (",,,buy,AAPL,,10,1,,,,,,", "There is no date."),
        (",,2023-01-03,gift,AAPL,,10,1,,,,,,", "type: “gift” is not known here."),
        (",,2023-01-03,buy,A B,,10,1,,,,,,", "“A B” cannot be a ticker"),
        (",,2023-01-03,buy,,US0378331005,10,1,,,,,,", "There is only an ISIN (US0378331005)"),
        (",,2023-01-03,buy,AAPL,,10,-1,,,,,,", "price: must not be negative."),
        (",,2023-01-03,buy,AAPL,,0,1,,,,,,", "quantity: is needed for a purchase."),
        (",,2023-01-03,buy,AAPL,,9999999999999,1,,,,,,", "quantity: 9999999999999 is larger than"),
        (",,2023-01-03,deposit,,,,,,,,,,", "amount: is needed for a deposit."),
        (",,2023-01-03,buy,AAPL,,1,1,,Dollar,,,,", "“Dollar” is no currency of three letters."),
        (",,1850-01-03,buy,AAPL,,1,1,,,,,,", "It is from before 1900."),
    ],
)
def test_a_row_that_cannot_be_booked_says_why(row: str, said: str) -> None:
    found = read(f"{HEADER}{row}\n,,2023-01-03,buy,KO,,1,1,,,,,,\n")
    broken, good = found.rows
    assert said in " ".join(broken.errors)
    assert (broken.entry, broken.key, broken.line) == (None, "", 2)
    assert good.entry is not None


def test_twins_in_one_file_are_two_and_the_same_file_again_is_the_same() -> None:
    row = ",,2023-01-03,buy,AAPL,,10,125.5,,USD,1,,,"
    twins = read(f"{HEADER}{row}\n{row}\n")
    assert len({one.key for one in twins.rows}) == 2
    assert [one.key for one in read(f"{HEADER}{row}\n{row}\n").rows] == [one.key for one in twins.rows]
    # A later export, with another row before them, numbers written otherwise and another note.
    later = read(f"{HEADER},,2023-01-02,buy,KO,,1,1,,,,,,\n{row.replace('125.5', '125.50')}new\n{row}\n")
    assert [one.key for one in later.rows[1:]] == [one.key for one in twins.rows]


@pytest.mark.parametrize(
    ("written", "mark", "value"),
    [
        ("1,234.56", ".", "1234.56"),
        ("1.234,56", ",", "1234.56"),
        ("1.234", ",", "1234"),
        ("12,5", ",", "12.5"),
        ("1'234.50", ".", "1234.50"),
        ("(12.50)", ".", "-12.50"),
        ("12.50-", ".", "-12.50"),
        ("−3", ".", "-3"),
        ("$48.95", ".", "48.95"),
        ("-$692.48", ".", "-692.48"),
        ("1e-3", ".", "0.001"),
        ("1 234,5", ",", "1234.5"),
    ],
)
def test_numbers_as_people_write_them(written: str, mark: str, value: str) -> None:
    assert number(written, mark) == D(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("written", ["abc", "1,2,3", "1.2.3", "0x10", "NaN", "Infinity", "1e9999"])
def test_what_is_no_number(written: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        number(written)


def test_the_mark_is_told_by_cells_that_leave_no_doubt() -> None:
    assert decimal_mark(["1.234", "12,5"]) == ","
    assert decimal_mark(["1,234", "12.5"]) == "."
    assert decimal_mark(["1.234,56"]) == ","
    assert decimal_mark(["5", ""]) == "."


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-31", datetime(2026, 3, 31, tzinfo=UTC)),
        ("2026-03-31T15:30:00+02:00", datetime(2026, 3, 31, 13, 30, tzinfo=UTC)),
        ("2026-03-31 15:30", datetime(2026, 3, 31, 15, 30, tzinfo=UTC)),
        ("2026-03-31, 15:30:05", datetime(2026, 3, 31, 15, 30, 5, tzinfo=UTC)),
        ("2026-01-05;10:00:00 EST", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("20260331", datetime(2026, 3, 31, tzinfo=UTC)),
        ("20260331;153005", datetime(2026, 3, 31, 15, 30, 5, tzinfo=UTC)),
        ("31.03.2026 15:30", datetime(2026, 3, 31, 15, 30, tzinfo=UTC)),
        ("2018/10/25", datetime(2018, 10, 25, tzinfo=UTC)),
        ("03/31/2026", datetime(2026, 3, 31, tzinfo=UTC)),
    ],
)
def test_moments_as_programs_write_them(written: str, expected: datetime) -> None:
    assert moment(written) == expected


# --- a book that goes out comes back ---

#: All that a database holds.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
awkward = st.sampled_from(
    [
        "=1+1",
        "+5",
        "-5",
        "@A1",
        "'=1",
        "''",
        "'tis",
        "\tx",
        'he said "no"',
        '"',
        "a,b;c",
        "two\nlines",
        "a\rb",
        " ä ",
        "👩‍💻",
    ]
)
notes = st.one_of(st.none(), words, awkward)
FIRST, LAST = datetime(1950, 1, 1), datetime(2026, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
exact = st.decimals("0.0000000001", "100000", places=10)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    made = []
    for number_ in range(1, draw(st.integers(1, 10)) + 1):
        kind = draw(st.sampled_from(list(EntryType)))
        members: dict[str, object] = {}
        if kind in OF_SHARES:
            members = {"quantity": draw(exact) * (1 if kind in INCOMING else -1), "price": draw(exact)}
        else:
            signs = [1] if kind in {EntryType.DEPOSIT, EntryType.WITHDRAWAL} else [1, -1]
            members = {"amount": draw(exact) * draw(st.sampled_from(signs))}
        takes_ticker = kind in OF_SHARES or kind is EntryType.DIVIDEND
        made.append(
            Entry(
                kind,
                draw(st.datetimes(FIRST, LAST, timezones=st.just(UTC))),
                draw(st.sampled_from(["USD", "EUR"])),
                draw(st.sampled_from(["AAPL", "BRK-B", "^GSPC"])) if takes_ticker else None,
                fee=draw(st.decimals("0", "10", places=4)),
                tax=draw(st.decimals("0", "10", places=4)),
                fx_rate=draw(st.one_of(st.none(), exact)),
                account=draw(notes) or None,
                note=draw(notes) or None,
                external_id=draw(st.one_of(st.none(), st.just(f"id {number_}"))),
                **members,  # type: ignore[arg-type]
            )
        )
    assert OUTGOING
    return made


splits = st.dictionaries(
    st.sampled_from(["AAPL", "BRK-B"]),
    st.just([SplitEvent(date(2000, 1, 1), D("1.5")), SplitEvent(date(2010, 1, 1), D("0.1"))]),
)


@given(entries(), splits, st.booleans())
def test_an_export_is_taken_back_to_the_same_book(
    made: list[Entry], known: dict[str, list[SplitEvent]], as_json: bool
) -> None:
    text = (
        json_of(made, known, name="Main", base_currency="USD", cost_basis="fifo") if as_json else csv_of(made, known)
    )
    found = read(text)
    assert found.format.key == ("tailwatch_json" if as_json else "generic")
    assert [row.errors for row in found.rows if row.errors] == []
    back = entries_of(found.rows)
    assert back == made
    assert book(back, known, base_currency="USD") == book(made, known, base_currency="USD")
    assert [(row.split.ticker, row.split.day, row.split.ratio) for row in found.rows if row.split] == [
        (ticker, event.day, event.ratio) for ticker, events in known.items() for event in events
    ]


def test_a_file_of_a_hundred_thousand_rows_tells_how_far_it_is() -> None:
    row = ",,2023-01-03,buy,AAPL,,10,125.5,,USD,1,,,\n"
    told: list[int] = []
    found = importers.read((HEADER + row * 5000).encode(), base_currency="USD", progress=told.append)
    assert told == [1000, 2000, 3000, 4000, 5000]
    assert len({one.key for one in found.rows}) == 5000
