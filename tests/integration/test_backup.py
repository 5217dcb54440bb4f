"""A backup is the whole database at one instant; a restore is all of it or nothing."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from tailwatch import accounts, refresh
from tailwatch.backup import archive, dump
from tailwatch.backup.restore import restore
from tailwatch.db import migrate
from tailwatch.db.models import RiskSnapshot, User, metadata
from tailwatch.db.session import get_engine, sqlalchemy_url, transaction
from tailwatch.errors import BackupError, BrokenBackupError, DatabaseNotEmptyError, RestoreError
from tests.integration.test_migrations import FILL_THEN
from tests.support import tables
from tests.support.servers import Servers
from tests.support.waiting import wait_until
from tests.support.work import save
from worker.tasks import prices, risk

pytestmark = pytest.mark.usefixtures("worker_process")


@pytest.fixture
def portfolio_id(engine: Engine) -> int:
    """The demo portfolio with its prices and its risk, and something in every other table."""
    made = tables.fill(engine)
    with engine.connect() as connection:
        instruments = list(connection.scalars(text("SELECT id FROM instruments")))
    prices.fetch_prices(instruments)
    risk.refresh_risk([made])
    return made


@pytest.fixture
def backup(engine: Engine, portfolio_id: int) -> bytes:
    return backed_up(engine)


def backed_up(engine: Engine) -> bytes:
    output = io.BytesIO()
    dump.make(engine, output)
    return output.getvalue()


def rewritten(backup: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a whole and valid backup with another manifest."""
    read = archive.Archive(io.BytesIO(backup))
    manifest = json.loads(read.manifest.model_dump_json())
    change(manifest)
    output = io.BytesIO()
    archive.write(output, archive.Manifest.model_validate(manifest), read.pieces())
    return output.getvalue()


# --- all of it ---


def test_every_row_comes_back(engine: Engine, portfolio_id: int, backup: bytes, empty_engine: Engine) -> None:
    held = tables.contents(engine)
    assert {table: rows for table, rows in held.items() if not rows} == {}, "a table that is not tried proves nothing"
    manifest = restore(empty_engine, io.BytesIO(backup))
    assert tables.contents(empty_engine) == held
    assert manifest.rows == {table: len(rows) for table, rows in held.items()}
    with empty_engine.connect() as connection:
        for table in dump.LEFT_OUT:
            assert dump.count_rows(connection, table) == 0
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    # The next trade takes the next number, and nothing stands in the way of computing it.
    with engine.connect() as connection:
        last: int = connection.scalar(text("SELECT max(id) FROM trades")) or 0
    tables.book(empty_engine, portfolio_id)
    with empty_engine.connect() as connection:
        assert connection.scalar(text("SELECT max(id) FROM trades")) == last + 1
        assert refresh.behind(connection, [portfolio_id])


def test_it_is_one_instant_while_trades_are_booked(engine: Engine, portfolio_id: int, empty_engine: Engine) -> None:
    held = tables.contents(engine)
    with ThreadPoolExecutor() as pool:
        with tables.pg_dump_waits(engine):
            making = pool.submit(backed_up, engine)
            tables.wait_for_pg_dump(engine)
            # Nobody waits for a backup.
            for _ in range(20):
                tables.book(engine, portfolio_id)
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM prices WHERE day > '2022-12-01'"))
        backup = making.result(60)
    restore(empty_engine, io.BytesIO(backup))
    assert tables.contents(empty_engine) == held
    assert tables.contents(engine) != held


def test_trades_in_a_stream_are_in_it_up_to_one_of_them(
    engine: Engine, portfolio_id: int, empty_engine: Engine
) -> None:
    stop = threading.Event()
    booked = []

    def book() -> None:
        while not stop.is_set():
            booked.append(tables.book(engine, portfolio_id))

    with ThreadPoolExecutor() as pool:
        booking = pool.submit(book)
        try:
            wait_until(lambda: len(booked) > 5, "trades are being booked")
            backup = backed_up(engine)
        finally:
            stop.set()
        booking.result(30)
    restore(empty_engine, io.BytesIO(backup))
    found = tables.only_portfolio(empty_engine)
    with empty_engine.connect() as connection:
        trades = connection.scalar(text("SELECT count(*) FROM trades"))
    # The demo's 20 trades are one revision, and every other trade is one of its own.
    assert trades == 20 + found["revision"] - 1
    assert found["revision"] > 5


def test_an_older_schema_is_brought_to_this_one(servers: Servers, empty_engine: Engine) -> None:
    older = create_engine(sqlalchemy_url(servers.create_database("older")))
    migrate.upgrade(older, "0001")
    with older.begin() as connection:
        connection.execute(text(FILL_THEN))
    backup = backed_up(older)
    older.dispose()
    servers.drop_database("older")
    assert archive.Archive(io.BytesIO(backup)).manifest.schema_revision == "0001"
    restore(empty_engine, io.BytesIO(backup))
    assert migrate.current(empty_engine) == migrate.head()
    assert len(tables.contents(empty_engine)["trades"]) == 1


def test_an_empty_database_has_nothing_to_back_up(empty_engine: Engine) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        backed_up(empty_engine)


# --- in the place of something ---


def test_a_database_with_data_is_left_alone(engine: Engine, backup: bytes) -> None:
    held = tables.contents(engine)
    with pytest.raises(DatabaseNotEmptyError, match=r"trades: 21.*--replace"):
        restore(engine, io.BytesIO(backup))
    assert tables.contents(engine) == held


def test_a_migrated_database_without_rows_takes_it(engine: Engine, backup: bytes, servers: Servers) -> None:
    held = tables.contents(engine)
    url = servers.create_database("migrated", template="template_migrated")
    migrated = create_engine(sqlalchemy_url(url))
    restore(migrated, io.BytesIO(backup))
    assert tables.contents(migrated) == held
    migrated.dispose()
    servers.drop_database("migrated")


def test_replacing_goes_on_where_the_old_data_ended(engine: Engine, portfolio_id: int, backup: bytes) -> None:
    before = tables.only_portfolio(engine)
    for _ in range(3):
        tables.book(engine, portfolio_id)
    risk.refresh_risk([portfolio_id])
    gone = tables.only_portfolio(engine)
    with engine.connect() as connection:
        last = connection.execute(text("SELECT max(id) FROM trades")).scalar_one()
    restore(engine, io.BytesIO(backup), replace=True)
    found = tables.only_portfolio(engine)
    assert found["name"] == before["name"]
    assert len(tables.contents(engine)["trades"]) == 21
    # No number stands for two things: neither of a snapshot or trade, nor a revision that a page has shown.
    assert found["revision"] > gone["revision"]
    assert found["market_revision"] > gone["market_revision"]
    # The worker's connections were ended with everybody's; a real one's next message finds new ones.
    get_engine().dispose()
    risk.refresh_risk([portfolio_id])
    assert tables.only_portfolio(engine)["snapshot_id"] > gone["snapshot_id"]
    tables.book(engine, portfolio_id)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT max(id) FROM trades")).scalar_one() > last


def test_a_worker_in_the_middle_of_something_stores_nothing(engine: Engine, portfolio_id: int, backup: bytes) -> None:
    tables.book(engine, portfolio_id)
    found = tables.only_portfolio(engine)
    stale = {column.name: None for column in RiskSnapshot.__table__.columns if column.name != "id"} | {
        "portfolio_id": portfolio_id,
        "revision": found["revision"],
        "market_revision": found["market_revision"],
        "trigger": "trade",
        "computed_at": datetime.now(UTC),
        "duration_ms": 1,
        "method": "historical",
        "base_currency": "USD",
        "nav": 0,
        "gross": 0,
        "positions": 0,
        "pending_positions": 0,
        "inputs_hash": "",
        "body": b"{}",
    }
    worker = create_engine(engine.url)
    with worker.connect() as held:
        held.execute(text("SELECT 1"))
        held.commit()
        restore(engine, io.BytesIO(backup), replace=True)
        with pytest.raises(OperationalError):
            held.execute(text("SELECT 1"))
    # Even over a connection that was made after the restore.
    assert save(worker, stale) is None
    worker.dispose()
    # It would have been stored if nothing had been restored.
    values = {"revision": found["revision"], "market_revision": found["market_revision"], "id": portfolio_id}
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE portfolios SET revision = :revision, market_revision = :market_revision, done_revision = 0, "
                "done_market_revision = 0 WHERE id = :id"
            ),
            values,
        )
    assert save(engine, stale) is not None


def test_access_that_was_taken_away_stays_away(engine: Engine, portfolio_id: int, backup: bytes) -> None:
    now = datetime.now(UTC)
    with transaction(engine) as session:
        owner = session.query(User).one()
        token_id: int = session.execute(text("SELECT id FROM api_tokens")).scalar_one()
        assert accounts.revoke_token(session, owner.id, token_id, now)
        accounts.create_token(session, owner.id, "made after the backup", "read", now)
    runs = "SELECT day, started_at FROM backup_runs"
    with engine.connect() as connection:
        kept = connection.execute(text(runs)).all()
    restore(engine, io.BytesIO(backup), replace=True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name, revoked_at FROM api_tokens")).all() == [("program", now)]
        assert connection.scalar(text("SELECT count(*) FROM sessions")) == 0
        # What was backed up here is not what was backed up there.
        assert connection.execute(text(runs)).all() == kept


def test_a_newer_database_goes_back_to_an_older_backup(engine: Engine, backup: bytes) -> None:
    held = tables.contents(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE of_the_future (id serial PRIMARY KEY)"))
        connection.execute(text("ALTER TABLE portfolios RENAME COLUMN revision TO something_else"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    restore(engine, io.BytesIO(backup), replace=True)
    assert migrate.current(engine) == migrate.head()
    assert tables.contents(engine).keys() == held.keys()


# --- nothing of it ---


def test_a_truncated_backup_changes_nothing(engine: Engine, backup: bytes) -> None:
    held = tables.contents(engine)
    # Behind the checksum there is nothing but what fills up the last blocks.
    whole = backup.rindex(b"sha256")
    for part in (0.0, 0.001, 0.3, 0.7, 0.97, 0.9999):
        with pytest.raises(BrokenBackupError):
            restore(engine, io.BytesIO(backup[: int(part * whole)]), replace=True)
        assert tables.contents(engine) == held


def test_a_flipped_bit_is_noticed_or_does_no_harm(engine: Engine, backup: bytes, empty_engine: Engine) -> None:
    held = tables.contents(engine)
    noticed = 0
    for number in range(40):
        damaged = bytearray(backup)
        damaged[len(backup) * number // 40 + 7 * number] ^= 1 << (number % 8)
        try:
            restore(empty_engine, io.BytesIO(bytes(damaged)))
        except RestoreError:
            noticed += 1
            with empty_engine.connect() as connection:
                assert dump.tables(connection) == []
        else:
            # What fills up the last block of a member belongs to nothing.
            assert tables.contents(empty_engine) == held
            with empty_engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
    assert noticed > 30


@pytest.mark.parametrize("member", ["manifest.json", "dump/000001", "checksum.json"])
def test_damage_is_noticed_wherever_it_is(empty_engine: Engine, backup: bytes, member: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(backup)) as tar:
        found = tar.getmember(member)
    damaged = bytearray(backup)
    damaged[found.offset_data + found.size // 2] ^= 16
    with pytest.raises(BrokenBackupError, match="damaged"):
        restore(empty_engine, io.BytesIO(bytes(damaged)))
    with empty_engine.connect() as connection:
        assert dump.tables(connection) == []


def test_rows_that_are_missing_are_noticed(empty_engine: Engine, backup: bytes) -> None:
    def claim_more(manifest: dict[str, Any]) -> None:
        manifest["rows"]["trades"] += 1

    with pytest.raises(BrokenBackupError, match="do not hold what the backup says"):
        restore(empty_engine, io.BytesIO(rewritten(backup, claim_more)))
    with empty_engine.connect() as connection:
        assert dump.tables(connection) == []


def test_a_backup_of_a_newer_version_is_refused(engine: Engine, backup: bytes) -> None:
    def make_newer(manifest: dict[str, Any]) -> None:
        manifest |= {"schema_revision": "0999", "tailwatch": "9.8.7"}

    def change_format(manifest: dict[str, Any]) -> None:
        manifest |= {"format": 2, "tailwatch": "9.8.7"}

    held = tables.contents(engine)
    for change in (make_newer, change_format):
        with pytest.raises(RestoreError, match=r"made by Tailwatch 9\.8\.7.*9\.8\.7 or newer"):
            restore(engine, io.BytesIO(rewritten(backup, change)), replace=True)
    assert tables.contents(engine) == held


def test_something_else_is_no_backup(empty_engine: Engine) -> None:
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w") as tar:
        tar.add(__file__, arcname="test.py")
    for content in (other.getvalue(), b"PGDMP" + bytes(1000), b"", bytes(20_000)):
        with pytest.raises(BrokenBackupError, match="no backup of Tailwatch"):
            restore(empty_engine, io.BytesIO(content))
