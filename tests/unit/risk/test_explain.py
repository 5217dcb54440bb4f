"""Why the figures moved: exact sums, and each kind of change under its own cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.risk import CovarianceEstimator, Method, RiskInputs, RiskSettings, Sample, measure
from tailwatch.risk.explain import (
    FIGURES,
    NO_RISK,
    ORDER,
    Book,
    Case,
    Change,
    Explanation,
    Standing,
    attribute,
    explain,
    explain_trades,
    sentence,
    standings,
    to_json_dict,
)
from tailwatch.risk.results import HeadlineFigures
from tests.support.risk_samples import sample_of

NAMES = 4
SETTINGS = [
    RiskSettings(method, covariance=covariance) for method in Method for covariance in (*CovarianceEstimator,)
]
values = st.lists(st.floats(-1e5, 1e5).filter(lambda v: abs(v) > 1), min_size=NAMES, max_size=NAMES)
seeds = st.integers(0, 2**32 - 1)


def history(seed: int, days: int = 320) -> Sample:
    random = np.random.default_rng(seed)
    common = random.standard_t(5, (days, 1)) * 0.006
    return sample_of(common + random.standard_t(5, (days, NAMES)) * random.uniform(0.002, 0.02, NAMES))


def book(amounts: list[float], extra: float = 5e5) -> Book:
    # Something without history keeps NAV usable, whatever is short.
    return Book({**{f"A{number}": amount for number, amount in enumerate(amounts)}, "CASHLIKE": extra})


def standing(positions: Book, sample: Sample, settings: RiskSettings) -> Standing:
    return standings([(positions, sample, settings)])[0]


def measured(positions: Book, sample: Sample, settings: RiskSettings) -> Standing:
    report = measure(RiskInputs(sample, positions.values, date(2022, 12, 28), settings))
    return Standing(report.nav, report.amounts, report.fractions)


def taken_apart(books: tuple[Book, Book, Book], before: Sample, after: Sample, settings: RiskSettings) -> Explanation:
    """An explanation without corrections: of positions then, traded at the old prices, and at the new ones."""
    then, traded, now = books
    return explain(
        Case(
            standing(then, before, settings),
            standing(now, after, settings),
            restated=standing(then, before, settings),
            traded=traded,
            now=now,
            before=before,
            after=after,
            settings=settings,
        )
    )


def all_changes(explanation: Explanation) -> list[Change]:
    return [explanation.nav, *explanation.fractions.values(), *explanation.amounts.values()]


def parts(change: Change) -> Mapping[str, float]:
    assert change.parts is not None
    return change.parts


def assert_close(found: float, wanted: float, size: float) -> None:
    assert found == pytest.approx(wanted, abs=1e-9 * (abs(size) + 1e-12))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_step_has_the_figures_of_a_measurement(settings: RiskSettings) -> None:
    sample, positions = history(1), book([5e4, -2e4, 3e4, 1e4])
    wanted, found = measured(positions, sample, settings), standing(positions, sample, settings)
    assert found.nav == wanted.nav
    for name in FIGURES:
        assert getattr(found.amounts, name) == pytest.approx(getattr(wanted.amounts, name), rel=1e-12)
        assert getattr(found.fractions, name) == pytest.approx(getattr(wanted.fractions, name), rel=1e-12)


@given(st.tuples(values, values, values), seeds, seeds, st.sampled_from(SETTINGS))
def test_the_parts_add_up_to_the_change(
    books: tuple[list[float], list[float], list[float]], old: int, new: int, settings: RiskSettings
) -> None:
    found = taken_apart((book(books[0]), book(books[1]), book(books[2])), history(old), history(new), settings)
    for change in all_changes(found):
        assert change.change is not None
        assert list(parts(change)) == list(ORDER)
        scale = max(1.0, abs(change.previous or 0.0), abs(change.current or 0.0), *map(abs, parts(change).values()))
        assert sum(parts(change).values()) == pytest.approx(change.change, abs=1e-12 * scale)


@given(values, seeds, st.sampled_from(SETTINGS))
def test_where_nothing_changed_there_is_nothing_to_explain(
    amounts: list[float], seed: int, settings: RiskSettings
) -> None:
    sample, positions = history(seed), book(amounts)
    found = taken_apart((positions, positions, positions), sample, sample, settings)
    for change in all_changes(found):
        for part in parts(change).values():
            assert_close(part, 0.0, change.current or 0.0)


@given(values, values, seeds, st.sampled_from(SETTINGS))
def test_trades_alone_are_trades_alone(
    then: list[float], now: list[float], seed: int, settings: RiskSettings
) -> None:
    sample = history(seed)
    found = taken_apart((book(then), book(now), book(now)), sample, sample, settings)
    short_cut = explain_trades(standing(book(then), sample, settings), standing(book(now), sample, settings))
    for change, at_once in zip(all_changes(found), all_changes(short_cut), strict=True):
        size = max(abs(change.previous or 0.0), abs(change.current or 0.0))
        for cause, part in parts(change).items():
            assert_close(part, (change.change or 0.0) if cause == "trades" else 0.0, size)
        assert {cause for cause, part in parts(at_once).items() if part} <= {"trades"}


@given(values, seeds, st.floats(0.5, 2.0), st.sampled_from(SETTINGS))
def test_prices_alone_are_prices_alone(
    amounts: list[float], seed: int, factor: float, settings: RiskSettings
) -> None:
    sample = history(seed)
    now = book([amount * factor for amount in amounts], extra=5e5 * factor)
    found = taken_apart((book(amounts), book(amounts), now), sample, sample, settings)
    for name, change in found.amounts.items():
        size = change.current or 0.0
        for cause, part in parts(change).items():
            assert_close(part, (change.change or 0.0) if cause == "prices" else 0.0, size)
        # Twice the size in everything is twice the risk, and the same fraction of it.
        assert_close(found.fractions[name].change or 0.0, 0.0, 1.0)


@given(values, seeds, st.floats(0.3, 3.0), st.sampled_from(Method))
def test_a_market_that_is_only_wilder_is_volatility_alone(
    amounts: list[float], seed: int, factor: float, method: Method
) -> None:
    before = history(seed)
    after = sample_of(before.returns * factor)
    found = taken_apart((book(amounts), book(amounts), book(amounts)), before, after, RiskSettings(method))
    for change in found.amounts.values():
        size = max(abs(change.previous or 0.0), abs(change.current or 0.0))
        for cause, part in parts(change).items():
            assert_close(part, (change.change or 0.0) if cause == "volatility" else 0.0, size)


def test_instruments_that_move_together_more_are_correlation() -> None:
    random = np.random.default_rng(3)
    alone = random.normal(0, 0.01, (400, NAMES))
    together = alone[:, [0]] + 0.01 * alone
    before, after = (sample_of(r / r.std(axis=0, ddof=1) * 0.01) for r in (alone, together))
    positions = book([1e4] * NAMES)
    found = taken_apart((positions, positions, positions), before, after, RiskSettings(Method.COVARIANCE))
    change = found.amounts["annualized_volatility"]
    assert parts(change)["volatility"] == pytest.approx(0.0, abs=1e-6)
    # Four independent ones have half the volatility of four that are one.
    assert parts(change)["correlation"] == pytest.approx(change.current / 2 if change.current else 0, rel=0.1)


def test_restated_prices_are_corrections() -> None:
    sample, settings, then, restated = history(5), RiskSettings(), book([1e4] * 4), book([1.1e4] * 4)
    found = explain(
        Case(
            measured(then, sample, settings),
            measured(restated, sample, settings),
            restated=standing(restated, sample, settings),
            traded=restated,
            now=restated,
            before=sample,
            after=sample,
            settings=settings,
        )
    )
    assert parts(found.nav) == {**dict.fromkeys(ORDER, 0.0), "corrections": pytest.approx(4e3)}
    change = found.amounts["var_99_1d"]
    assert parts(change)["corrections"] == pytest.approx(change.change)


def test_a_new_and_a_closed_name_are_trades() -> None:
    before, after, settings = history(6), history(7), RiskSettings()
    then, now = Book({"A0": 1e4, "A1": 1e4}), Book({"A1": 1e4, "A2": 3e4})
    found = taken_apart((then, now, now), before, after, settings)
    assert parts(found.nav)["trades"] == 2e4
    wanted = standing(now, before, settings).amounts.var_95_1d
    assert parts(found.amounts["var_95_1d"])["trades"] == pytest.approx(
        (wanted or 0) - (standing(then, before, settings).amounts.var_95_1d or 0)
    )


def test_from_nothing_all_of_it_is_trades() -> None:
    sample, settings, now = history(8), RiskSettings(), book([1e4] * 4)
    nothing = Standing(0.0, NO_RISK, HeadlineFigures())
    found = explain(
        Case(
            nothing,
            measured(now, sample, settings),
            restated=standing(Book({}), sample, settings),
            traded=now,
            now=now,
            before=sample,
            after=sample,
            settings=settings,
        )
    )
    change = found.amounts["var_95_1d"]
    assert parts(change)["trades"] == pytest.approx(change.current)
    # A share of nothing does not exist, so there is no change of it.
    assert found.fractions["var_95_1d"].parts is None
    assert found.fractions["var_95_1d"].change is None


def test_a_net_asset_value_that_is_no_measure_leaves_currency() -> None:
    sample, settings = history(9), RiskSettings()
    then, now = Book({"A0": 1e4}), Book({"A0": 1e4, "A1": -1e4})
    found = taken_apart((then, now, now), sample, sample, settings)
    assert found.fractions["var_95_1d"].parts is None
    assert parts(found.amounts["var_95_1d"])["trades"] != 0


def test_without_any_history_nothing_is_claimed() -> None:
    empty, sample, settings = sample_of(np.empty((0, 0))), history(10), RiskSettings()
    found = taken_apart((book([1e4] * 4),) * 3, empty, sample, settings)
    assert found.amounts["var_95_1d"].parts is None
    assert found.nav.parts == dict.fromkeys(ORDER, 0.0)


def steps(*amounts: float, nav: float = 25_000.0) -> list[Standing]:
    return [
        Standing(
            nav, replace(NO_RISK, var_95_1d=amount), HeadlineFigures(**{**asdict(NO_RISK), "var_95_1d": amount / nav})
        )
        for amount in amounts
    ]


def test_the_sentence_tells_the_causes_in_their_order() -> None:
    moved = attribute(steps(500, 500, 930, 930, 1050, 1012))
    assert sentence(moved, RiskSettings(), "USD") == (
        "VaR 95 rose by $512 (2.00 % → 4.05 %): +$430 trades, +$120 volatility, −$38.00 correlation."
    )
    assert sentence(attribute(steps(500, 500, 400, 400, 400, 400)), RiskSettings(), "CHF") == (
        "VaR 95 fell by CHF 100 (2.00 % → 1.60 %): −CHF 100 trades."
    )
    still = attribute(steps(*[500.0] * 6))
    assert sentence(still, RiskSettings(), "EUR") == "VaR 95 is unchanged at €500 (2.00 % → 2.00 %)."
    nothing = attribute([Standing(0.0, HeadlineFigures(), HeadlineFigures())] * 6)
    said = sentence(nothing, RiskSettings(confidence=0.975), "USD")
    assert said == "There is no VaR 97.5 to compare with the one before."


def test_the_json_form_has_every_figure() -> None:
    found = to_json_dict(attribute(steps(500, 510, 930, 930, 1050, 1012)))
    assert found["figures"].keys() == {*FIGURES, "nav"}
    assert found["amounts"].keys() == set(FIGURES)
    var = found["amounts"]["var_95_1d"]
    assert var["unit"] == "currency"
    assert var["previous"] == 500
    assert var["change"] == 512
    assert var["parts"] == {"corrections": 10, "trades": 420, "prices": 0, "volatility": 120, "correlation": -38}
    assert found["figures"]["nav"]["unit"] == "currency"
