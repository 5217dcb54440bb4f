"""Explanations and backtests over HTTP: sent as stored, to who may see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text

from api.schemas.backtest import Backtest
from api.schemas.explain import Explain
from tailwatch.backtests import jobs
from tests.integration.api.support import Caller, assert_problem
from tests.support.work import newest, snapshot_id, work_off
from worker.tasks import backtest

pytestmark = pytest.mark.usefixtures("worker_process")

PATHS = ("explain", "backtest")


@pytest.fixture
def portfolio_id(ada: Caller, engine: Engine) -> int:
    made = ada.portfolio()
    for ticker in ("AAPL", "XOM"):
        ada.trade(made, ticker=ticker)
    work_off(engine)
    return made


def url(portfolio_id: int, path: str) -> str:
    return f"/api/portfolios/{portfolio_id}/risk/{path}"


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of a JSON value by their places."""
    if isinstance(value, dict):
        return {place: leaf for key, inner in value.items() for place, leaf in flat(inner, f"{path}.{key}").items()}
    return {path: value}


def make_due(engine: Engine) -> None:
    with engine.begin() as connection:
        found = jobs.sweep(connection, datetime.now(UTC) + timedelta(seconds=1))
    backtest.run_backtest(found)


@pytest.mark.parametrize("path", PATHS)
def test_a_portfolio_without_a_snapshot_has_the_same_members(ada: Caller, engine: Engine, path: str) -> None:
    empty = ada.portfolio("Empty")
    answer = ada.get(url(empty, path))
    assert answer.status_code == 200
    assert answer.json["snapshot_id"] is None
    full = ada.portfolio("Full")
    ada.trade(full)
    work_off(engine)
    ada.post(url(full, "backtest"))
    make_due(engine)
    found = orjson.loads(ada.get(url(full, path)).data)
    assert set(found) == set(answer.json)
    # Member for member what the document describes.
    model = {"explain": Explain, "backtest": Backtest}[path]
    described = model.model_validate(found).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert flat(described).keys() == flat(found).keys()


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_somebody_elses(portfolio_id: int, eve: Caller, path: str) -> None:
    assert_problem(eve.get(url(portfolio_id, path)), 404, "no-such-portfolio")
    if path == "backtest":
        assert_problem(eve.post(url(portfolio_id, path)), 404, "no-such-portfolio")


def test_the_explanation_is_what_is_stored(ada: Caller, engine: Engine, portfolio_id: int) -> None:
    ada.trade(portfolio_id, ticker="XOM", quantity="7")
    work_off(engine)
    answer = ada.get(url(portfolio_id, "explain"))
    found = orjson.loads(answer.data)
    assert found == newest(engine, portfolio_id, "explain") | {"snapshot_id": snapshot_id(engine, portfolio_id)}
    assert found["figures"]["nav"]["parts"]["trades"] == found["figures"]["nav"]["change"]
    tag = answer.headers["ETag"]
    assert ada.get(url(portfolio_id, "explain"), headers={"If-None-Match": tag}).status_code == 304
    ada.trade(portfolio_id, ticker="XOM", quantity="1")
    work_off(engine)
    assert ada.get(url(portfolio_id, "explain"), headers={"If-None-Match": tag}).status_code == 200


def test_a_snapshot_of_an_older_version_has_no_explanation(ada: Caller, engine: Engine, portfolio_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE risk_snapshots SET explain = NULL"))
    answer = ada.get(url(portfolio_id, "explain")).json
    assert answer["figures"] == {}
    assert answer["sentence"] is None


def test_a_backtest_is_asked_for_made_and_shown(ada: Caller, engine: Engine, portfolio_id: int) -> None:
    def shown() -> dict[str, Any]:
        found: dict[str, Any] = ada.get(url(portfolio_id, "backtest")).json
        return found

    assert shown()["state"] == "none"
    wanted = ada.post(url(portfolio_id, "backtest"))
    assert (wanted.status_code, wanted.json) == (202, {"state": "computing"})
    due = "SELECT due_at FROM backtests"
    with engine.connect() as connection:
        first = connection.scalar(text(due))
        ada.post(url(portfolio_id, "backtest"))
        # Pressing it twice is one backtest.
        assert connection.scalar(text(due)) == first
    make_due(engine)
    found = shown()
    assert (found["state"], found["reason"]) == ("ready", None)
    assert found["snapshot_id"] == snapshot_id(engine, portfolio_id)
    assert set(found["methods"]["filtered"]) == {"95", "97.5", "99"}
    assert found["live"] == {
        "n": 0, "exceedances": 0, "rate": None, "exceedances_99": 0, "rate_99": None, "days": []
    }  # fmt: skip
    answer = ada.get(url(portfolio_id, "backtest"))
    again = ada.get(url(portfolio_id, "backtest"), headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert orjson.loads(answer.data)["method"] == "filtered"


def test_asking_for_a_backtest_of_nothing_is_no_job(ada: Caller, engine: Engine) -> None:
    empty = ada.portfolio("Empty")
    assert ada.post(url(empty, "backtest")).json == {"state": "none"}


def test_a_token_that_may_only_read_asks_for_none(ada: Caller, engine: Engine, portfolio_id: int) -> None:
    reader = Caller(ada.app, engine, ada.email, "read")
    assert reader.get(url(portfolio_id, "backtest")).status_code == 200
    assert_problem(reader.post(url(portfolio_id, "backtest")), 403, "read-only-token")


# --- how long a portfolio has been behind ---


def measured(ada: Caller, name: str) -> float:
    lines = ada.app.test_client().get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_what_somebody_changed_and_what_prices_changed_are_measured_apart(
    ada: Caller, engine: Engine, portfolio_id: int
) -> None:
    names = ("tailwatch_oldest_stale_seconds", "tailwatch_oldest_stale_prices_seconds")
    assert [measured(ada, name) for name in names] == [0, 0]
    # Its snapshot is old, and that is no delay.
    with engine.begin() as connection:
        connection.execute(text("UPDATE risk_snapshots SET computed_at = now() - interval '3 days'"))
    ada.trade(portfolio_id)
    assert measured(ada, names[0]) < 60
    late = text("UPDATE portfolios SET behind_since = behind_since - interval '20 minutes'")
    with engine.begin() as connection:
        connection.execute(late)
    assert measured(ada, names[0]) == pytest.approx(1200, abs=60)
    assert measured(ada, names[1]) == 0
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET done_revision = revision, market_revision = 1000"))
    assert measured(ada, names[0]) == 0
    assert measured(ada, names[1]) == pytest.approx(1200, abs=60)
