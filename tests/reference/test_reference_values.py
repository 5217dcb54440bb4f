"""The reference values of docs/risk-methods.md, to 1e-9, through the same path as every snapshot."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tailwatch.risk import Method, PriceSeries, RiskInputs, RiskReport, RiskSettings, Sample, align, measure
from tailwatch.risk.tail import Quantile, expected_shortfall, value_at_risk

PRICES = Path(__file__).parent / "data" / "reference_window_prices.csv"
SHARES = {"AAPL": 300, "MSFT": 150, "JPM": 200, "XOM": 400, "KO": 500}
NAV = 172_587.6


def near(value: float) -> object:
    """Return what is equal to `value` to 1e-9."""
    return pytest.approx(value, rel=0, abs=1e-9)


def read_prices() -> list[PriceSeries]:
    lines = [line.split(",") for line in PRICES.read_text().splitlines()]
    days = np.array([line[0] for line in lines[1:]], dtype="datetime64[D]")
    closes = np.array([line[1:] for line in lines[1:]], dtype=np.float64)
    return [PriceSeries(ticker, days, closes[:, column]) for column, ticker in enumerate(lines[0][1:])]


@pytest.fixture(scope="module")
def sample() -> Sample:
    return align(read_prices(), window=500)


@pytest.fixture(scope="module")
def market_values() -> dict[str, float]:
    return {series.ticker: SHARES[series.ticker] * float(series.closes[-1]) for series in read_prices()}


def report(sample: Sample, market_values: dict[str, float], method: Method) -> RiskReport:
    return measure(RiskInputs(sample, market_values, date(2022, 12, 28), RiskSettings(method)))


@pytest.fixture(scope="module")
def historical(sample: Sample, market_values: dict[str, float]) -> RiskReport:
    return report(sample, market_values, Method.HISTORICAL)


@pytest.fixture(scope="module")
def pnl(sample: Sample, market_values: dict[str, float]) -> np.ndarray:
    values = np.array([market_values[ticker] for ticker in sample.tickers])
    return (sample.returns @ values)[None, :] / values.sum()


def test_window(sample: Sample, historical: RiskReport) -> None:
    assert sample.returns.shape == (500, 5)
    assert historical.nav == pytest.approx(NAV, abs=1e-6)
    assert historical.warnings == ()
    assert historical.coverage.modelled == 1


def test_volatility(historical: RiskReport) -> None:
    assert historical.fractions.annualized_volatility == near(0.195380007)


def test_historical_var(historical: RiskReport) -> None:
    assert historical.fractions.var_95_1d == near(0.02042339958)
    assert historical.fractions.var_99_1d == near(0.03117710544)


@pytest.mark.parametrize(
    ("confidence", "convention", "figure"),
    [
        (0.95, Quantile.WEIBULL, 0.02042339958),
        (0.95, Quantile.LINEAR, 0.0199127416),
        (0.95, Quantile.HIGHER, 0.01988437171),
        (0.95, Quantile.LOWER, 0.02045176946),
        (0.99, Quantile.WEIBULL, 0.03117710544),
        (0.99, Quantile.LINEAR, 0.03063560513),
    ],
)
def test_quantile_conventions(pnl: np.ndarray, confidence: float, convention: Quantile, figure: float) -> None:
    assert value_at_risk(pnl, confidence, convention)[0] == near(figure)


def test_covariance_var(historical: RiskReport, pnl: np.ndarray) -> None:
    figure = historical.methods[Method.COVARIANCE].fractions.var_95_1d
    assert figure == near(0.02024450243)
    # The convention of those who add the sample mean (quantstats).
    assert figure - pnl.mean() == near(0.01941039087)


def test_expected_shortfall(historical: RiskReport, pnl: np.ndarray) -> None:
    assert historical.fractions.es_95_1d == near(0.02729308371)
    assert historical.fractions.es_975_1d == near(0.03157201945)
    assert historical.fractions.es_99_1d == near(0.03651139923)
    assert expected_shortfall(pnl, 0.95)[0] == near(0.02729308371)


def test_component_volatility(historical: RiskReport) -> None:
    components = {one.ticker: one.component_volatility for one in historical.positions}
    assert components == {
        "AAPL": near(0.05429744545),
        "MSFT": near(0.04581000435),
        "JPM": near(0.02617001974),
        "XOM": near(0.05067359686),
        "KO": near(0.01842894058),
    }


def test_component_es_95(sample: Sample, market_values: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailwatch.risk.stack.COMPONENT_ES", 0.95)
    components = {
        one.ticker: one.component_es_975 for one in report(sample, market_values, Method.HISTORICAL).positions
    }
    assert components == {
        "AAPL": near(0.007890722005),
        "MSFT": near(0.006540480893),
        "JPM": near(0.003223039292),
        "XOM": near(0.006889875162),
        "KO": near(0.002748966361),
    }


def test_drawdown(historical: RiskReport) -> None:
    assert historical.drawdown is not None
    assert historical.drawdown.depth == near(0.1632917612)
    assert (historical.drawdown.start, historical.drawdown.end) == (date(2022, 3, 29), date(2022, 9, 30))
    assert historical.drawdown.recovered is None


def test_ewma_volatility(historical: RiskReport) -> None:
    assert historical.methods[Method.EWMA].fractions.volatility_1d == near(0.01423056855)


@pytest.mark.parametrize("method", [Method.COVARIANCE, Method.EWMA, Method.HISTORICAL])
def test_components_add_up_to_the_figure(sample: Sample, market_values: dict[str, float], method: Method) -> None:
    measured = report(sample, market_values, method)
    for component, total in (
        ("component_volatility", measured.fractions.annualized_volatility),
        ("component_var_95", measured.fractions.var_95_1d),
        ("component_es_975", measured.fractions.es_975_1d),
    ):
        assert sum(getattr(one, component) for one in measured.positions) == pytest.approx(total, rel=1e-12)
