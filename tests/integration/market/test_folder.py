"""The source `folder` with real files: both forms, changed ones, broken ones, and names that lead nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastparquet
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from tailwatch.db.session import transaction
from tailwatch.errors import BadAnswerError, SourceUnreachableError, UnknownTickerError
from tailwatch.market.folder import FolderSource
from tailwatch.market.instruments import ensure_instruments
from tailwatch.market.sources import PriceHistory
from tailwatch.settings import get_settings
from worker.tasks import prices

NOW = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)
START = date(2020, 1, 1)
KO = "date,close,currency\n2026-03-30,62.1,USD\n2026-03-31,62.25,USD\n"


def read(folder: Path, ticker: str = "KO", currency: str | None = None) -> PriceHistory:
    return FolderSource(folder, currency).history(ticker, START, NOW)


@pytest.mark.parametrize("name", ["KO.csv", "ko.csv"])
def test_a_csv_file_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(f"\ufeff{KO}")
    told = read(tmp_path)
    assert (told.source, told.currency, told.since, told.splits) == ("folder", "USD", START, None)
    assert [(bar.day.day, bar.close) for bar in told.bars] == [(30, Decimal("62.1")), (31, Decimal("62.25"))]


def frame(kind: str) -> pd.DataFrame:
    days = pd.to_datetime(["2026-03-31", "2026-03-30", "2026-03-27"])
    made = pd.DataFrame(
        {
            "Date": days,
            "Close": np.array([62.25, 62.1, 129.93], dtype=kind),
            "Adjusted Close": [62.25, 62.1, 64.965],
            "Volume": [100, 200, 0],
            "Currency": ["USD"] * 3,
            "Split": [np.nan, 2.0, np.nan],
        }
    )
    return made.set_index("Date")


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_a_parquet_file_is_read_number_by_number(tmp_path: Path, kind: str) -> None:
    fastparquet.write(str(tmp_path / "KO.parquet"), frame(kind), write_index=True)
    told = read(tmp_path)
    assert told.currency == "USD"
    assert [(bar.day.day, bar.close, bar.adjusted_close, bar.volume) for bar in told.bars] == [
        (27, Decimal("129.93"), Decimal("64.965"), 0),
        (30, Decimal("62.1"), Decimal("62.1"), 200),
        (31, Decimal("62.25"), Decimal("62.25"), 100),
    ]
    assert told.splits == [(date(2026, 3, 30), Decimal(2))]


def test_mistakes_in_a_parquet_file_are_named_by_row(tmp_path: Path) -> None:
    wrong = frame("float64")
    wrong.loc[pd.Timestamp("2026-03-30"), "Close"] = -1.0
    fastparquet.write(str(tmp_path / "KO.parquet"), wrong.reset_index())
    with pytest.raises(BadAnswerError, match=r"^KO\.parquet: row 2, column Close: -1\.0 cannot be a price"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", KO.encode()])
def test_what_is_no_parquet_file_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "KO.parquet").write_bytes(content)
    with pytest.raises(BadAnswerError, match=r"KO\.parquet"):
        read(tmp_path)


def test_half_a_parquet_file_is_refused(tmp_path: Path) -> None:
    fastparquet.write(str(tmp_path / "KO.parquet"), frame("float64").reset_index())
    whole = (tmp_path / "KO.parquet").read_bytes()
    for size in range(0, len(whole), 97):
        (tmp_path / "KO.parquet").write_bytes(whole[:size])
        with pytest.raises(BadAnswerError):
            read(tmp_path)
    # Bytes of the middle that are others.
    for place in range(4, len(whole) - 8, 61):
        (tmp_path / "KO.parquet").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        # Some of them are figures: other ones, but figures.
        with contextlib.suppress(BadAnswerError):
            assert all(bar.close > 0 for bar in read(tmp_path).bars)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "date,close\n2026-03-31,62",
            "KO.csv says no currency: add a column “currency”, or set PRICE_FOLDER_CURRENCY",
        ),
        (KO + "2062-01-05,62,USD", "KO.csv: 2062-01-05 is in the future"),
        ("date,close,currency\n2019-12-31,62,USD", "KO.csv has no price since 2020-01-01"),
        (KO + "2026-03-30,62,USD", "KO.csv: line 4, column date: 2026-03-30 stands in line 2 already"),
        ("date,close\n2026-03-31,sixty", "KO.csv: line 2, column close: 'sixty' is no number"),
    ],
)
def test_mistakes_in_a_file_are_told_with_its_name(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "KO.csv").write_text(content)
    with pytest.raises(BadAnswerError) as refused:
        read(tmp_path)
    assert said in str(refused.value)


def test_a_setting_says_the_currency_of_files_that_do_not(tmp_path: Path) -> None:
    (tmp_path / "KO.csv").write_text("date,close\n2026-03-31,62")
    assert read(tmp_path, currency="EUR").currency == "EUR"
    (tmp_path / "KO.csv").write_text(KO)
    assert read(tmp_path, currency="EUR").currency == "USD"


def test_files_that_cannot_be_meant_or_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "KO.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadAnswerError, match=r"KO\.csv is no text in UTF-8"):
        read(tmp_path)
    (tmp_path / "KO.parquet").touch()
    with pytest.raises(BadAnswerError, match=r"There are KO\.csv and KO\.parquet; keep one of them"):
        read(tmp_path)
    with (tmp_path / "BIG.csv").open("wb") as sparse:
        sparse.truncate(65 * 2**20)
    with pytest.raises(BadAnswerError, match=r"BIG\.csv is larger than 64 MB"):
        read(tmp_path, "BIG")


def test_a_folder_that_is_not_there_is_no_word_about_a_ticker(tmp_path: Path) -> None:
    with pytest.raises(UnknownTickerError, match=r"There is no file KO\.csv or KO\.parquet"):
        read(tmp_path)
    with pytest.raises(SourceUnreachableError, match="see PRICE_FOLDER"):
        read(tmp_path / "not mounted")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prices with a file beside it that is nobody's prices."""
    folder = tmp_path_factory.mktemp("outer") / "prices"
    folder.mkdir()
    (folder.parent / "SECRET.csv").write_text(KO)
    (folder / "SUB").mkdir()
    (folder / "SUB" / "KO.csv").write_text(KO)
    return folder


@pytest.mark.parametrize(
    "ticker", ["../SECRET", "..", ".", "SUB/KO", "/etc/passwd", "KO\0", "", "..\\SECRET", "KO/.."]
)
def test_no_ticker_leads_out_of_the_folder(beside: Path, ticker: str) -> None:
    with pytest.raises(UnknownTickerError):
        read(beside, ticker)
    with pytest.raises(UnknownTickerError):
        read(beside, str(beside.parent / "SECRET"))


@given(ticker=st.text(alphabet="./\\SECRET~%\0-^=", max_size=24))
def test_no_made_up_ticker_does_either(beside: Path, ticker: str) -> None:
    with pytest.raises(UnknownTickerError):
        read(beside, ticker)


# --- through the price task ---


@pytest.fixture
def folder(worker_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("PRICE_SOURCES", "folder,sample")
    monkeypatch.setenv("PRICE_FOLDER", str(tmp_path))
    monkeypatch.setenv("PRICE_FOLDER_CURRENCY", "USD")
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def write(folder: Path, ticker: str, closes: list[float]) -> None:
    """A file of closes up to yesterday, made beside and moved there, as whoever changes one should."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    lines = [f"{last - timedelta(days=len(closes) - 1 - place)},{close}" for place, close in enumerate(closes)]
    (folder / "new").write_text("\n".join(["date,close", *lines]))
    (folder / "new").replace(folder / f"{ticker}.csv")


def fetch(engine: Engine, *tickers: str) -> dict[str, tuple[Any, ...]]:
    with transaction(engine) as session:
        ids = [each.id for each in ensure_instruments(session, tickers).values()]
        session.execute(text("UPDATE instruments SET next_fetch_at = now() - interval '1 s'"))
    prices.fetch_prices(ids)
    query = """
        SELECT i.ticker, i.status, i.source, i.status_reason, array_agg(p.close ORDER BY p.day)::float8[] AS closes
        FROM instruments i LEFT JOIN prices p ON p.instrument_id = i.id GROUP BY i.id
    """
    with engine.connect() as connection:
        return {ticker: tuple(others) for ticker, *others in connection.execute(text(query))}


def test_a_changed_file_is_noticed_by_the_next_fetch(engine: Engine, folder: Path) -> None:
    closes = [50.0 + day / 10 for day in range(40)]
    write(folder, "MINE", closes)
    assert fetch(engine, "MINE")["MINE"] == ("ok", "folder", None, closes)
    # Far before the newest bars, and one more at the end.
    changed = [*closes[:5], 49.0, *closes[6:], 54.5]
    write(folder, "MINE", changed)
    assert fetch(engine, "MINE")["MINE"][3][-2:] == changed[-2:]
    assert 49.0 in fetch(engine, "MINE")["MINE"][3]


def test_a_broken_file_costs_nothing_but_its_own_news(engine: Engine, folder: Path) -> None:
    write(folder, "MINE", [50.0, 51.0])
    write(folder, "OTHER", [70.0, 71.0])
    fetch(engine, "MINE", "OTHER")
    (folder / "MINE.csv").write_text("date,close\n2026-03-31,-4")
    write(folder, "OTHER", [70.0, 71.0, 72.0])
    found = fetch(engine, "MINE", "OTHER", "PEP")
    assert found["MINE"][:2] == ("failed", "folder")
    assert found["MINE"][2].startswith("MINE.csv: line 2, column close: -4 cannot be a price. Its last prices stay")
    assert found["MINE"][3] == [50.0, 51.0]
    assert found["OTHER"][:2] == ("ok", "folder")
    assert found["PEP"][:2] == ("ok", "sample"), "what it has no file of is asked of the next source"
