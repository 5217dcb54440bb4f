"""What is in a database, row by row, and something to be in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from tailwatch import accounts, demo, refresh
from tailwatch.backup.dump import LEFT_OUT, tables
from tailwatch.db.models import Portfolio, Trade
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tests.support.waiting import wait_until

FILL_THE_REST = """
INSERT INTO idempotency_keys (user_id, key, request_hash, status, response)
  SELECT id, 'first', '\\x01ff', 201, '{"id": 1, "text": "\\\\ \\" %s ünï"}' FROM users;
INSERT INTO nightly_runs (business_day, instruments) VALUES ('2022-12-27', 21);
INSERT INTO splits (instrument_id, day, ratio, source) SELECT id, '2020-08-31', 4, 'sample' FROM instruments LIMIT 1;
INSERT INTO worker_heartbeats (queue, answered_at) VALUES ('interactive', now());
INSERT INTO backup_runs (day) VALUES ('2022-12-27');
INSERT INTO volatility_models (model) VALUES (NULL);
INSERT INTO backtests (portfolio_id, wanted_key, due_at, result) SELECT id, 'k', now(), '\\x7b7d' FROM portfolios;
INSERT INTO served_forecasts (portfolio_id, as_of, day, snapshot_id, method, base_currency, nav, var_95_1d, es_95_1d,
                              var_975_1d, es_975_1d, var_99_1d, es_99_1d, pnl, complete, realised_at)
  SELECT id, '2022-12-27', '2022-12-28', 1, 'filtered', 'USD', 1, .02, .03, .03, .04, .04, .05, -.01, true, now()
  FROM portfolios;
INSERT INTO held_prices (instrument_id, day, close, adjusted_close, source, fetched_at, code, reason, decision,
                         decided_at, decided_by)
  SELECT id, '2022-12-28', 0.00000001, 12345678.9, 'sample', now(), 'jump', 'It "fell"; \\ ünï', 'released', now(),
         'ada'
  FROM instruments LIMIT 1;
INSERT INTO superseded_prices (instrument_id, replaced_at, kind, days, closes, adjusted_closes, sources, fetched_ats)
  SELECT id, now(), 'restated', '{2022-12-27,2022-12-28}', '{1.5,2.25}', '{1.4,2.2}', '{"a, b",NULL}',
         '{now,infinity}'
  FROM instruments LIMIT 1;
INSERT INTO price_sources (name, failures, out_until, last_error) VALUES ('yahoo', 3, now(), 'Yahoo refused (429).');
INSERT INTO trade_changes (portfolio_id, trade_id, changed_by, action, before)
  SELECT id, 7, 'ada@example.org', 'removal', '{"quantity": "10", "note": "tab\\t"}' FROM portfolios;
INSERT INTO trade_imports (portfolio_id, imported_by, file_name, format, booked, duplicates, left_out)
  SELECT id, 'ada@example.org', 'bröker; "1".csv', 'generic', 1, 2, 3 FROM portfolios;
"""


def fill(engine: Engine) -> int:
    """Put something into every table, with what a dump could stumble over; return the id of the demo portfolio."""
    now = datetime.now(UTC)
    with transaction(engine) as session:
        owner = accounts.create_owner(session, "owner@example.org")
        accounts.set_password(session, owner, "correct horse battery")
        accounts.create_token(session, owner.id, "program", "write", now)
        accounts.create_sign_in_link(session, owner, now)
        accounts.open_session(session, owner.id, now, timedelta(days=1))
        portfolio_id = demo.load(session, owner)
        assert portfolio_id is not None
    book(engine, portfolio_id, note="tab\t, \\. and\nCOPY x FROM stdin;\n\\.\n-- ünï €")
    with engine.begin() as connection:
        connection.exec_driver_sql(FILL_THE_REST.replace("%", "%%"))
    return portfolio_id


def book(engine: Engine, portfolio_id: int, quantity: str = "1", note: str | None = None) -> int:
    """Book a trade as the API does; return the portfolio's new revision."""
    with transaction(engine) as session:
        instrument = ensure_instruments(session, ["AAPL"])["AAPL"]
        session.add(
            Trade(
                portfolio_id=portfolio_id,
                type="sell" if quantity.startswith("-") else "buy",
                instrument_id=instrument.id,
                quantity=Decimal(quantity),
                price=Decimal("0.0000000001"),
                currency="USD",
                executed_at=datetime(2022, 7, 1, tzinfo=UTC),
                note=note,
            )
        )
        session.flush()
        return refresh.raise_revision(session, portfolio_id, "trade")


def contents(engine: Engine) -> dict[str, list[str]]:
    """Return every row of every table that a backup holds, as PostgreSQL writes them."""
    with engine.connect() as connection:
        return {
            table: sorted(connection.scalars(text(f"SELECT t::text FROM public.{table} t")))
            for table in tables(connection)
            if table not in LEFT_OUT
        }


def only_portfolio(engine: Engine) -> dict[str, Any]:
    with transaction(engine) as session:
        portfolio = session.query(Portfolio).one()
        return {column.name: getattr(portfolio, column.name) for column in Portfolio.__table__.columns}


@contextmanager
def pg_dump_waits(engine: Engine) -> Iterator[None]:
    """Hold what pg_dump needs and nothing else does, until the block ends."""
    with engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK TABLE sign_in_links IN ACCESS EXCLUSIVE MODE"))
        yield


def wait_for_pg_dump(engine: Engine) -> None:
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'pg_dump' AND wait_event_type = 'Lock'"
    )

    def waiting() -> bool:
        with engine.connect() as connection:
            return connection.scalar(query) == 1

    wait_until(waiting, "pg_dump is at work")
