"""The snapshot that the worker stores is the one that the OpenAPI document describes, member for member."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from flask import Flask
from sqlalchemy import Engine, insert, text

from api.specification import COMMITTED
from tailwatch.db.models import Instrument, PriceBar
from tailwatch.db.session import transaction
from tests.integration.api.conftest import app  # noqa: F401 - a fixture
from tests.integration.api.support import Caller
from worker.tasks.risk import bring_up_to_date


def closed(schema: Any) -> Any:
    """Return `schema` with every object closed, so that a member it does not name is found."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(part) for name, part in schema.items()}
    return inner | {"additionalProperties": False} if "properties" in schema else inner


@pytest.fixture(scope="module")
def validator() -> Any:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    schemas = closed(document["components"]["schemas"])
    return jsonschema_rs.validator_for(
        {"$ref": "#/components/schemas/Risk", "components": {"schemas": schemas}}, validate_formats=True
    )


def store_history(engine: Engine, ticker: str, seed: int, sessions: int) -> None:
    returns = np.random.default_rng(seed).normal(0.0, 0.01, sessions)
    closes = 100 * np.cumprod(1 + returns)
    with transaction(engine) as session:
        instrument = session.query(Instrument).filter_by(ticker=ticker).one()
        instrument.status, instrument.currency, instrument.market_revision = "ok", "USD", seed
        session.execute(
            insert(PriceBar),
            [
                {
                    "instrument_id": instrument.id,
                    "day": date(2022, 1, 1) + timedelta(days=number),
                    "close": Decimal(f"{close:.4f}"),
                    "adjusted_close": Decimal(f"{close:.4f}"),
                    "source": "sample",
                }
                for number, close in enumerate(closes)
            ],
        )


@pytest.fixture
def ada(app: Flask, engine: Engine) -> Caller:  # noqa: F811 - the fixture
    return Caller(app, engine, "ada@example.org")


def served(ada: Caller, portfolio_id: int) -> dict[str, Any]:
    return dict(json.loads(ada.get(f"/api/portfolios/{portfolio_id}/risk").data))


def test_a_portfolio_without_a_snapshot(ada: Caller, validator: Any) -> None:
    validator.validate(served(ada, ada.portfolio()))


def test_a_computed_portfolio(ada: Caller, engine: Engine, validator: Any) -> None:
    portfolio_id = ada.portfolio(benchmark="MKT")
    for ticker, quantity in (("AAA", "10"), ("BBB", "-3.5"), ("NEW", "5"), ("NONE", "1")):
        ada.trade(portfolio_id, ticker=ticker, quantity=quantity)
    for seed, (ticker, sessions) in enumerate((("AAA", 600), ("BBB", 600), ("NEW", 100), ("MKT", 600)), start=1):
        store_history(engine, ticker, seed, sessions)
    bring_up_to_date(engine, [portfolio_id])
    risk = served(ada, portfolio_id)
    validator.validate(risk)
    assert risk["revision"] == risk["wanted_revision"] == 4
    assert risk["state"] == "computing"  # NONE still waits for its first prices
    assert risk["annualized_volatility"] > 0
    assert {position["ticker"] for position in risk["positions"]} == {"AAA", "BBB", "NEW", "NONE"}


def test_a_snapshot_of_before_the_risk_engine_is_still_served(ada: Caller, engine: Engine, validator: Any) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="AAA")
    store_history(engine, "AAA", 1, 600)
    bring_up_to_date(engine, [portfolio_id])
    new = {"intervals", "disagreement", "by_currency", "by_label"}
    with transaction(engine) as session:
        body = json.loads(bytes(session.execute(text("SELECT body FROM risk_snapshots")).scalar_one()))
        body = {name: member for name, member in body.items() if name not in new}
        del body["concentration"]["effective_bets"], body["methods"]["student_t"], body["methods"]["filtered"]
        body["method"] = "historical"
        session.execute(text("UPDATE risk_snapshots SET body = :body"), {"body": json.dumps(body).encode()})
    risk = served(ada, portfolio_id)
    validator.validate(risk)
    assert not new & risk.keys()
    assert risk["var_95_1d"] == body["var_95_1d"]


def test_a_portfolio_that_owes_more_than_it_owns(ada: Caller, engine: Engine, validator: Any) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="AAA", quantity="-5")
    store_history(engine, "AAA", 1, 600)
    bring_up_to_date(engine, [portfolio_id])
    risk = served(ada, portfolio_id)
    validator.validate(risk)
    assert risk["intervals"]["var_95_1d"] is None
    assert risk["intervals"]["amounts"]["var_95_1d"]["low"] > 0
    assert risk["disagreement"] is None


def test_a_portfolio_of_nothing_but_pending_positions(ada: Caller, engine: Engine, validator: Any) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id, ticker="NONE")
    bring_up_to_date(engine, [portfolio_id])
    risk = served(ada, portfolio_id)
    validator.validate(risk)
    assert risk["snapshot_id"] is not None
    assert risk["annualized_volatility"] is None


def test_a_failed_computation(ada: Caller, engine: Engine, validator: Any) -> None:
    portfolio_id = ada.portfolio()
    ada.trade(portfolio_id)
    with transaction(engine) as session:
        session.execute(
            text("UPDATE portfolios SET failure_reason = 'x', failed_revision = revision, next_attempt_at = :at"),
            {"at": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)},
        )
    answer = ada.get(f"/api/portfolios/{portfolio_id}/risk")
    risk = json.loads(answer.data)
    validator.validate(risk)
    assert risk["state"] == "failed"
    assert risk["failure"]["next_attempt_at"] == "2026-01-02T03:04:05.000678Z"
    assert " " not in answer.headers["ETag"]
