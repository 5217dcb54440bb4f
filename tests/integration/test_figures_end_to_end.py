"""Every headline figure of a served snapshot, computed again from the bundled prices by plain loops and numpy.

Nothing of `tailwatch.risk` is used here, so a convention that is wired wrongly on the way from the table of prices to
the answer shows, whatever the unit tests of the parts say.
"""

from __future__ import annotations

import gzip
import json
import math
from importlib import resources
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from tests.integration.api.support import Caller, application, forget_settings
from tests.support.work import work_off

QUANTITIES = {"AAPL": 300, "MSFT": 150, "JPM": 200, "XOM": 400, "KO": 500, "RRC": -250}
SPANS = (1, 5, 22, 66, 250, 750)
OWN = (0.088, 0.018, 0.171, 0.297, 0.005, 0.049)
FALLS = (0.059, 0.395)
MARKET = (0.107, 0.268)


@pytest.fixture
def served(worker_process: None, engine: Engine) -> dict[str, Any]:
    forget_settings()
    ada = Caller(application(), engine, "ada@example.org")
    portfolio_id = ada.portfolio(benchmark="^GSPC")
    for ticker, quantity in QUANTITIES.items():
        ada.trade(portfolio_id, ticker=ticker, quantity=str(quantity))
    work_off(engine)
    found: dict[str, Any] = json.loads(ada.get(f"/api/portfolios/{portfolio_id}/risk").data)
    return found


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    packed = (resources.files("tailwatch.market") / "data" / "us20_adjclose_1990_2022.csv.gz").read_bytes()
    lines = [line.split(",") for line in gzip.decompress(packed).decode().splitlines()]
    return {
        name: np.array([float(line[column]) for line in lines[1:]]) for column, name in enumerate(lines[0]) if column
    }


def average(values: np.ndarray, span: float) -> np.ndarray:
    """Return what each day expects from the days before it, and the next day after the last."""
    decay, seed = span / (1 + span), values[:250].mean()
    found, current = [seed] * 251, seed
    for value in values[250:]:
        current = decay * current + (1 - decay) * value
        found.append(current)
    return np.array(found)


def expected_volatility(returns: np.ndarray, market: np.ndarray) -> np.ndarray:
    variance = sum(w * average(returns**2, c) for w, c in zip(OWN, SPANS, strict=True))
    fall = np.where(returns < 0, returns**2, 0)
    variance = variance + sum(w * average(fall, c) for w, c in zip(FALLS, (1, 8), strict=True))
    market_fall = np.where(market < 0, market**2, 0)
    scale = average(returns**2, 750) / average(market**2, 750)
    variance = variance + sum(w * scale * average(market_fall, c) for w, c in zip(MARKET, (1, 8), strict=True))
    return np.sqrt(variance)


def weibull(outcomes: np.ndarray, alpha: float) -> float:
    ordered = sorted(outcomes)
    rank = round((len(ordered) + 1) * alpha, 9)
    below = math.floor(rank)
    return -(ordered[below - 1] + (rank - below) * (ordered[below] - ordered[below - 1]))


def tail_mean(outcomes: np.ndarray, alpha: float) -> float:
    left, total = len(outcomes) * alpha, 0.0
    for outcome in sorted(outcomes):
        share = min(1.0, left)
        total, left = total - share * outcome, left - share
        if left <= 1e-9:
            break
    return total / (len(outcomes) * alpha)


LEVELS = {"95": 0.05, "975": 0.025, "99": 0.01}


def test_every_headline_figure(served: dict[str, Any], table: dict[str, np.ndarray]) -> None:
    sessions = 2300
    returns = {name: (closes[1:] / closes[:-1] - 1)[-sessions:] for name, closes in table.items()}
    values = {ticker: quantity * table[ticker][-1] for ticker, quantity in QUANTITIES.items()}
    nav = sum(values.values())
    assert float(served["nav"]) == pytest.approx(nav, rel=1e-12)
    window = sum(value * returns[ticker][-500:] for ticker, value in values.items()) / nav
    assert served["annualized_volatility"] == pytest.approx(window.std(ddof=1) * 252**0.5, rel=1e-9)
    assert served["method"] == "filtered"
    scaled, now = {}, {}
    for ticker in values:
        deviations = expected_volatility(returns[ticker], returns["SP500"])
        now[ticker] = deviations[-1]
        scaled[ticker] = (returns[ticker] * deviations[-1] / deviations[:-1])[-1000:]
    filtered = sum(value * scaled[ticker] for ticker, value in values.items()) / nav
    for level, alpha in LEVELS.items():
        for figures, outcomes in ((served["methods"]["historical"], window), (served, filtered)):
            assert figures[f"var_{level}_1d"] == pytest.approx(weibull(outcomes, alpha), rel=1e-9)
            assert figures[f"es_{level}_1d"] == pytest.approx(tail_mean(outcomes, alpha), rel=1e-9)
            amount = figures["amounts"][f"var_{level}_1d"]
            assert amount == pytest.approx(figures[f"var_{level}_1d"] * nav, rel=1e-12)
    normal = {"95": 1.6448536269514722, "975": 1.959963984540054, "99": 2.3263478740408408}
    deviation = window.std(ddof=1)
    for level, z in normal.items():
        assert served["methods"]["covariance"][f"var_{level}_1d"] == pytest.approx(z * deviation, rel=1e-9)
    squares = (window**2)[:20].mean()
    for value in window[20:]:
        squares = 0.94 * squares + 0.06 * value**2
    assert served["methods"]["ewma"]["volatility_1d"] == pytest.approx(math.sqrt(squares), rel=1e-9)
    index = returns["SP500"][-500:]
    assert served["beta"] == pytest.approx(np.cov(window, index)[0, 1] / index.var(ddof=1), rel=1e-9)
    worst = filtered.argsort(kind="stable")[:25]
    for position in served["positions"]:
        ticker = position["ticker"]
        own = values[ticker] / nav * returns[ticker][-500:]
        part = np.cov(own, window)[0, 1] / deviation * 252**0.5
        assert position["component_volatility"] == pytest.approx(part, rel=1e-8)
        shortfall = -(values[ticker] / nav * scaled[ticker][worst]).mean()
        assert position["component_es_975"] == pytest.approx(shortfall, rel=1e-8)
    for name, total in (
        ("component_volatility", "annualized_volatility"),
        ("component_var_95", "var_95_1d"),
        ("component_es_975", "es_975_1d"),
    ):
        assert sum(position[name] for position in served["positions"]) == pytest.approx(served[total], rel=1e-9)
    path = sum(quantity * table[ticker][-501:] for ticker, quantity in QUANTITIES.items())
    assert served["drawdown"]["depth"] == pytest.approx((1 - path / np.maximum.accumulate(path)).max(), rel=1e-9)
