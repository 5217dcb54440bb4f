"""Moments against numpy and against their plain recursions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk.covariance import (
    EWMA_LAMBDA,
    beta_weights,
    ewma_covariance,
    ewma_variances,
    ewma_weights,
    sample_covariance,
    sample_variances,
)
from tailwatch.risk.stack import correlations
from tests.support.risk_samples import return_matrices


@given(return_matrices())
def test_sample_moments_are_numpys(returns: np.ndarray) -> None:
    expected = np.atleast_2d(np.cov(returns, rowvar=False, ddof=1))
    np.testing.assert_allclose(sample_covariance(returns), expected, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(sample_variances(returns), np.diag(expected), rtol=1e-9, atol=1e-18)


@given(return_matrices())
def test_ewma_is_its_recursion(returns: np.ndarray) -> None:
    matrix = np.mean([np.outer(row, row) for row in returns[:20]], axis=0)
    for row in returns[20:]:
        matrix = EWMA_LAMBDA * matrix + (1 - EWMA_LAMBDA) * np.outer(row, row)
    np.testing.assert_allclose(ewma_covariance(returns), matrix, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(ewma_variances(returns), np.diag(matrix), rtol=1e-9, atol=1e-18)


@given(st.integers(1, 3000))
def test_ewma_weights_are_an_average(days: int) -> None:
    weights = ewma_weights(days)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights > 0).all()


@given(return_matrices())
def test_covariances_are_positive_semidefinite(returns: np.ndarray) -> None:
    for matrix in (sample_covariance(returns), ewma_covariance(returns)):
        np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-18)
        assert np.linalg.eigvalsh(matrix).min() >= -1e-12 * np.trace(matrix)


@given(return_matrices())
def test_correlation(returns: np.ndarray) -> None:
    (matrix,) = correlations((returns - returns.mean(axis=0)).T[None])
    moved = returns.std(axis=0) > 1e-12
    assert np.isnan(matrix[~moved]).all()
    assert np.isnan(matrix[:, ~moved]).all()
    if not moved.any():
        return
    inner = matrix[np.ix_(moved, moved)]
    np.testing.assert_allclose(inner, np.atleast_2d(np.corrcoef(returns[:, moved], rowvar=False)), atol=1e-9)
    assert (np.diag(inner) == 1).all()
    assert np.abs(inner).max() <= 1
    assert np.linalg.eigvalsh(inner).min() >= -1e-9


def test_beta_is_the_regression_slope_over_known_days() -> None:
    rng = np.random.default_rng(5)
    market, own = rng.normal(0, 0.01, 300), rng.normal(0, 0.01, 300)
    known = rng.random(300) > 0.3
    weights = beta_weights(np.where(known, market, 0.0), known)
    assert weights is not None
    slope = np.polyfit(market[known], own[known], 1)[0]
    assert float(weights @ own) == pytest.approx(slope, rel=1e-9)
    assert float(weights @ market) == pytest.approx(1, rel=1e-9)


def test_a_still_benchmark_has_no_beta() -> None:
    assert beta_weights(np.zeros(100), np.ones(100, dtype=np.bool_)) is None
