"""What other programs make of the same returns: equal to 1e-9 where the convention is the same.

Where it is not, the test names the peer's and computes that. The portfolio is the reference window's
(docs/risk-methods.md) and random ones.
"""

from __future__ import annotations

import warnings
from datetime import date

import numpy as np
import pandas as pd
import pytest
import QuantLib
import quantstats.stats
import riskfolio
import sklearn.covariance
import sklearn.decomposition
from arch.univariate import EWMAVariance
from scipy import stats

from tailwatch.risk import CONFIDENCES, CovarianceEstimator, Method, RiskInputs, RiskSettings, Sample, align, measure
from tailwatch.risk.covariance import ewma_weights, principal_components
from tailwatch.risk.methods import STUDENT_T_FREEDOM, normal_multiples, student_t_multiples
from tailwatch.risk.shrinkage import ledoit_wolf
from tailwatch.risk.tail import Quantile, expected_shortfall, tail_probability, value_at_risk
from tests.reference.test_reference_values import SHARES, read_prices

with warnings.catch_warnings():
    # skfolio warns of optional solvers that are not installed; none is used here.
    warnings.simplefilter("ignore")
    import skfolio.measures


def same(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return align(read_prices(), window=500)


@pytest.fixture(scope="module")
def weights(sample: Sample) -> np.ndarray:
    closes = {series.ticker: float(series.closes[-1]) for series in read_prices()}
    values = np.array([SHARES[ticker] * closes[ticker] for ticker in sample.tickers])
    return values / values.sum()


@pytest.fixture(params=["reference window", "250 days, t4", "731 days, normal"])
def returns(request: pytest.FixtureRequest, sample: Sample, weights: np.ndarray) -> np.ndarray:
    """Return the (T,) returns of a portfolio."""
    rng = np.random.default_rng(17)
    return {
        "reference window": lambda: sample.returns @ weights,
        "250 days, t4": lambda: rng.standard_t(4, 250) * 0.01,
        "731 days, normal": lambda: rng.normal(0.0003, 0.011, 731),
    }[request.param]()


def var(returns: np.ndarray, confidence: float, convention: Quantile) -> float:
    return float(value_at_risk(returns[None, :], confidence, convention)[0])


@pytest.mark.parametrize("confidence", CONFIDENCES)
class TestTail:
    """Quantiles and tail means of the same days."""

    def test_skfolio_takes_the_outcome_above(self, returns: np.ndarray, confidence: float) -> None:
        theirs = skfolio.measures.value_at_risk(returns, beta=confidence)
        ordered = np.sort(returns)
        assert -theirs in ordered
        assert abs(theirs - var(returns, confidence, Quantile.HIGHER)) <= abs(np.diff(-ordered[:60])).max()

    def test_riskfolio_takes_the_outcome_below(self, returns: np.ndarray, confidence: float) -> None:
        alpha = tail_probability(confidence)
        theirs = riskfolio.RiskFunctions.VaR_Hist(returns, alpha=alpha)
        assert theirs == same(-np.sort(returns)[int(np.ceil(alpha * returns.size)) - 1])

    def test_numpy_is_linear(self, returns: np.ndarray, confidence: float) -> None:
        assert -np.quantile(returns, 1 - confidence) == same(var(returns, confidence, Quantile.LINEAR))

    def test_weibull_is_that_of_numpy_and_scipy(self, returns: np.ndarray, confidence: float) -> None:
        ours = var(returns, confidence, Quantile.WEIBULL)
        assert -np.quantile(returns, 1 - confidence, method="weibull") == same(ours)
        assert -stats.mstats.mquantiles(returns, [1 - confidence], alphap=0, betap=0)[0] == same(ours)

    def test_expected_shortfall_is_skfolios_and_riskfolios(self, returns: np.ndarray, confidence: float) -> None:
        ours = float(expected_shortfall(returns[None, :], confidence)[0])
        assert skfolio.measures.cvar(returns, beta=confidence) == same(ours)
        assert riskfolio.RiskFunctions.CVaR_Hist(returns, alpha=tail_probability(confidence)) == same(ours)

    def test_quantlib_takes_an_outcome(self, returns: np.ndarray, confidence: float) -> None:
        statistics = QuantLib.RiskStatistics()
        for value in returns.tolist():
            statistics.add(value)
        theirs = statistics.valueAtRisk(confidence)
        assert np.abs(-np.sort(returns) - theirs).min() < 1e-15
        # At most one outcome from the type 7 rank, whatever the number of days.
        rank = int((-np.sort(returns) > theirs + 1e-15).sum()) + 1
        assert abs(rank - (1 + (returns.size - 1) * (1 - confidence))) <= 1
        # Its shortfall is the plain mean of the outcomes beyond.
        assert statistics.expectedShortfall(confidence) == same(float(-np.sort(returns)[: rank - 1].mean()))

    def test_quantstats_is_normal_with_the_sample_mean(self, returns: np.ndarray, confidence: float) -> None:
        theirs = quantstats.stats.value_at_risk(pd.Series(returns), confidence=confidence, prepare_returns=False)
        z, _ = normal_multiples(confidence)
        assert -theirs == same(z * returns.std(ddof=1) - returns.mean())

    def test_multiples_are_scipys(self, returns: np.ndarray, confidence: float) -> None:  # noqa: ARG002
        alpha = 1 - confidence
        z = stats.norm.ppf(confidence)
        assert normal_multiples(confidence) == (same(z), same(stats.norm.pdf(z) / alpha))
        law = stats.t(STUDENT_T_FREEDOM, scale=np.sqrt((STUDENT_T_FREEDOM - 2) / STUDENT_T_FREEDOM))
        assert law.std() == same(1)
        shortfall = law.expect(lambda x: x, lb=law.ppf(confidence)) / alpha
        assert student_t_multiples(confidence) == (same(law.ppf(confidence)), pytest.approx(shortfall, rel=1e-7))


class TestPaths:
    """Volatility and drawdown."""

    def test_volatility_is_everybodys(self, returns: np.ndarray) -> None:
        annual = float(returns.std(ddof=1)) * 252**0.5
        assert quantstats.stats.volatility(pd.Series(returns), prepare_returns=False) == same(annual)
        assert np.sqrt(skfolio.measures.variance(returns) * 252) == same(annual)
        statistics = QuantLib.RiskStatistics()
        for value in returns.tolist():
            statistics.add(value)
        assert statistics.standardDeviation() * 252**0.5 == same(annual)

    def test_drawdown_of_fixed_shares(self, sample: Sample, weights: np.ndarray) -> None:
        values = dict(zip(sample.tickers, (weights * 1e6).tolist(), strict=True))
        drawdown = measure(RiskInputs(sample, values, date(2022, 12, 28))).drawdown
        closes = np.column_stack([series.closes for series in read_prices()])
        days = pd.DatetimeIndex(read_prices()[0].dates)
        worth = pd.Series(closes @ [SHARES[ticker] for ticker in sample.tickers], index=days)
        assert drawdown is not None
        assert quantstats.stats.max_drawdown(worth) == same(-drawdown.depth)
        assert riskfolio.RiskFunctions.MDD_Rel(worth.pct_change().dropna().to_numpy()) == same(drawdown.depth)

    def test_the_exponential_average_is_archs(self, returns: np.ndarray) -> None:
        # arch starts from a value that it is given: our mean of the first twenty squares.
        model, rest = EWMAVariance(0.94), returns[20:]
        variances = np.empty(rest.size + 1)
        bounds = np.tile([0.0, 1e9], (rest.size + 1, 1))
        model.compute_variance(
            np.array([]), np.append(rest, 0.0), variances, float((returns[:20] ** 2).mean()), bounds
        )
        assert np.sqrt(variances[-1]) == same(float(np.sqrt(returns**2 @ ewma_weights(returns.size))))


class TestMatrices:
    """Covariances, components, shrinkage."""

    def test_shrinkage_is_sklearns(self, sample: Sample) -> None:
        theirs = sklearn.covariance.LedoitWolf().fit(sample.returns)
        ours = ledoit_wolf(sample.returns)
        assert ours.intensity == same(theirs.shrinkage_)
        # sklearn divides by T, we by T−1.
        days = len(sample.returns)
        matrix = (1 - ours.intensity) * np.cov(sample.returns.T) + ours.intensity * ours.variance * np.eye(5)
        np.testing.assert_allclose(matrix, theirs.covariance_ * days / (days - 1), rtol=1e-9)

    def test_principal_components_are_sklearns(self, sample: Sample) -> None:
        theirs = sklearn.decomposition.PCA().fit(sample.returns)
        deviations = (sample.returns - sample.returns.mean(axis=0)).T
        (components,), (variances,) = principal_components(deviations[None])
        np.testing.assert_allclose(variances[::-1], theirs.explained_variance_, rtol=1e-9)
        np.testing.assert_allclose(np.abs(components.T[::-1]), np.abs(theirs.components_), atol=1e-9)

    @pytest.mark.parametrize("estimator", list(CovarianceEstimator))
    def test_components_of_volatility_are_riskfolios(
        self, sample: Sample, weights: np.ndarray, estimator: CovarianceEstimator
    ) -> None:
        if estimator is CovarianceEstimator.SAMPLE:
            matrix = np.cov(sample.returns.T)
        else:
            days = len(sample.returns)
            matrix = sklearn.covariance.ledoit_wolf(sample.returns)[0] * days / (days - 1)
        frame = pd.DataFrame(sample.returns, columns=list(sample.tickers))
        theirs = riskfolio.RiskFunctions.Risk_Contribution(
            pd.DataFrame(weights, index=frame.columns), returns=frame, cov=pd.DataFrame(matrix), rm="MV"
        )
        values = dict(zip(sample.tickers, (weights * 1e6).tolist(), strict=True))
        settings = RiskSettings(Method.COVARIANCE, covariance=estimator)
        ours = measure(RiskInputs(sample, values, date(2022, 12, 28), settings))
        by_ticker = {one.ticker: one.component_volatility for one in ours.positions}
        mine = np.array([by_ticker[ticker] for ticker in sample.tickers]) / 252**0.5
        # Riskfolio's derivatives are finite differences.
        np.testing.assert_allclose(mine, np.ravel(theirs), rtol=1e-4)
