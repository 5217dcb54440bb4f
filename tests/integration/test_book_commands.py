"""`import`, `export`, `book check` and `prices` as they are typed."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tests.support.markets import store, walk, weekdays
from tests.support.work import book, work_off

pytestmark = pytest.mark.usefixtures("worker_process")

FILE = """date,type,symbol,quantity,price,amount,currency,fee
2022-01-03,deposit,,,,5000,USD,
2022-01-04,buy,AAPL,10,179.7,,USD,1
2022-01-04,buy,AAPL,10,179.7,,USD,1
2022-01-05,sell,AAPL,5,175,,USD,1
"""


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    days = weekdays(300)
    store(engine, "AAPL", "USD", days, walk(1, len(days), 150.0))
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        portfolio = Portfolio(user_id=owner.id, name="Main", is_default=True)
        session.add(portfolio)
        session.flush()
        return portfolio.id


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tailwatch.cli", *words]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_file_goes_in_twice_and_out_again(engine: Engine, portfolio_id: int, tmp_path: Path) -> None:
    file = tmp_path / "broker.csv"
    file.write_text(FILE)
    tried = run("import", str(file), "--dry-run")
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "4 to be booked" in tried.stdout
    assert "Nothing was booked" in tried.stdout
    assert "Booked 4 entries." in run("import", str(file), "--portfolio", "Main").stdout
    again = run("import", str(file)).stdout
    assert "4 booked already" in again
    assert "Booked 0 entries." in again
    out = tmp_path / "out.json"
    assert "Wrote 4 entries of Main" in run("export", str(out)).stdout
    with transaction(engine) as session:
        session.execute(text("INSERT INTO portfolios (user_id, name) SELECT id, 'Copy' FROM users"))
    assert "Booked 4 entries." in run("import", str(out), "--portfolio", "Copy").stdout


def test_rows_are_picked_and_mistakes_are_sentences(portfolio_id: int, tmp_path: Path) -> None:
    file = tmp_path / "broker.csv"
    file.write_text(FILE + "2022-01-06,buy,AAPL,ten,1,,USD,\n")
    refused = run("import", str(file))
    assert refused.returncode == 1
    assert "quantity: “ten” is no number." in refused.stdout
    assert "1 rows cannot be booked (the first is line 6)" in refused.stderr
    assert "Booked 3 entries." in run("import", str(file), "--rows", "2-3,5").stdout
    for words, said in (
        (("import", str(tmp_path / "none.csv")), "cannot be read"),
        (("import", str(file), "--portfolio", "Other"), "There is no portfolio Other."),
        (("import", str(file), "--rows", "two"), "write line numbers"),
        (("import", str(file), "--mapping", "["), "--mapping is no JSON"),
    ):
        failed = run(*words)
        assert failed.returncode == 1
        assert said in failed.stderr
        assert "Traceback" not in failed.stderr


def test_the_book_is_checked_against_what_rests_on_it(engine: Engine, portfolio_id: int, tmp_path: Path) -> None:
    file = tmp_path / "broker.csv"
    file.write_text(FILE)
    run("import", str(file))
    work_off(engine)
    agreed = run("book", "check")
    assert (agreed.returncode, "yes" in agreed.stdout) == (0, True)
    assert "newest snapshot" in agreed.stdout
    with engine.begin() as connection:
        # An entry that came in behind everybody's back.
        connection.execute(text("UPDATE trades SET quantity = quantity + 1 WHERE quantity < 0"))
    differs = run("book", "check", "Main")
    assert differs.returncode == 1
    assert "shares of AAPL is 16 by the entries and 15 in the newest snapshot" in differs.stdout
    assert run("book", "check", "Other").returncode == 1


def test_prices_are_looked_at_and_decided_about(engine: Engine, portfolio_id: int) -> None:
    book(engine, portfolio_id, "AAPL", "10")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO held_prices "
                "(instrument_id, day, close, adjusted_close, source, fetched_at, code, reason) "
                "SELECT id, '2022-12-29', 50, 50, 'made up', :now, 'jump', 'It fell.' FROM instruments"
            ),
            {"now": datetime.now(UTC)},
        )
    stands = run("prices", "status")
    assert (stands.returncode, stands.stderr) == (0, "")
    assert "AAPL" in stands.stdout
    assert "held" in stands.stdout
    assert "It fell." in run("prices", "held").stdout
    assert "released" in run("prices", "release", "aapl", "2022-12-29").stdout
    assert "No price is held back." in run("prices", "held").stdout
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT close FROM prices ORDER BY day DESC LIMIT 1")) == 50
    assert "splits 1.5-for-1" in run("prices", "split", "AAPL", "2022-12-01", "3:2").stdout
    work_off(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT nav FROM risk_snapshots ORDER BY id DESC LIMIT 1")) == Decimal(750)
    assert "has no split of yours" in run("prices", "split", "AAPL", "2022-12-01", "0").stdout
    assert "are due" in run("prices", "refresh", "AAPL").stdout
    for words, said in (
        (("prices", "release", "AAPL", "2022-12-27"), "is held back"),
        (("prices", "release", "XYZ", "2022-12-27"), "There is no instrument XYZ"),
        (("prices", "reject", "AAPL", "soon"), "is no day"),
        (("prices", "split", "AAPL", "2022-12-01", "many"), "is no ratio"),
    ):
        failed = run(*words)
        assert failed.returncode == 1
        assert said in failed.stderr
