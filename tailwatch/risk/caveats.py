"""What the reader should know about the figures: a stable code and a sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from tailwatch.risk.covariance import NO_MOVEMENT
from tailwatch.risk.coverage import Exposure, Holding
from tailwatch.risk.methods import scenarios_for
from tailwatch.risk.results import Caveat, Coverage
from tailwatch.risk.tail import tail_probability
from tailwatch.risk.types import CONFIDENCES, Method, RiskInputs, Sample, Status

#: Beyond this ratio of gross exposure to NAV a fraction of NAV says nothing.
LARGEST_LEVERAGE: Final = 20
#: Calendar days after the session whose price is missing, in which other markets may be ahead: a weekend and a day.
OLD_DUE_DAYS: Final = 3
#: Where no calendar tells that session: calendar days after the newest price, more than any usual run of holidays.
OLD_PRICE_DAYS: Final = 7

_SENTENCES: Final = {
    Status.PENDING: "Prices are being fetched for {}; their risk is not in the figures yet.",
    Status.UNKNOWN: "No price source knows {}; their risk is not in the figures.",
    Status.EXCLUDED: "The risk of {} is not in the figures; coverage says why.",
    Status.PROXIED: "Part of the history is made of stand-ins for {}; coverage says how.",
}


#: The fall of a value path that touches zero is no fraction of anything.
NO_DRAWDOWN: Final = Caveat(
    "drawdown", "The value path over the window does not stay positive: it has no drawdown in percent."
)


def unusable_nav(exposure: Exposure) -> Caveat | None:
    """Return why fractions of NAV say nothing, or None where they do or where no position has a value."""
    if not exposure.gross:
        return None
    if exposure.nav <= 0:
        return Caveat("nav_not_positive", "Net asset value is not positive: figures are in currency only.")
    if exposure.gross > LARGEST_LEVERAGE * exposure.nav:
        return Caveat(
            "leverage",
            f"Gross exposure is more than {LARGEST_LEVERAGE} times net asset value: figures are in currency only.",
        )
    return None


def caveats(inputs: RiskInputs, exposure: Exposure, covered: Coverage) -> list[Caveat]:
    """Return what the reader should know whatever the figures come out as, the most weighty first."""
    found = []
    if not exposure.holdings:
        found.append(Caveat("empty", "The portfolio holds no position."))
    elif not exposure.tickers:
        found.append(Caveat("nothing_modelled", "No position has enough price history: there are no risk figures."))
    found += _coverage_caveats(exposure.holdings, covered, inputs)
    if exposure.tickers:
        found += _sample_caveats(inputs.sample, exposure, inputs.settings.method)
    return found


def _sample_caveats(sample: Sample, exposure: Exposure, method: Method) -> list[Caveat]:
    days, found = len(sample.returns), []
    if method is Method.FILTERED and sample.filtered_fallback is not None:
        found.append(Caveat("ewma_scaling", sample.filtered_fallback))
    if days < sample.window:
        found.append(
            Caveat("short_window", f"The figures rest on {days} daily returns; the window asks for {sample.window}.")
        )
    if method in {Method.HISTORICAL, Method.FILTERED}:
        outcomes = len(scenarios_for(method, sample))
        if (outcomes + 1) * tail_probability(CONFIDENCES[-1]) < 1:
            found.append(
                Caveat("thin_tail", f"With {outcomes} daily returns the 99 % VaR and ES are the single worst day.")
            )
    if sample.benchmark_reason is not None:
        found.append(Caveat("benchmark", f"No betas: {sample.benchmark_reason}"))
    elif sample.benchmark is not None and sample.beta_weights is None:
        found.append(Caveat("benchmark", f"No betas: {sample.benchmark.ticker} did not move in the window."))
    unmoved = sample.sample_variances[exposure.columns] < NO_MOVEMENT**2
    if unmoved.any():
        still = [exposure.tickers[row] for row in np.flatnonzero(unmoved)]
        found.append(
            Caveat("never_moved", f"Without a price move in the window, so without correlations: {_listed(still)}.")
        )
    return found


def _coverage_caveats(held: Sequence[Holding], covered: Coverage, inputs: RiskInputs) -> list[Caveat]:
    by_status: dict[Status, list[str]] = {}
    for one in held:
        by_status.setdefault(one.status, []).append(one.ticker)
    found = [
        Caveat(status.value, sentence.format(_listed(by_status[status])))
        for status, sentence in _SENTENCES.items()
        if status in by_status
    ]
    old = [one.ticker for one in held if _is_old(one, inputs)]
    if old:
        found.append(
            Caveat(
                "old_price",
                f"Newer prices than there are should be known on {inputs.as_of} of {_listed(old)}; the oldest is of "
                f"{covered.oldest_price_date}.",
            )
        )
    return found


def _is_old(one: Holding, inputs: RiskInputs) -> bool:
    """Say whether the newest price of a position is so old that one must be missing."""
    if one.price_date is None:
        return False
    due = inputs.due_days.get(one.ticker)
    if due is not None:
        return (inputs.as_of - due).days > OLD_DUE_DAYS
    return (inputs.as_of - one.price_date).days > OLD_PRICE_DAYS


def _listed(tickers: Iterable[str], most: int = 5) -> str:
    """Return "A, B and 3 more"."""
    names = list(tickers)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])
