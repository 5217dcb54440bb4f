"""`validate` as its user runs it: a process without server or database, files in, a table or JSON out."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tailwatch.market
from tailwatch.embedded.environment import ROOT

SAMPLE = Path(tailwatch.market.__file__).parent / "data" / "us20_adjclose_1990_2022.csv.gz"
NAMES = ["KO", "XOM", "SP500"]
DAYS = 800
LEVELS = {"95": 0.95, "97.5": 0.975, "99": 0.99}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command with an environment that knows of no server."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "tailwatch.cli", "validate", *map(str, arguments)],
        cwd=ROOT,
        env=environment | {"OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def answer(*arguments: str | Path) -> dict[str, Any]:
    """Return the JSON of a run that has to succeed."""
    process = run(*arguments, "--out", "json")
    assert process.returncode == 0, process.stderr
    document: dict[str, Any] = json.loads(process.stdout)
    return document


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the newest 800 days of two stocks and their index."""
    with gzip.open(SAMPLE, "rt") as file:
        rows = list(csv.DictReader(file))[-DAYS:]
    path = tmp_path_factory.mktemp("validate") / "prices.csv"
    lines = [",".join(["date", *NAMES]), *(",".join([row["date"], *(row[name] for name in NAMES)]) for row in rows)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def weights(prices: Path) -> Path:
    path = prices.parent / "weights.csv"
    path.write_text("portfolio,KO,XOM\nboth,0.6,0.4\nspread,1,-0.5\n")
    return path


def closes(path: Path) -> np.ndarray:
    return np.array([line.split(",")[1:] for line in path.read_text().splitlines()[1:]], dtype=float)


def test_historical_figures_are_those_of_a_plain_loop(prices: Path, weights: Path) -> None:
    document = answer("--prices", prices, "--weights", weights, "--methods", "historical")
    assert document["data"]["n"] == DAYS - 501
    assert document["data"]["start_row"] == 501
    levels = closes(prices)
    returns = levels[1:] / levels[:-1] - 1
    for name, portfolio in (("both", [0.6, 0.4, 0]), ("spread", [1, -0.5, 0])):
        pnl = returns @ np.array(portfolio)
        for key, level in LEVELS.items():
            losses, exceeded = [], []
            for day in range(500, len(pnl)):
                quantile = np.quantile(pnl[day - 500 : day], 1 - level, method="weibull")
                exceeded.append(pnl[day] < quantile)
                losses.append((1 - level - exceeded[-1]) * (pnl[day] - quantile))
            found = document["portfolios"][name]["historical"][key]
            assert found["exceedances"] == sum(exceeded)
            assert found["exceedance_rate"] == pytest.approx(np.mean(exceeded))
            assert found["pinball"] == pytest.approx(np.mean(losses), rel=1e-9)
            assert found["pinball_ratio"] == 1


def test_the_document_has_every_method_and_level_and_its_averages_are_means(prices: Path, weights: Path) -> None:
    document = answer("--prices", prices, "--weights", weights)
    portfolios = document["portfolios"]
    assert list(portfolios) == ["both", "spread"]
    assert set(document["methods"]) == {"historical", "covariance", "student_t", "ewma", "filtered"}
    for method, levels in document["methods"].items():
        assert list(levels) == list(LEVELS)
        for level, averaged in levels.items():
            each = [portfolio[method][level] for portfolio in portfolios.values()]
            for name in set(averaged) - {"passed", "traffic_light"}:
                values = [one[name] for one in each if one[name] is not None]
                assert averaged[name] == (pytest.approx(sum(values) / len(values), rel=1e-12) if values else None)
            for zone, share in averaged["traffic_light"].items():
                assert share == pytest.approx(sum(one["traffic_light"][zone] for one in each) / len(each))
            for test, share in averaged["passed"].items():
                p_values = [one[f"{test}_p"] for one in each if one[f"{test}_p"] is not None]
                assert share == sum(p >= 0.05 for p in p_values) / len(p_values)
            for one in each:
                base = portfolios["both" if one is each[0] else "spread"]["historical"][level]["pinball"]
                assert one["pinball_ratio"] == pytest.approx(one["pinball"] / base, rel=1e-12)


def test_without_weights_each_column_is_alone_and_the_market_is_none_of_them(prices: Path) -> None:
    alone = answer("--prices", prices, "--methods", "ewma")
    assert list(alone["portfolios"]) == NAMES
    assert alone["data"]["market"] is None
    with_market = answer("--prices", prices, "--methods", "ewma,filtered", "--market", "SP500")
    assert list(with_market["portfolios"]) == NAMES[:2]
    assert with_market["data"]["market"] == "SP500"
    for name in NAMES[:2]:
        assert with_market["portfolios"][name]["ewma"] == alone["portfolios"][name]["ewma"]
        # Without the historical method there is nothing to compare a loss with.
        assert alone["portfolios"][name]["ewma"]["99"]["pinball_ratio"] is None


def test_a_start_by_date_is_the_start_by_row(prices: Path) -> None:
    label = prices.read_text().splitlines()[1 + 700].split(",")[0]
    by_date, by_row = (answer("--prices", prices, "--methods", "historical", "--start", at) for at in (label, "700"))
    assert by_date == by_row
    assert (by_date["data"]["start"], by_date["data"]["n"]) == (label, DAYS - 700)


def test_the_table_names_methods_and_judges_each_in_a_sentence(prices: Path) -> None:
    process = run("--prices", prices, "--methods", "covariance,historical")
    assert process.returncode == 0
    lines = process.stdout.splitlines()
    for method in ("covariance", "historical"):
        assert sum(line.startswith(f"{method}: ") for line in lines) == 1
        assert any(line.startswith(f"│{method}") for line in lines)
    assert "filtered" not in process.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "historical,magic"], "no method “magic”. There are: "),
        (["--start", "2099-01-01"], "lies outside"),
        (["--start", "30"], "29 returns before it"),
        (["--market", "SP50"], "no column SP50. Meant is perhaps SP500."),
        (["--weights", "nowhere.csv"], "There is no file nowhere.csv."),
    ],
)
def test_a_wrong_option_ends_with_code_2_and_a_sentence(prices: Path, options: list[str], message: str) -> None:
    process = run("--prices", prices, *options)
    assert (process.returncode, process.stdout) == (2, "")
    assert message in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2022-12-29,abc,1,1", "line 802, column KO: “abc” is not a number"),
        ("2022-12-29,-5,1,1", "positive: line 802, column KO: -5"),
        ("2022-12-28,1,1,1", "was there before, on line 801"),
        ("1999-12-28,1,1,1", "comes after 2022-12-28"),
    ],
)
def test_a_wrong_file_ends_with_code_2_and_its_place(prices: Path, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(f"{prices.read_text()}\n{line}\n")
    process = run("--prices", path, "--out", "json")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith(f"{path}")
    assert message in process.stderr
    assert "Traceback" not in process.stderr


def test_a_file_too_short_says_what_it_takes_and_runs_with_a_start(prices: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("\n".join(prices.read_text().splitlines()[:301]))
    process = run("--prices", path)
    assert process.returncode == 2
    assert "299 daily returns" in process.stderr
    assert "--start" in process.stderr
    document = answer("--prices", path, "--start", "61")
    assert document["data"]["n"] == 300 - 61
    assert document["methods"]["filtered"]["99"]["traffic_light"] is None


def test_gaps_are_counted_or_left_out_on_request(prices: Path, tmp_path: Path) -> None:
    rows = [line.split(",") for line in prices.read_text().splitlines()]
    for row in rows[600:603]:
        row[1] = ""
    for row in rows[300:310]:
        row[2] = "NA"
    path = tmp_path / "gaps.csv"
    path.write_text("\n".join(map(",".join, rows)))
    process = run("--prices", path)
    assert process.returncode == 2
    assert "XOM has no price on 10 rows from line 301" in process.stderr
    document = answer("--prices", path, "--skip-gaps", "--methods", "historical")
    assert list(document["portfolios"]) == ["KO", "SP500"]
    assert document["data"]["carried"] == {"KO": 3}
    assert list(document["data"]["left_out"]["names"]) == ["XOM"]
