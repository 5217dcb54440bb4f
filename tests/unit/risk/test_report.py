"""The report: settings, coverage, warnings, and portfolios of which little is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from tailwatch.errors import InvalidExposureError, InvalidRiskSettingsError, TailwatchError
from tailwatch.risk import (
    Method,
    PriceSeries,
    RiskInputs,
    RiskReport,
    RiskSettings,
    Sample,
    Status,
    UnmodelledPosition,
    align,
    measure,
)
from tailwatch.risk.results import HeadlineFigures
from tests.support.risk_samples import prices_of, random_series, sample_of, weekdays

AS_OF: date = weekdays(700)[-1].astype(object)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return align(
        [random_series(ticker, 700, seed) for seed, ticker in enumerate("ABC")],
        benchmark=random_series("MARKET", 700, 9),
    )


def codes(report: RiskReport) -> list[str]:
    return [warning.code for warning in report.warnings]


def test_a_plain_portfolio_has_every_figure_and_no_warning(sample: Sample) -> None:
    report = measure(RiskInputs(sample, {"A": 3000.0, "B": 1000.0, "C": -500.0}, AS_OF, cash=250.0))
    assert (report.nav, report.gross, report.cash) == (3750, 4500, 250)
    assert report.warnings == ()
    assert [one.ticker for one in report.positions] == ["A", "B", "C"]
    assert [one.weight for one in report.positions] == pytest.approx([0.8, 4 / 15, -2 / 15])
    assert set(report.methods) == set(Method)
    assert report.benchmark == "MARKET"
    assert report.beta == pytest.approx(sum(one.weight * one.beta for one in report.positions))
    assert report.drawdown is not None
    assert (report.coverage.modelled, report.coverage.instruments) == (1, ())
    assert report.coverage.oldest_price_age_days == 0


@pytest.mark.parametrize("method", list(Method))
def test_the_headline_is_the_method_asked_for(sample: Sample, method: Method) -> None:
    report = measure(RiskInputs(sample, {"A": 3000.0, "B": 1000.0}, AS_OF, RiskSettings(method)))
    figures = report.methods[method].fractions
    assert report.method is method
    assert report.fractions.es_975_1d == figures.es_975_1d
    window = report.methods[Method.COVARIANCE].fractions
    assert report.fractions.annualized_volatility == pytest.approx(window.volatility_1d * 252**0.5)


def test_instrument_volatilities_are_those_of_the_window(sample: Sample) -> None:
    for method in Method:
        alone = measure(RiskInputs(sample, {"A": 10.0}, AS_OF, RiskSettings(method)))
        assert alone.positions[0].volatility == pytest.approx(alone.fractions.annualized_volatility)


def test_the_filtered_method_looks_further_back_than_the_window(sample: Sample) -> None:
    report = measure(RiskInputs(sample, {"A": 10.0}, AS_OF))
    assert report.method is Method.FILTERED
    assert sample.filtered.shape == (699, 3)
    assert report.coverage.observations == 699
    assert report.distribution is not None
    assert sum(report.distribution.counts) == 699


def test_with_less_than_a_year_an_exponential_average_scales_the_scenarios() -> None:
    series = random_series("A", 240, 1)
    report = measure(RiskInputs(align([series]), {"A": 1.0}, series.dates[-1].astype(object)))
    assert codes(report) == ["ewma_scaling", "short_window"]
    assert report.fractions.var_95_1d is not None


def test_an_empty_portfolio(sample: Sample) -> None:
    report = measure(RiskInputs(sample, {"A": 0.0}, AS_OF, cash=100.0))
    assert codes(report) == ["empty"]
    assert report.fractions == HeadlineFigures()
    assert (report.nav, report.gross, report.positions, report.methods) == (100, 0, (), {})
    assert (report.correlation, report.distribution, report.drawdown, report.concentration) == (None,) * 4
    assert report.coverage.modelled is None


def test_only_pending_positions() -> None:
    pending = UnmodelledPosition("NEW", Status.PENDING, "Its price is being fetched.")
    report = measure(RiskInputs(align([]), {}, AS_OF, unmodelled=[pending]))
    assert codes(report) == ["nothing_modelled", "pending"]
    (position,) = report.positions
    assert (position.market_value, position.weight, position.status) == (None, None, Status.PENDING)
    assert position.reason == "Its price is being fetched."
    assert (report.coverage.unvalued, report.coverage.excluded) == (1, None)
    assert report.concentration is None


def test_what_is_not_modelled_counts_in_value_and_coverage(sample: Sample) -> None:
    young = align([random_series("A", 700, 1), PriceSeries("Y", weekdays(700)[-40:], prices_of(np.full(39, 0.01)))])
    euro = UnmodelledPosition("EUR", Status.EXCLUDED, "It is priced in EUR.", 1000.0, date(2022, 8, 1))
    ghost = UnmodelledPosition("GHOST", Status.UNKNOWN, "No source knows it.")
    report = measure(RiskInputs(young, {"A": 6000.0, "Y": -2000.0, "GONE": 1000.0}, AS_OF, unmodelled=[euro, ghost]))
    assert (report.nav, report.gross) == (6000, 10_000)
    assert report.coverage.modelled == pytest.approx(0.6)
    assert (report.coverage.proxied, report.coverage.excluded) == (0, pytest.approx(0.4))
    reasons = {one.ticker: one.reason for one in report.coverage.instruments}
    assert set(reasons) == {"Y", "GONE", "EUR", "GHOST"}
    assert reasons["Y"] == "It has 39 daily returns in the window; at least 60 are needed."
    assert reasons["GONE"] == "It has no price history."
    assert report.coverage.oldest_price_ticker == "EUR"
    assert "old_price" in codes(report)
    assert [one.ticker for one in report.positions] == ["A", "Y", "EUR", "GONE", "GHOST"]
    alone = measure(RiskInputs(young, {"A": 6000.0}, AS_OF))
    assert report.amounts == alone.amounts
    by_code = {warning.code: warning.message for warning in report.warnings}
    assert "Y, EUR and GONE" in by_code["excluded"]
    assert "GHOST" in by_code["unknown"]


def test_proxied_exposure_is_labelled() -> None:
    young = random_series("Y", 200, 1)
    series = [random_series("A", 700, 2), PriceSeries("Y", weekdays(700)[-200:], young.closes)]
    report = measure(RiskInputs(align(series), {"A": 1000.0, "Y": 3000.0}, AS_OF))
    assert report.coverage.proxied == pytest.approx(0.75)
    assert report.positions[0].status is Status.PROXIED
    assert report.positions[0].component_var_95 is not None
    assert codes(report) == ["proxied"]


def test_long_lists_are_cut(sample: Sample) -> None:
    unmodelled = [UnmodelledPosition(f"P{number}", Status.PENDING, "Wait.") for number in range(8)]
    report = measure(RiskInputs(sample, {"A": 1.0}, AS_OF, unmodelled=unmodelled))
    assert "P0, P1, P2, P3, P4 and 3 more" in report.warnings[0].message


def test_zero_nav_gives_currency_figures_only(sample: Sample) -> None:
    report = measure(RiskInputs(sample, {"A": 1000.0, "B": -1000.0}, AS_OF))
    assert codes(report) == ["nav_not_positive"]
    assert report.fractions == HeadlineFigures()
    assert report.amounts.var_95_1d is not None
    assert report.methods[Method.EWMA].fractions.var_95_1d is None
    assert report.methods[Method.EWMA].amounts.var_95_1d is not None
    assert report.beta is None
    assert report.drawdown is None
    for position in report.positions:
        assert position.weight is position.component_var_95 is None
        assert position.marginal_var_95 is not None


@pytest.mark.parametrize(("cash", "usable"), [(-999.0, False), (-949.0, True)])
def test_twenty_times_leverage_is_the_limit(sample: Sample, cash: float, usable: bool) -> None:
    report = measure(RiskInputs(sample, {"A": 1000.0}, AS_OF, cash=cash))
    assert (report.fractions.var_95_1d is not None) == usable
    assert ("leverage" in codes(report)) != usable


def test_a_path_through_zero_has_no_drawdown() -> None:
    returns = np.zeros((100, 2))
    returns[50, 0] = -0.5  # fifty days ago the long leg was worth twice as much, and the short leg as now
    returns[60, 1] = 0.0
    report = measure(RiskInputs(sample_of(-returns), {"A0": 1000.0, "A1": 10.0}, AS_OF, cash=-700.0))
    assert report.drawdown is None
    assert "drawdown" in codes(report)


def test_cash_cushions_the_drawdown() -> None:
    returns = np.zeros((100, 1))
    returns[50] = -0.5
    bare = measure(RiskInputs(sample_of(returns), {"A0": 1000.0}, AS_OF)).drawdown
    cushioned = measure(RiskInputs(sample_of(returns), {"A0": 1000.0}, AS_OF, cash=2000.0)).drawdown
    assert bare is not None
    assert cushioned is not None
    assert bare.depth == pytest.approx(0.5)
    assert cushioned.depth == pytest.approx(1000 / 4000)


def test_a_drawdown_that_was_made_good_has_its_day() -> None:
    returns = np.zeros((100, 1))
    returns[[20, 40]] = [[-0.2], [0.3]]
    sample = sample_of(returns)
    drawdown = measure(RiskInputs(sample, {"A0": 1.0}, AS_OF)).drawdown
    assert drawdown is not None
    days = sample.sessions.astype(object)
    assert (drawdown.start, drawdown.end, drawdown.recovered) == (days[0], days[21], days[41])


def test_benchmark_troubles_are_named(sample: Sample) -> None:
    series = random_series("A", 700, 1)
    new = random_series("NEW", 40, 3)
    young = align([series], benchmark=PriceSeries("NEW", series.dates[-40:], new.closes))
    still = align([series], benchmark=PriceSeries("CASH", series.dates, np.full(700, 1.0)))
    for one, word in ((young, "NEW"), (still, "CASH")):
        report = measure(RiskInputs(one, {"A": 1.0}, AS_OF))
        assert codes(report) == ["benchmark"]
        assert word in report.warnings[0].message
        assert report.beta is report.positions[0].beta is None
    without = measure(RiskInputs(align([series]), {"A": 1.0}, AS_OF))
    assert (without.benchmark, without.beta, without.warnings) == (None, None, ())


def test_a_short_window_is_named() -> None:
    report = measure(RiskInputs(align([random_series("A", 200, 1)]), {"A": 1.0}, weekdays(200)[-1].astype(object)))
    assert codes(report) == ["ewma_scaling", "short_window"]
    assert report.coverage.observations == 199


def test_old_prices_are_named(sample: Sample) -> None:
    later = date.fromordinal(AS_OF.toordinal() + 8)
    report = measure(RiskInputs(sample, {"A": 1.0}, later))
    assert report.coverage.oldest_price_age_days == 8
    assert codes(report) == ["old_price"]


@pytest.mark.parametrize(
    ("waited", "due_in", "is_old"),
    [
        # Golden week: the market was closed, and has just opened again.
        (9, 8, False),
        (11, 8, False),
        (12, 8, True),
        # A market that was open all the while.
        (4, 1, False),
        (5, 1, True),
    ],
)
def test_a_calendar_decides_whether_a_price_is_old(sample: Sample, waited: int, due_in: int, *, is_old: bool) -> None:
    later, due = AS_OF + timedelta(days=waited), AS_OF + timedelta(days=due_in)
    report = measure(RiskInputs(sample, {"A": 1.0}, later, due_days={"A": due}))
    assert (codes(report) == ["old_price"]) is is_old
    assert report.coverage.oldest_price_age_days == waited


def test_gaps_are_named_in_coverage() -> None:
    whole = random_series("A", 700, 1)
    keep = np.arange(700) != 500
    sample = align([PriceSeries("A", whole.dates[keep], whole.closes[keep]), random_series("B", 700, 2)])
    report = measure(RiskInputs(sample, {"A": 1.0, "B": 1.0}, AS_OF))
    (named,) = report.coverage.instruments
    assert (named.ticker, named.status, named.gaps) == ("A", Status.MODELLED, 1)


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -float("inf"), 1e61])
def test_amounts_that_are_none_are_refused(sample: Sample, amount: float) -> None:
    with pytest.raises(InvalidExposureError):
        RiskInputs(sample, {"A": amount}, AS_OF)
    with pytest.raises(InvalidExposureError):
        RiskInputs(sample, {"A": 1.0}, AS_OF, cash=amount)
    with pytest.raises(InvalidExposureError):
        UnmodelledPosition("A", Status.EXCLUDED, "Odd.", amount)


def test_contradictions_are_refused(sample: Sample) -> None:
    with pytest.raises(InvalidExposureError, match="too"):
        RiskInputs(sample, {"A": 1.0}, AS_OF, unmodelled=[UnmodelledPosition("A", Status.PENDING, "Wait.")])
    with pytest.raises(InvalidExposureError, match="modelled"):
        UnmodelledPosition("A", Status.MODELLED, "No.")
    with pytest.raises(InvalidRiskSettingsError):
        RiskSettings(confidence=0.5)


def test_a_failure_without_a_message_says_its_docstring() -> None:
    assert str(TailwatchError()) == "Something went wrong."
    assert str(InvalidExposureError()) == "A market value or cash amount is not a finite number."
