"""The JSON form: the contract's field names, plain values, nothing lost."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date

import numpy as np

from tailwatch.risk import Method, RiskInputs, Status, UnmodelledPosition, align, measure, to_json_dict
from tailwatch.risk.results import PositionRisk, RiskReport
from tests.support.risk_samples import random_series, sample_of, weekdays

AS_OF: date = weekdays(700)[-1].astype(object)
TAIL = {"var_95_1d", "es_95_1d", "var_975_1d", "es_975_1d", "var_99_1d", "es_99_1d"}
CONTRACT = {
    "as_of", "nav", "gross", "method", "annualized_volatility", *TAIL, "amounts", "methods", "positions",
    "correlation", "distribution", "drawdown", "beta", "benchmark", "concentration", "coverage", "warnings",
}  # fmt: skip
POSITION = {
    "ticker", "market_value", "weight", "volatility", "beta", "component_volatility", "component_var_95",
    "component_es_975", "marginal_var_95", "status", "reason",
}  # fmt: skip


def full_report() -> RiskReport:
    sample = align(
        [random_series(ticker, 700, seed) for seed, ticker in enumerate("AB")],
        benchmark=random_series("MARKET", 700, 9),
    )
    pending = UnmodelledPosition("NEW", Status.PENDING, "Its price is being fetched.")
    return measure(RiskInputs(sample, {"A": 3000.0, "B": 1000.0}, AS_OF, unmodelled=[pending]))


def test_field_names_are_the_contracts() -> None:
    body = to_json_dict(full_report())
    assert set(body) == CONTRACT | {
        "cash",
        "confidence",
        "window",
        "intervals",
        "disagreement",
        "by_currency",
        "by_label",
    }
    assert set(body["amounts"]) == TAIL | {"annualized_volatility"}
    assert set(body["methods"]) == {"covariance", "student_t", "ewma", "historical", "filtered"}
    for figures in body["methods"].values():
        assert set(figures) == TAIL | {"volatility_1d", "amounts"}
        assert set(figures["amounts"]) == TAIL | {"volatility_1d"}
    for position in body["positions"]:
        assert set(position) == POSITION == {one.name for one in fields(PositionRisk)}
    assert set(body["distribution"]) == {"edges", "counts", "marks"}
    assert set(body["distribution"]["marks"]) == TAIL
    assert set(body["drawdown"]) == {"depth", "from", "to", "recovered"}
    assert set(body["correlation"]) == {"tickers", "matrix", "omitted"}
    assert set(body["coverage"]["oldest_price"]) == {"ticker", "date", "age_days"}


def test_every_report_field_is_in_the_body() -> None:
    body = to_json_dict(full_report())
    for one in fields(RiskReport):
        assert one.name in body or one.name == "fractions", one.name


def test_values_survive_json() -> None:
    report = full_report()
    body = to_json_dict(report)
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert body["var_95_1d"] == report.fractions.var_95_1d
    assert body["amounts"]["es_975_1d"] == report.amounts.es_975_1d
    assert body["methods"]["ewma"]["volatility_1d"] == report.methods[Method.EWMA].fractions.volatility_1d
    assert body["positions"][2]["status"] == "pending"
    assert body["coverage"]["instruments"][0]["reason"] == "Its price is being fetched."
    assert body["warnings"][0]["code"] == "pending"
    assert body["as_of"] == AS_OF.isoformat()


def test_an_empty_report_has_the_same_fields() -> None:
    empty = to_json_dict(measure(RiskInputs(align([]), {}, AS_OF)))
    assert set(empty) == set(to_json_dict(full_report()))
    assert empty["var_95_1d"] is empty["amounts"]["var_95_1d"] is empty["distribution"] is None
    assert (empty["methods"], empty["positions"]) == ({}, [])
    assert empty["coverage"]["oldest_price"] is None
    json.dumps(empty, allow_nan=False)


def test_a_path_that_never_falls_has_no_days() -> None:
    body = to_json_dict(measure(RiskInputs(sample_of(np.full((80, 1), 0.01)), {"A0": 1.0}, AS_OF)))
    assert body["drawdown"] == {"depth": 0.0, "from": None, "to": None, "recovered": None}
