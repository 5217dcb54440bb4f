"""The stress of a measured portfolio, as JSON ready to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tailwatch.measurement import episodes
from tailwatch.risk import RiskInputs, RiskReport
from tailwatch.risk.stress import stress, to_json_dict

if TYPE_CHECKING:
    from tailwatch.measurement.loading import Loaded


def answer(loaded: Loaded, inputs: RiskInputs, report: RiskReport) -> bytes:
    """Return the answer of `GET …/risk/stress` but for the id of the snapshot, which is not known yet.

    Args:
        loaded: The portfolio, with its prices in the episodes.
        inputs: That it was measured from.
        report: Its measurement.
    """
    held = {one.ticker: loaded.histories.get(one.instrument_id) for one in loaded.holdings}
    returns = episodes.returns_of(
        [history for ticker in inputs.sample.tickers if (history := held[ticker]) is not None],
        loaded.histories.get(loaded.benchmark.instrument_id) if loaded.benchmark else None,
        loaded.episodes or {},
    )
    content = to_json_dict(stress(inputs, report, returns))
    return orjson.dumps({"as_of": inputs.as_of, "base_currency": loaded.base_currency, "nav": report.nav, **content})
