"""The return of a portfolio over HTTP, from stored prices."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from tests.integration.api.support import Caller, assert_problem

_PRICES = text(
    """
    INSERT INTO prices (instrument_id, day, close, adjusted_close, source)
    SELECT i.id, DATE '2024-01-02' + n::int, close, close, 'test'
    FROM instruments i, unnest(CAST(:closes AS numeric[])) WITH ORDINALITY AS given (close, n)
    WHERE i.ticker = :ticker
    """
)


def price(engine: Engine, ticker: str, *closes: float) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE instruments SET currency = 'USD' WHERE ticker = :ticker"), {"ticker": ticker})
        connection.execute(_PRICES, {"ticker": ticker, "closes": list(closes)})


def test_returns_follow_the_prices_and_end_at_the_holdings_value(ada: Caller, engine: Engine) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}"
    ada.post(f"{url}/trades", {"type": "deposit", "amount": "1000", "executed_at": "2024-01-03T09:00:00Z"})
    ada.trade(portfolio_id, quantity="5", price="100", executed_at="2024-01-03T15:00:00Z")
    price(engine, "AAPL", 100, 110, 121)
    answer = ada.get(f"{url}/performance?to=2024-01-31")
    assert answer.status_code == 200, answer.text
    found = answer.json
    assert (found["from"], found["to"], found["counts_cash"]) == ("2024-01-02", "2024-01-05", True)
    assert found["flows"] == [{"day": "2024-01-03", "amount": 1000.0}]
    assert [one["value"] for one in found["series"]] == [0, 1000, 1050, 1105]
    assert float(found["time_weighted"]) == pytest.approx(0.105)
    assert float(found["money_weighted"]) == pytest.approx(0.105)
    assert found["time_weighted_annualised"] is None
    assert found["end_value"] == float(ada.get(f"{url}/holdings").json["totals"]["value"])
    later = ada.get(f"{url}/performance?from=2024-01-04&to=2024-01-05").json
    assert (later["start_value"], later["net_flow"]) == (1050, 0)
    assert float(later["time_weighted"]) == pytest.approx(1105 / 1050 - 1)


def test_what_there_is_nothing_to_say_of(ada: Caller, eve: Caller) -> None:
    portfolio_id = ada.portfolio()
    url = f"/api/portfolios/{portfolio_id}/performance"
    assert ada.get(url).json["series"] == []
    ada.trade(portfolio_id)
    assert ada.get(url).json["time_weighted"] is None
    assert_problem(ada.get(f"{url}?from=2024-01-05&to=2024-01-05"), 422, "invalid-input", "from")
    assert_problem(ada.get(f"{url}?from=yesterday"), 422, "invalid-input", "from")
    assert_problem(eve.get(url), 404, "no-such-portfolio")
