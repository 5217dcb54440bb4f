"""Why the figures moved, as it is stored with a snapshot: on a real database, day by day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts, demo, refresh
from tailwatch.db.models import Portfolio
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tests.support.price_days import PriceDays
from tests.support.work import book, newest, snapshot_id, work_off

pytestmark = pytest.mark.usefixtures("worker_process")

CAUSES = ("corrections", "trades", "prices", "volatility", "correlation")


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        benchmark = ensure_instruments(session, [demo.BENCHMARK])[demo.BENCHMARK]
        portfolio = Portfolio(user_id=owner.id, name="Main", benchmark_id=benchmark.id)
        session.add(portfolio)
        session.flush()
        made = portfolio.id
    for ticker, quantity in (("AAPL", "300"), ("XOM", "400"), ("KO", "-100")):
        book(engine, made, ticker, quantity)
    work_off(engine)
    return made


def explained(engine: Engine, portfolio_id: int) -> dict[str, Any]:
    found = newest(engine, portfolio_id, "explain")
    body = newest(engine, portfolio_id)
    # What it says of now is what the snapshot says, and the parts are the whole change.
    for group, figures in (("figures", body), ("amounts", body["amounts"])):
        for name, figure in found[group].items():
            if name != "nav":
                assert figure["current"] == figures[name] or not body["positions"], name
            if figure["parts"] is not None:
                assert list(figure["parts"]) == list(CAUSES)
                total = sum(figure["parts"].values())
                assert total == pytest.approx(figure["change"], abs=1e-12 * max(1.0, abs(figure["current"])))
    return found


def moved(figure: dict[str, Any]) -> set[str]:
    """Causes with a part that is more than rounding: adjusted closes are stored with eight places."""
    size = max(abs(figure["previous"]), abs(figure["current"]))
    return {cause for cause, part in figure["parts"].items() if abs(part) > 1e-7 * size}


def test_the_first_snapshot_has_nothing_before_it(engine: Engine, portfolio_id: int) -> None:
    with engine.connect() as connection:
        first = connection.scalar(
            text("SELECT convert_from(explain, 'UTF8') FROM risk_snapshots ORDER BY id LIMIT 1")
        )
    assert '"previous_snapshot_id":null' in first
    assert "first snapshot" in first


def test_a_trade_explains_all_of_it(engine: Engine, portfolio_id: int) -> None:
    before, before_id = newest(engine, portfolio_id), snapshot_id(engine, portfolio_id)
    book(engine, portfolio_id, "AAPL", "500")
    work_off(engine)
    found = explained(engine, portfolio_id)
    assert found["previous_snapshot_id"] == before_id
    assert found["from"] == before["computed_at"]
    for name, figure in found["figures"].items():
        assert figure["previous"] == (float(before["nav"]) if name == "nav" else before[name])
        assert moved(figure) == {"trades"}
    assert found["sentence"].startswith("VaR 95 rose by $")
    assert "trades" in found["sentence"]
    assert found["warnings"] == []


def test_settings_count_as_trades_and_are_told(engine: Engine, portfolio_id: int) -> None:
    with transaction(engine) as session:
        session.execute(text("UPDATE portfolios SET risk_method = 'covariance'"))
        refresh.raise_revision(session, portfolio_id, "settings")
    work_off(engine)
    found = explained(engine, portfolio_id)
    assert [warning["code"] for warning in found["warnings"]] == ["settings"]
    assert moved(found["figures"]["var_95_1d"]) == {"trades"}
    assert moved(found["figures"]["annualized_volatility"]) == set()


def test_a_closed_position_is_a_trade(engine: Engine, portfolio_id: int) -> None:
    book(engine, portfolio_id, "KO", "100")
    work_off(engine)
    found = explained(engine, portfolio_id)
    assert moved(found["figures"]["nav"]) == {"trades"}


def test_a_new_day_is_prices_volatility_and_correlation(engine: Engine, portfolio_id: int) -> None:
    days = PriceDays(engine, date(2022, 12, 22))
    work_off(engine)
    for day in days.to_come[:3]:
        days.arrive(day)
        work_off(engine)
        found = explained(engine, portfolio_id)
        assert newest(engine, portfolio_id)["as_of"] == day.isoformat()
        assert moved(found["figures"]["nav"]) == {"prices"}
        for name in ("annualized_volatility", "var_95_1d", "es_975_1d", "var_99_1d"):
            assert moved(found["figures"][name]) <= {"prices", "volatility", "correlation"}, name
            assert {"prices", "volatility"} <= moved(found["figures"][name]), name
        assert found["warnings"] == []


def test_a_trade_and_a_new_day_are_told_apart(engine: Engine, portfolio_id: int) -> None:
    days = PriceDays(engine, date(2022, 12, 22))
    work_off(engine)
    before = {p["ticker"]: float(p["price"]) for p in newest(engine, portfolio_id)["positions"]}
    book(engine, portfolio_id, "XOM", "50")
    days.arrive(days.to_come[0])
    work_off(engine)
    nav = explained(engine, portfolio_id)["figures"]["nav"]
    # Fifty at the price of the day before; what they earned since is prices.
    assert nav["parts"]["trades"] == pytest.approx(50 * before["XOM"])
    earned = sum(
        float(p["quantity"]) * (float(p["price"]) - before[p["ticker"]])
        for p in newest(engine, portfolio_id)["positions"]
    )
    assert nav["parts"]["prices"] == pytest.approx(earned)


def test_a_restated_price_is_a_correction(engine: Engine, portfolio_id: int) -> None:
    days = PriceDays(engine, date(2022, 12, 22))
    work_off(engine)
    before = newest(engine, portfolio_id)
    with engine.begin() as connection:
        # The whole history of one was ten percent too low.
        connection.execute(
            text(
                "UPDATE prices SET close = close * 1.1, adjusted_close = adjusted_close * 1.1 "
                "WHERE instrument_id = (SELECT id FROM instruments WHERE ticker = 'AAPL')"
            )
        )
        connection.execute(
            text(
                "UPDATE held_back SET close = close * 1.1, adjusted_close = adjusted_close * 1.1 "
                "WHERE instrument_id = (SELECT id FROM instruments WHERE ticker = 'AAPL')"
            )
        )
    days.arrive(days.to_come[0])
    work_off(engine)
    nav = explained(engine, portfolio_id)["figures"]["nav"]
    was = next(float(p["market_value"]) for p in before["positions"] if p["ticker"] == "AAPL")
    assert nav["parts"]["corrections"] == pytest.approx(0.1 * was)
    assert moved(nav) == {"corrections", "prices"}


def test_a_split_moves_nothing(engine: Engine, portfolio_id: int) -> None:
    with engine.begin() as connection:
        # From the newest day on one share is two, and the source has adjusted the prices before it.
        apple = connection.scalar(text("SELECT id FROM instruments WHERE ticker = 'AAPL'"))
        connection.execute(
            text(
                "UPDATE prices SET close = close / 2, adjusted_close = adjusted_close / 2 WHERE instrument_id = :id"
            ),
            {"id": apple},
        )
        connection.execute(
            text("INSERT INTO splits (instrument_id, day, ratio, source) VALUES (:id, '2022-12-29', 2, 'sample')"),
            {"id": apple},
        )
    with transaction(engine) as session:
        refresh.raise_market_revision(session, [apple])
    work_off(engine)
    found = explained(engine, portfolio_id)
    position = next(p for p in newest(engine, portfolio_id)["positions"] if p["ticker"] == "AAPL")
    assert position["quantity"] == "600"
    for figure in found["figures"].values():
        assert moved(figure) == set(), figure
    assert found["sentence"].startswith("VaR 95 is unchanged")


def test_from_nothing_to_something_and_back(engine: Engine, portfolio_id: int) -> None:
    for ticker, quantity in (("AAPL", "-300"), ("XOM", "-400"), ("KO", "100")):
        book(engine, portfolio_id, ticker, quantity)
    work_off(engine)
    gone = explained(engine, portfolio_id)
    assert gone["amounts"]["var_95_1d"]["current"] == 0
    assert moved(gone["figures"]["nav"]) == {"trades"}
    book(engine, portfolio_id, "XOM", "10")
    work_off(engine)
    back = explained(engine, portfolio_id)
    assert back["figures"]["var_95_1d"]["parts"] is None
    assert moved(back["figures"]["nav"]) == {"trades"}
    assert moved(back["amounts"]["var_95_1d"]) == {"trades"}


def test_a_snapshot_of_an_older_version_is_set_side_by_side(engine: Engine, portfolio_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE risk_snapshots SET inputs = NULL, explain = NULL"))
    book(engine, portfolio_id, "XOM", "10")
    work_off(engine)
    found = explained(engine, portfolio_id)
    assert [warning["code"] for warning in found["warnings"]] == ["no_inputs"]
    nav = found["figures"]["nav"]
    assert nav["parts"] is None
    assert nav["change"] == pytest.approx(nav["current"] - nav["previous"])
