"""The schema goes up and down again, with data in it, and is what the model says."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from tailwatch.db import migrate
from tailwatch.db.models import metadata

#: Of version 0002, and of now.
FILL_THEN = """
INSERT INTO users (email) VALUES ('ada@example.org');
INSERT INTO instruments (ticker) VALUES ('AAPL');
INSERT INTO portfolios (user_id, name, revision) SELECT id, 'Main', 1 FROM users;
INSERT INTO trades (portfolio_id, instrument_id, quantity, price, currency, executed_at)
  SELECT p.id, i.id, 0.123456789, 18009.0000000001, 'USD', '2022-06-30T20:00Z' FROM portfolios p, instruments i;
INSERT INTO prices (instrument_id, day, close, adjusted_close, source)
  SELECT id, '2022-12-28', 126.04, 125.674, 'sample' FROM instruments;
INSERT INTO risk_snapshots (portfolio_id, revision, market_revision, trigger, duration_ms, method, base_currency,
                            nav, gross, positions, pending_positions, inputs_hash, body)
  SELECT id, 1, 0, 'trade', 1, 'historical', 'USD', 1, 1, 1, 0, '', '{}' FROM portfolios;
UPDATE portfolios SET snapshot_id = (SELECT id FROM risk_snapshots), done_revision = 1;
"""
_TYPED = {"instrument_id, quantity": "instrument_id, type, quantity", "i.id, 0.12": "i.id, 'buy', 0.12"}
FILL = FILL_THEN
for _then, _now in _TYPED.items():
    FILL = FILL.replace(_then, _now)


def test_the_migrated_schema_is_the_model(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_down_and_up_again_on_data(empty_engine: Engine) -> None:
    migrate.upgrade(empty_engine)
    assert migrate.current(empty_engine) == migrate.head()
    with empty_engine.begin() as connection:
        connection.execute(text(FILL))
    migrate.downgrade(empty_engine, "base")
    with empty_engine.connect() as connection:
        left = connection.scalars(
            text(
                "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname = 'public' AND relkind IN ('r', 'S') AND relname <> 'alembic_version'"
            )
        ).all()
    assert left == []
    migrate.upgrade(empty_engine)
    with empty_engine.begin() as connection:
        connection.execute(text(FILL))
        stored = connection.execute(text("SELECT quantity::text, price::text FROM trades")).one()
    assert tuple(stored) == ("0.1234567890", "18009.0000000001")
    migrate.upgrade(empty_engine)
    assert migrate.current(empty_engine) == migrate.head()


def test_portfolios_keep_the_method_that_they_have(empty_engine: Engine) -> None:
    migrate.upgrade(empty_engine, "0002")
    with empty_engine.begin() as connection:
        connection.execute(text(FILL_THEN))
        connection.execute(text("UPDATE portfolios SET revision = 2"))
    migrate.upgrade(empty_engine)
    with empty_engine.begin() as connection:
        connection.execute(text("INSERT INTO portfolios (user_id, name) SELECT id, 'New' FROM users"))
        found = connection.execute(
            text("SELECT name, risk_method, risk_covariance, behind_since IS NOT NULL FROM portfolios ORDER BY id")
        ).all()
    assert [tuple(row) for row in found] == [
        ("Main", "historical", "sample", True),
        ("New", "filtered", "sample", False),
    ]
    with empty_engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET risk_method = 'student_t'"))
    # The version before knows no such method.
    migrate.downgrade(empty_engine, "0002")
    with empty_engine.connect() as connection:
        assert set(connection.scalars(text("SELECT risk_method FROM portfolios"))) == {"covariance"}


def test_trades_of_before_are_purchases_and_sales(empty_engine: Engine) -> None:
    migrate.upgrade(empty_engine, "0003")
    with empty_engine.begin() as connection:
        connection.execute(text(FILL_THEN))
        connection.execute(
            text(
                "INSERT INTO trades (portfolio_id, instrument_id, quantity, price, currency, executed_at) "
                "SELECT portfolio_id, instrument_id, -1, 2, 'USD', '2022-07-01T20:00Z' FROM trades"
            )
        )
    migrate.upgrade(empty_engine)
    with empty_engine.begin() as connection:
        assert connection.scalars(text("SELECT type FROM trades ORDER BY id")).all() == ["buy", "sell"]
        connection.execute(
            text(
                "INSERT INTO trades (portfolio_id, type, amount, currency, executed_at) "
                "SELECT id, 'deposit', 100, 'USD', '2022-07-01T20:00Z' FROM portfolios"
            )
        )
    # The version before has no place for cash; trades of shares stay.
    migrate.downgrade(empty_engine, "0003")
    with empty_engine.connect() as connection:
        assert connection.scalars(text("SELECT quantity::float8 FROM trades ORDER BY id")).all() == [0.123456789, -1]
