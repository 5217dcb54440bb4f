"""Why the figures of a snapshot differ from those of the one before, as JSON ready to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from tailwatch.measurement import inputs, series, shared
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
    explain_all,
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


class _Told(NamedTuple):
    """What is said of one portfolio: figures now or, where it has to be computed, what from; and remarks."""

    explanation: Explanation | None
    case: _Open | None = None
    warnings: Sequence[tuple[str, str]] = ()


class _Open(NamedTuple):
    """An explanation that is yet to be computed: the restated positions with their sample and settings."""

    book: Book
    sample: Sample
    settings: RiskSettings


def answers(measured: Sequence[tuple[Loaded, Standing, Sample, RiskSettings]], now: datetime) -> list[bytes]:
    """Return the answers of `GET …/risk/explain` but for the ids of the snapshots, which are not known yet.

    Args:
        measured: Each portfolio, with its snapshot before, this snapshot's figures, and the sample and the settings
            that they were measured by.
        now: When these snapshots were computed.
    """
    told = [_told(*one) for one in measured]
    places = [place for place, one in enumerate(told) if one.case is not None]
    restated = standings([case for one in told if (case := one.case) is not None])
    cases = [_case(*measured[place], standing) for place, standing in zip(places, restated, strict=True)]
    computed = dict(zip(places, explain_all(cases), strict=True))
    return [
        _answer(loaded, settings, computed.get(place, one.explanation), one.warnings, now)
        for place, (one, (loaded, _, _, settings)) in enumerate(zip(told, measured, strict=True))
    ]


def _answer(
    loaded: Loaded,
    settings: RiskSettings,
    explanation: Explanation | None,
    warnings: Sequence[tuple[str, str]],
    now: datetime,
) -> bytes:
    previous = loaded.previous
    content: dict[str, Any] = {"figures": {}, "amounts": {}}
    said = FIRST
    if explanation is not None:
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


def _told(loaded: Loaded, current: Standing, _sample: Sample, settings: RiskSettings) -> _Told:
    """Return the change since the snapshot before, as far as nothing has to be computed for it."""
    previous, currency = loaded.previous, loaded.base_currency
    if previous is None:
        return _Told(None)
    stored = stored_standing(previous)
    if previous.base_currency != currency:
        said = f"The snapshot before is in {previous.base_currency}: the causes cannot be told."
        return _Told(_side_by_side(stored, current), warnings=[("base_currency", said)])
    if previous.inputs is None:
        return _Told(_side_by_side(stored, current), warnings=[("no_inputs", NO_INPUTS)])
    then, then_window = _settings_of(previous.inputs)
    warnings = []
    if (then, then_window) != (settings, loaded.window):
        warnings.append(("settings", "The risk settings were changed; what that did is among the trades."))
    market = previous.market
    if market is None:
        return _Told(explain_trades(stored, current), warnings=warnings)
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
    restated = _Open(
        book_of(market.previous, inputs.cash_of(previous.inputs)),
        _earlier(market, market.previous, loaded, window=then_window, benchmark=market.benchmark, settings=then),
        then,
    )
    return _Told(None, restated, warnings)


def _case(loaded: Loaded, current: Standing, sample: Sample, settings: RiskSettings, restated: Standing) -> Case:
    previous = loaded.previous
    assert previous is not None  # noqa: S101 - for the type checker, and so is the next
    assert previous.market is not None  # noqa: S101
    market = previous.market
    return Case(
        previous=stored_standing(previous),
        current=current,
        restated=restated,
        traded=book_of(market.current, loaded.cash),
        now=book_of(loaded.holdings, loaded.cash),
        before=_earlier(
            market, market.current, loaded, window=loaded.window, benchmark=loaded.benchmark, settings=settings
        ),
        after=sample,
        settings=settings,
    )


def stored_standing(previous: Previous) -> Standing:
    """Return the figures of a stored snapshot: in currency they are the stored fractions of its NAV."""
    nav = float(previous.nav)
    empty = previous.inputs is not None and not previous.inputs["positions"]
    amounts = {name: None if value is None else value * nav for name, value in asdict(previous.fractions).items()}
    return Standing(nav, NO_RISK if empty else HeadlineFigures(**amounts), previous.fractions)


def book_of(holdings: Iterable[Holding], cash: Decimal | None) -> Book:
    """Return the values of the positions that have one, and the cash in base currency."""
    return Book({one.ticker: float(market_value(one)) for one in holdings if is_valued(one)}, float(cash or 0))


def _earlier(
    market: Market,
    holdings: Iterable[Holding],
    loaded: Loaded,
    *,
    window: int,
    benchmark: Holding | None,
    settings: RiskSettings,
) -> Sample:
    """Return the sample of these positions as it would have been made on the day of the previous snapshot."""
    known = market.histories
    histories = [known[one.instrument_id] for one in holdings if is_valued(one) and one.instrument_id in known]
    market_history = known.get(benchmark.instrument_id) if benchmark else None
    # Shrinkage rests on all instruments of a sample: it takes one of the portfolio's own.
    own = loaded.shared is None or settings.covariance is CovarianceEstimator.LEDOIT_WOLF
    if market_history is not None and not own:
        found = shared.find(histories, shared.wish_of(market_history, window, loaded.model, market.day))
        if found is not None:
            return found
    return series.aligned(histories, market_history, window, loaded.model, until=market.day)


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
