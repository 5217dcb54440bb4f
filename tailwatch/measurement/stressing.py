"""The stress of measured portfolios, as JSON ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from tailwatch.measurement import episodes, shared
from tailwatch.risk import RiskInputs, RiskReport, Sample
from tailwatch.risk.episodes import EpisodeReturns
from tailwatch.risk.stress import StressReport, stress_all, to_json_dict

if TYPE_CHECKING:
    from tailwatch.measurement.loading import Loaded


def answers(measured: Sequence[tuple[Loaded, RiskInputs, RiskReport]]) -> list[bytes | None]:
    """Return the answers of `GET …/risk/stress` but for the ids of the snapshots, which are not known yet.

    Args:
        measured: Each portfolio, with its prices in the episodes, what it was measured from and its measurement.

    Returns:
        In the same order; None for a portfolio without prices in the episodes.
    """
    alike: dict[int, list[int]] = {}
    for place, (loaded, inputs, _) in enumerate(measured):
        if loaded.episodes is not None:
            alike.setdefault(id(inputs.sample), []).append(place)
    found: dict[int, bytes] = {}
    for places in alike.values():
        loaded, inputs, _ = measured[places[0]]
        returns = _returns(loaded, inputs.sample)
        reports = stress_all([measured[one][1] for one in places], [measured[one][2] for one in places], returns)
        found |= {place: _answer(*measured[place], one) for place, one in zip(places, reports, strict=True)}
    return [found.get(place) for place in range(len(measured))]


def _returns(loaded: Loaded, sample: Sample) -> tuple[EpisodeReturns, ...]:
    """Return what the instruments of a portfolio's sample did in the episodes."""
    if loaded.shared is not None:
        return shared.episodes_of(sample) or ()
    held = {one.ticker: loaded.histories.get(one.instrument_id) for one in loaded.holdings}
    return episodes.returns_of(
        [history for ticker in sample.tickers if (history := held[ticker]) is not None],
        loaded.histories.get(loaded.benchmark.instrument_id) if loaded.benchmark else None,
        loaded.episodes or {},
    )


def _answer(loaded: Loaded, inputs: RiskInputs, report: RiskReport, stress: StressReport) -> bytes:
    head = {"as_of": inputs.as_of, "base_currency": loaded.base_currency, "nav": report.nav}
    return orjson.dumps(head | to_json_dict(stress))
