"""Why the figures of a snapshot differ from those of the one before, as JSON ready to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson

from tailwatch.measurement import inputs, series
from tailwatch.measurement.holding import Holding, is_valued, market_value
from tailwatch.measurement.previous import Market, Previous
from tailwatch.risk import CovarianceEstimator, Method, RiskSettings, Sample
from tailwatch.risk.explain import (
    FIGURES,
    NO_RISK,
    ORDER,
    Book,
    Case,
    Change,
    Explanation,
    Standing,
    explain,
    explain_trades,
    sentence,
    standings,
    to_json_dict,
)
from tailwatch.risk.results import HeadlineFigures

if TYPE_CHECKING:
    from tailwatch.measurement.loading import Loaded

FIRST: Final = "This is the portfolio's first snapshot."
NO_INPUTS: Final = (
    "The snapshot before was made by a version that did not keep what it was computed from: "
    "the causes cannot be told."
)


def answer(loaded: Loaded, current: Standing, sample: Sample, settings: RiskSettings, now: datetime) -> bytes:
    """Return the answer of `GET …/risk/explain` but for the id of the snapshot, which is not known yet.

    Args:
        loaded: The portfolio, with its snapshot before.
        current: This snapshot's figures.
        sample: That they were measured on.
        settings: That they were measured by.
        now: When this snapshot was computed.
    """
    previous = loaded.previous
    content: dict[str, Any] = {"figures": {}, "amounts": {}}
    said = FIRST
    warnings: list[tuple[str, str]] = []
    if previous is not None:
        explanation, warnings = explained(loaded, previous, current, sample, settings)
        content = to_json_dict(explanation)
        said = sentence(explanation, settings, loaded.base_currency)
    return orjson.dumps(
        {
            "previous_snapshot_id": None if previous is None else previous.snapshot_id,
            "from": None if previous is None else previous.computed_at,
            "to": now,
            "base_currency": loaded.base_currency,
            "order": ORDER,
            **content,
            "sentence": said,
            "warnings": [{"code": code, "message": message} for code, message in warnings],
        },
        option=orjson.OPT_UTC_Z,
    )


def explained(
    loaded: Loaded, previous: Previous, current: Standing, sample: Sample, settings: RiskSettings
) -> tuple[Explanation, list[tuple[str, str]]]:
    """Return the change since `previous` with what a reader of it must know, as codes and sentences."""
    stored, currency = stored_standing(previous), loaded.base_currency
    if previous.base_currency != currency:
        return _side_by_side(stored, current), [
            ("base_currency", f"The snapshot before is in {previous.base_currency}: the causes cannot be told.")
        ]
    if previous.inputs is None:
        return _side_by_side(stored, current), [("no_inputs", NO_INPUTS)]
    then, then_window = _settings_of(previous.inputs)
    warnings = []
    if (then, then_window) != (settings, loaded.window):
        warnings.append(("settings", "The risk settings were changed; what that did is among the trades."))
    market = previous.market
    if market is None:
        return explain_trades(stored, current), warnings
    if previous.inputs["code"] != inputs.code():
        warnings.append(
            ("code", "The snapshot before was made by another version; what that did is among the corrections.")
        )
    if previous.inputs["model"] != loaded.model.digest:
        warnings.append(
            (
                "model",
                "The snapshot before was made with another volatility model; what that did is among the corrections.",
            )
        )
    (restated,) = standings(
        [
            (
                book_of(market.previous, inputs.cash_of(previous.inputs)),
                _sample(market, market.previous, loaded, then_window, market.benchmark),
                then,
            )
        ]
    )
    explanation = explain(
        Case(
            stored,
            current,
            restated=restated,
            traded=book_of(market.current, loaded.cash),
            now=book_of(loaded.holdings, loaded.cash),
            before=_sample(market, market.current, loaded, loaded.window, loaded.benchmark),
            after=sample,
            settings=settings,
        )
    )
    return explanation, warnings


def stored_standing(previous: Previous) -> Standing:
    """Return the figures of a stored snapshot: in currency they are the stored fractions of its NAV."""
    nav = float(previous.nav)
    empty = previous.inputs is not None and not previous.inputs["positions"]
    amounts = {name: None if value is None else value * nav for name, value in asdict(previous.fractions).items()}
    return Standing(nav, NO_RISK if empty else HeadlineFigures(**amounts), previous.fractions)


def book_of(holdings: Iterable[Holding], cash: Decimal | None) -> Book:
    """Return the values of the positions that have one, and the cash in base currency."""
    return Book({one.ticker: float(market_value(one)) for one in holdings if is_valued(one)}, float(cash or 0))


def _sample(
    market: Market, holdings: Iterable[Holding], loaded: Loaded, window: int, benchmark: Holding | None
) -> Sample:
    """Return the sample of these positions as it would have been made on the day of the previous snapshot."""
    known = market.histories
    valued = [one.instrument_id for one in holdings if is_valued(one)]
    return series.aligned(
        [known[each] for each in valued if each in known],
        known.get(benchmark.instrument_id) if benchmark else None,
        window,
        loaded.model,
        until=market.day,
    )


def _settings_of(content: Mapping[str, Any]) -> tuple[RiskSettings, int]:
    parameters = content["parameters"]
    settings = RiskSettings(
        Method(parameters["method"]),
        float(parameters["confidence"]) / 100,
        CovarianceEstimator(parameters["covariance"]),
    )
    return settings, int(parameters["window"])


def _side_by_side(previous: Standing, current: Standing) -> Explanation:
    """Return both without causes."""

    def without_causes(before: HeadlineFigures, after: HeadlineFigures) -> dict[str, Change]:
        return {name: Change(getattr(before, name), getattr(after, name), None) for name in FIGURES}

    return Explanation(
        Change(previous.nav, current.nav, None),
        without_causes(previous.fractions, current.fractions),
        without_causes(previous.amounts, current.amounts),
    )
