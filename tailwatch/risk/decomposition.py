"""Risk added up by anything positions have in common, and the number of independent bets behind a portfolio."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tailwatch.risk.arrays import Matrix, Values, Vector
from tailwatch.risk.results import PositionRisk, RiskGroup


def by_label(positions: Sequence[PositionRisk], labels: Mapping[str, str]) -> tuple[RiskGroup, ...]:
    """Return the positions' figures added up by label, largest gross value first.

    Components add up to the portfolio's as those of the positions do. A sum is None where no member has the figure.

    Args:
        positions: Of one portfolio.
        labels: Label by ticker; positions without one are taken together under None.
    """
    members: dict[str | None, list[PositionRisk]] = {}
    for one in positions:
        members.setdefault(labels.get(one.ticker), []).append(one)
    gross = {label: math.fsum(abs(one.market_value or 0.0) for one in group) for label, group in members.items()}
    return tuple(
        RiskGroup(
            label=label,
            market_value=_sum([one.market_value for one in members[label]]),
            weight=_sum([one.weight for one in members[label]]),
            component_volatility=_sum([one.component_volatility for one in members[label]]),
            component_var_95=_sum([one.component_var_95 for one in members[label]]),
            component_es_975=_sum([one.component_es_975 for one in members[label]]),
            positions=len(members[label]),
        )
        for label in sorted(members, key=lambda label: (-gross[label], label is None, label or ""))
    )


def _sum(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return math.fsum(known) if known else None


def effective_bets(values: Matrix, components: Values, variances: Matrix) -> Vector:
    """Return (P,) the effective number of uncorrelated bets: exp of the entropy of principal components' risk shares.

    Meucci (2009), Managing diversification, Risk 22. 1: all variance is of one component; n: of n ones alike. NaN
    where a portfolio has no variance.

    Args:
        values: (P, n) signed market values.
        components: (P, n, K) orthonormal principal components of the covariance; (1, n, K): of all of them.
        variances: (P, K) of the components, daily; or (1, K).
    """
    shares = np.matmul(values[:, None, :], components)[:, 0, :] ** 2 * variances
    total = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    found: Vector = np.where(total[:, 0] > 0, np.exp(-(shares * logarithms).sum(axis=1)), np.nan)
    return found
