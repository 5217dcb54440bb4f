"""What stands beside the headline figures: their intervals, and how far the methods are apart."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tailwatch.risk import CONFIDENCES, Method, RiskInputs, RiskReport, RiskSettings, align, measure, to_json_dict
from tailwatch.risk.methods import student_t_multiples
from tailwatch.risk.results import TailFigures
from tests.support.risk_samples import books, random_series, sample_of, weekdays

FIGURES = [one.name for one in fields(TailFigures)]


def report(returns: np.ndarray, values: np.ndarray, method: Method = Method.FILTERED) -> RiskReport:
    sample = sample_of(returns)
    as_of: date = sample.sessions[-1].astype(object)
    held = dict(zip(sample.tickers, values.tolist(), strict=True))
    return measure(RiskInputs(sample, held, as_of, RiskSettings(method)))


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_student_t_multiples_are_those_of_the_distribution(confidence: float) -> None:
    loss = stats.t(6, scale=(4 / 6) ** 0.5)
    quantile = loss.ppf(confidence)
    beyond = loss.expect(lambda x: x, lb=quantile) / (1 - confidence)
    assert loss.std() == pytest.approx(1)
    assert student_t_multiples(confidence) == pytest.approx((quantile, beyond), rel=1e-9)


@given(book=books(), method=st.sampled_from(Method))
def test_an_interval_holds_its_figure(book: tuple[np.ndarray, np.ndarray], method: Method) -> None:
    measured = report(*book, method)
    assert measured.intervals is not None
    for name in FIGURES:
        figure, interval = getattr(measured.amounts, name), measured.intervals.amounts[name]
        slack = 1e-9 * abs(figure)
        assert interval.low is None or interval.low <= figure + slack
        assert interval.high is None or interval.high >= figure - slack
        if measured.intervals.fractions is not None:
            of_nav = measured.intervals.fractions[name]
            for share, amount in ((of_nav.low, interval.low), (of_nav.high, interval.high)):
                assert (share is None) == (amount is None)
                assert share is None or share * measured.nav == pytest.approx(amount, rel=1e-9)


@pytest.mark.parametrize("method", list(Method))
def test_the_methods_that_lie_furthest_apart_are_named(method: Method) -> None:
    returns = np.random.default_rng(4).standard_t(3, (600, 4)) * 0.01
    measured = report(returns, np.array([400.0, 300.0, 200.0, -100.0]), method)
    assert measured.disagreement is not None
    for name in FIGURES:
        one = measured.disagreement[name]
        figures = {each: getattr(measured.methods[each].fractions, name) for each in Method}
        assert (one.low, one.high) == (min(figures.values()), max(figures.values()))
        assert (figures[one.low_method], figures[one.high_method]) == (one.low, one.high)
        assert one.spread == pytest.approx((one.high - one.low) / getattr(measured.fractions, name))


def test_without_a_usable_nav_there_are_amounts_only() -> None:
    returns = np.random.default_rng(5).normal(0, 0.01, (600, 2))
    body = to_json_dict(report(returns, np.array([100.0, -200.0])))
    assert body["disagreement"] is None
    for name in FIGURES:
        assert body["intervals"][name] is None
        assert body["intervals"]["amounts"][name]["low"] < body["amounts"][name]


def test_a_perfect_hedge_is_no_bet() -> None:
    base = np.random.default_rng(6).normal(0, 0.01, (600, 1))
    rest = np.random.default_rng(7).normal(0, 0.01, (600, 3))
    measured = report(np.hstack([base, base, rest]), np.array([300.0, -300.0, 0.0, 0.0, 0.0]))
    assert measured.concentration is not None
    assert measured.concentration.effective_bets is None


@pytest.mark.parametrize(
    ("method", "thin"), [(Method.FILTERED, False), (Method.HISTORICAL, True), (Method.COVARIANCE, False)]
)
def test_a_thin_tail_is_that_of_the_headlines_own_outcomes(method: Method, thin: bool) -> None:
    sample = align([random_series("A", 700, 1)], window=60)
    measured = measure(RiskInputs(sample, {"A": 1.0}, weekdays(700)[-1].astype(object), RiskSettings(method)))
    assert ("thin_tail" in {one.code for one in measured.warnings}) is thin
    assert measured.coverage.observations == (699 if method is Method.FILTERED else 60)
