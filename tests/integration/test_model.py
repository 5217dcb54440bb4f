"""`tailwatch model` as it is typed: other coefficients in use, everywhere, and back again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tailwatch import accounts, demo, refresh
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tailwatch.measurement.model import choose, current
from tailwatch.measurement.replay import replay
from tailwatch.risk.coefficients import default_model, from_json, to_json
from tailwatch.risk.volatility import VolatilityModel
from tests.support.markets import store, walk, weekdays
from tests.support.work import book, newest, snapshot_id, work_off

pytestmark = pytest.mark.usefixtures("worker_process")

SAMPLE = ROOT / "tailwatch" / "market" / "data" / "us20_adjclose_1990_2022.csv.gz"
OTHER = VolatilityModel(squares=(0, 0, 1.0, 0, 0, 0), downside=(0, 0), market=(0, 0), provenance={"data": "none"})


@pytest.fixture
def demo_id(engine: Engine) -> int:
    with transaction(engine) as session:
        made = demo.load(session, accounts.create_owner(session, "owner@example.org"))
    assert made is not None
    work_off(engine)
    return made


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tailwatch.cli", "model", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=300)


def test_a_file_is_put_in_use_and_taken_back(engine: Engine, demo_id: int, tmp_path: Path) -> None:
    before, first = newest(engine, demo_id), snapshot_id(engine, demo_id)
    file = tmp_path / "model.json"
    file.write_text(to_json(OTHER))

    said = run("use", str(file))
    assert (said.returncode, said.stderr) == (0, "")
    assert "Portfolios to be computed anew: 1" in said.stdout
    work_off(engine)
    after = newest(engine, demo_id)
    assert after["var_99_1d"] != before["var_99_1d"]
    assert after["annualized_volatility"] == before["annualized_volatility"]
    inputs = newest(engine, demo_id, "inputs")
    assert inputs["model"] == OTHER.digest
    assert VolatilityModel.of(inputs["coefficients"]) == OTHER
    explained = newest(engine, demo_id, "explain")
    assert "model" in {warning["code"] for warning in explained["warnings"]}

    # An older snapshot is computed again with the coefficients that it was made with.
    with engine.connect() as connection:
        found = replay(connection, first)
    assert (found.same, [cause.code for cause in found.causes]) == (True, ["model"])

    shown = run("show").stdout
    assert "coefficients of your own, since " in shown
    assert "data: none" in shown
    assert run("use", str(file)).stdout == "The coefficients in use are the same as before.\n"
    assert run("reset").returncode == 0
    work_off(engine)
    again = newest(engine, demo_id)
    assert [again[name] for name in ("var_95_1d", "es_975_1d")] == [
        before[name] for name in ("var_95_1d", "es_975_1d")
    ]
    with engine.connect() as connection:
        choice = current(connection)
    assert (choice.model, choice.shipped) == (default_model(), True)


def test_stored_prices_are_learned_from(engine: Engine, demo_id: int, tmp_path: Path) -> None:
    """From the sample's last ten years, and nothing is switched by it."""
    file = tmp_path / "model.json"
    said = run("fit", "--until", "2020-12-31", "--out", str(file))
    assert (said.returncode, said.stderr) == (0, "")
    assert "20 instruments. Learned from 20" in said.stdout
    assert "to 2020-12-31, compared on 2021-01-04 to 2022-12-28." in said.stdout
    fitted = from_json(file.read_text())
    assert fitted.digest != default_model().digest
    assert fitted.provenance["data"].startswith("the stored instruments: 20 instruments, ")
    with engine.connect() as connection:
        assert current(connection).shipped


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("use", "nowhere.json"), "nowhere.json cannot be read: No such file or directory."),
        (("fit",), "There are 0 days"),
        (("fit", "--prices", str(SAMPLE), "--market", "DAX"), "has no column DAX."),
        (("fit", "--prices", str(SAMPLE), "--until", "2022-06-30"), "leaves too few"),
    ],
)
def test_what_cannot_be_done_is_said(engine: Engine, words: tuple[str, ...], said: str) -> None:
    found = run(*words)
    assert found.returncode in {1, 2}
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_ranges_go_into_the_figures_of_a_model_that_looks_at_them(engine: Engine) -> None:
    days = weekdays(900)
    closes = walk(11, len(days), 50.0)
    # The days' ranges tell of a quiet year before a loud month; the closes do not.
    widths = [Decimal("0.1") if place < 880 else Decimal(3) for place in range(len(days))]
    store(engine, "LOUD", "USD", days, closes, widths=widths)
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        portfolio = Portfolio(user_id=owner.id, name="Main")
        session.add(portfolio)
        session.flush()
        portfolio_id = portfolio.id
    book(engine, portfolio_id, "LOUD", "10")
    work_off(engine)
    quiet = newest(engine, portfolio_id)
    with transaction(engine) as session:
        choose(session, replace(default_model(), measure="range"))
        refresh.raise_all(session)
    work_off(engine)
    loud = newest(engine, portfolio_id)
    assert loud["var_99_1d"] > 1.5 * quiet["var_99_1d"]
    assert loud["methods"]["historical"] == quiet["methods"]["historical"]
    inputs = newest(engine, portfolio_id, "inputs")
    assert inputs["measure"] == "range"
    with engine.connect() as connection:
        found = replay(connection, snapshot_id(engine, portfolio_id))
    assert (found.same, found.causes) == (True, ())
