"""Portfolios computed together come out as each would alone, on real PostgreSQL."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select, text

from tailwatch import accounts, refresh
from tailwatch.db.models import Portfolio, Trade, User
from tailwatch.db.session import transaction
from tailwatch.market.instruments import ensure_instruments
from tailwatch.measurement import loading, shared, snapshot, store
from tailwatch.measurement.replay import replay
from tests.support import markets
from tests.support.work import newest, snapshot_id
from worker.tasks import risk

pytestmark = pytest.mark.usefixtures("worker_process")

DAYS = 2400
WHOLE = [f"W{number:02}" for number in range(24)]
NOW = datetime(2022, 12, 29, 22, tzinfo=UTC)
#: What differs between two computations of the same thing.
IDENTITIES = {"computed_at", "to", "snapshot_id", "inputs_hash"}


@pytest.fixture(autouse=True)
def nothing_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shared.forget()
    yield
    shared.forget()


@pytest.fixture
def stocked(engine: Engine) -> Engine:
    """A database with whole histories, a young one, one with gaps, a foreign one, and a benchmark."""
    days = markets.weekdays(DAYS)
    for number, ticker in enumerate([*WHOLE, "INDEX"]):
        markets.store(engine, ticker, "USD", days, markets.walk(number, DAYS, 50.0 + number))
    markets.store(engine, "YOUNG", "USD", days[-200:], markets.walk(90, 200, 20.0))
    markets.store(engine, "GAPPY", "USD", [*days[:-80], *days[-78:]], markets.walk(91, DAYS - 2, 30.0))
    markets.store(engine, "ABROAD", "EUR", days, markets.walk(92, DAYS, 70.0))
    markets.store(engine, "EURUSD=X", "USD", days, markets.walk(93, DAYS, 1.1, 0.005))
    return engine


def portfolio(engine: Engine, name: str, held: dict[str, str], **settings: Any) -> int:
    """Store a portfolio with one purchase or sale of each ticker, against the index."""
    with transaction(engine) as session:
        owner = session.scalar(select(User)) or accounts.create_owner(session, "owner@example.org")
        instruments = ensure_instruments(session, [*held, "INDEX"])
        made = Portfolio(user_id=owner.id, name=name, **({"benchmark_id": instruments["INDEX"].id} | settings))
        session.add(made)
        session.flush()
        for ticker, quantity in held.items():
            session.add(
                Trade(
                    portfolio_id=made.id,
                    type="sell" if quantity.startswith("-") else "buy",
                    instrument_id=instruments[ticker].id,
                    quantity=Decimal(quantity),
                    price=Decimal(50),
                    currency="USD",
                    executed_at=datetime(2022, 6, 30, tzinfo=UTC),
                )
            )
        session.flush()
        refresh.raise_revision(session, made.id, "trade")
        return made.id


def some_of_everything(engine: Engine) -> list[int]:
    """Store portfolios of every kind: most of them can share a sample, some can in part, and some cannot."""
    chance = np.random.default_rng(5)
    made = []
    for number in range(14):
        tickers = chance.choice(WHOLE, size=[1, 5, 5, 12, 24][number % 5], replace=False)
        quantities = chance.integers(1, 90, tickers.size) * np.where(chance.random(tickers.size) < 0.2, -1, 1)
        held = {str(ticker): str(quantity) for ticker, quantity in zip(tickers, quantities, strict=True)}
        made.append(portfolio(engine, f"Whole {number}", held | {"W00": "60"}))
    three = {"W01": "10", "W02": "20", "W03": "-3"}
    made += [
        portfolio(engine, one, three, risk_method=one) for one in ("covariance", "student_t", "ewma", "historical")
    ]
    made.append(portfolio(engine, "shrunk", {"W01": "10", "W02": "20"}, risk_covariance="ledoit_wolf"))
    made.append(portfolio(engine, "shrunk and simulated", {"W04": "10"}, risk_covariance="ledoit_wolf"))
    made.append(portfolio(engine, "short window", {"W01": "10", "W05": "20"}, risk_window=250))
    made.append(portfolio(engine, "no benchmark", {"W01": "10", "W05": "20"}, benchmark_id=None))
    made.append(portfolio(engine, "young", {"W01": "10", "YOUNG": "20"}))
    made.append(portfolio(engine, "gaps", {"W01": "10", "GAPPY": "20"}))
    made.append(portfolio(engine, "abroad", {"W01": "10", "ABROAD": "20"}))
    made.append(portfolio(engine, "in euros", {"W01": "10"}, base_currency="EUR"))
    made.append(portfolio(engine, "index", {"INDEX": "10", "W01": "5"}))
    made.append(portfolio(engine, "unpriced", {"W01": "10", "NOBODY": "20"}))
    made.append(portfolio(engine, "empty", {}))
    return made


def new_day(engine: Engine) -> None:
    """Give the whole ones, the index and the young one a bar of the day after."""
    day = markets.LAST + timedelta(days=1)
    for number, ticker in enumerate([*WHOLE, "INDEX", "YOUNG"]):
        markets.store(engine, ticker, "USD", [day], [Decimal(60 + number)])


def together_and_alone(engine: Engine, ids: Sequence[int]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Compute without storing; return the columns that both ways gave, with what is said in errors."""
    with engine.connect() as connection:
        names = {row.id: row.name for row in connection.execute(text("SELECT id, name FROM portfolios"))}
    loaded = loading.load_all(engine, ids, share=True)
    assert sum(one.shared is not None for one in loaded) >= 18
    rows = snapshot.make_all(loaded, NOW)
    found = []
    for one, row in zip(loaded, rows, strict=True):
        alone = loading.load(engine, one.portfolio_id)
        assert alone is not None
        assert alone.shared is None
        found.append((names[one.portfolio_id], row, snapshot.make(alone, NOW)))
    return found


def differences(one: Any, other: Any, path: str = "", size: float = 0.0) -> Iterator[str]:
    """Yield where two JSON values differ; of floats, beyond rounding of the figure that they are parts of."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        whole = max(size, *(abs(one[name] or 0.0) for name in ("previous", "current"))) if "parts" in one else size
        for key in one.keys() - IDENTITIES:
            yield from differences(one[key], other[key], f"{path}.{key}", whole)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (this, that) in enumerate(zip(one, other, strict=True)):
            yield from differences(this, that, f"{path}.{place}", size)
    elif isinstance(one, float) and isinstance(other, float):
        if not math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12 * max(size, 1.0)):
            yield f"{path}: {one} and {other}"
    elif type(one) is not type(other) or one != other:
        yield f"{path}: {one!r} and {other!r}"


def assert_alike(engine: Engine, ids: Sequence[int]) -> None:
    for name, row, alone in together_and_alone(engine, ids):
        for column in ("body", "stress", "explain"):
            told = list(differences(json.loads(row[column]), json.loads(alone[column])))
            assert not told, f"{name}, {column}: {told[:5]}"
        assert row["inputs_hash"] == alone["inputs_hash"], name


def test_together_they_come_out_as_alone(stocked: Engine) -> None:
    ids = some_of_everything(stocked)
    assert_alike(stocked, ids)
    risk.refresh_risk(ids)
    new_day(stocked)
    # Now with causes to be told apart: of the prices, and of a trade on top.
    with transaction(stocked) as session:
        refresh.raise_revision(session, ids[0], "trade")
    assert_alike(stocked, ids)
    before = {each: snapshot_id(stocked, each) for each in ids[:14]}
    risk.refresh_risk(ids)
    assert all(snapshot_id(stocked, each) > then for each, then in before.items())
    assert newest(stocked, ids[1], "explain")["figures"]["var_95_1d"]["parts"]["prices"] != 0


def test_a_snapshot_of_a_batch_is_replayed_to_the_last_bit(stocked: Engine) -> None:
    ids = some_of_everything(stocked)
    risk.refresh_risk(ids)
    with stocked.connect() as connection:
        for each in ids:
            again = replay(connection, snapshot_id(stocked, each))
            assert again.differing == (), (each, again.differing)


def test_samples_are_made_once_a_host_and_mapped(stocked: Engine, tmp_path: Path) -> None:
    ids = some_of_everything(stocked)
    loading.load_all(stocked, ids, share=True)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    (made,) = (one for one in folder.iterdir() if one.is_dir())
    then = (made / "about.json").stat().st_mtime_ns
    # As another process: nothing is kept in memory, and what lies there is taken.
    shared.forget()
    one = next(one for one in loading.load_all(stocked, ids, share=True) if one.shared is not None)
    assert (made / "about.json").stat().st_mtime_ns == then
    assert one.shared is not None
    mapped = one.shared.filtered
    while not isinstance(mapped, np.memmap):
        assert mapped.base is not None
        mapped = mapped.base
    assert not one.shared.filtered.flags.writeable
    # New prices are other samples.
    new_day(stocked)
    loading.load_all(stocked, ids, share=True)
    assert sum(one.is_dir() for one in folder.iterdir()) == 2


@pytest.mark.parametrize("damage", ["broken", "forbidden", "somebody else's"])
def test_without_usable_files_the_night_goes_on(stocked: Engine, tmp_path: Path, damage: str) -> None:
    ids = some_of_everything(stocked)
    folder = tmp_path / f"tailwatch-samples-{os.getuid()}"
    if damage == "broken":
        loading.load_all(stocked, ids, share=True)
        for about in folder.glob("*/about.json"):
            about.write_bytes(b"[{")
    elif damage == "forbidden":
        folder.write_bytes(b"")
    else:
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    shared.forget()
    assert_alike(stocked, ids)
    if damage == "broken":
        assert all(json.loads(about.read_bytes()) for about in folder.glob("*/about.json")), "they are made again"


def test_old_samples_are_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"tailwatch-samples-{os.getuid()}"

    def kept() -> set[str]:
        return {one.name for one in folder.iterdir() if one.is_dir()}

    for number in range(9):
        assert store.fetch(f"name-{number}", list) == []
    assert len(kept()) == 9
    for number in range(9):
        os.utime(folder / f"name-{number}", (number, number))
    # An empty list is two bytes.
    monkeypatch.setattr(store, "_MOST_BYTES", 8)
    store.fetch("newest", list)
    assert kept() == {"newest", "name-8", "name-7", "name-6"}
    monkeypatch.setattr(store, "_MOST_BYTES", 0)
    store.fetch("newer", list)
    assert kept() == {"newer", "newest"}


def test_one_that_fails_does_not_take_the_others_along(stocked: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = some_of_everything(stocked)
    make_all = snapshot.make_all

    def cursed(everything: Sequence[loading.Loaded], now: datetime) -> list[dict[str, Any]]:
        if any(one.portfolio_id == ids[3] for one in everything):
            raise FloatingPointError("the matrix is cursed")
        return make_all(everything, now)

    monkeypatch.setattr("tailwatch.measurement.snapshot.make_all", cursed)
    risk.refresh_risk(ids)
    with stocked.connect() as connection:
        rows = connection.execute(text("SELECT id, snapshot_id, failure_reason FROM portfolios")).all()
    assert {row.id for row in rows if row.snapshot_id is None} == {ids[3]}
    assert {row.id: row.failure_reason for row in rows if row.failure_reason} == {
        ids[3]: "The computation failed: FloatingPointError: the matrix is cursed"
    }


def test_what_another_worker_holds_is_left_to_it(stocked: Engine) -> None:
    ids = some_of_everything(stocked)
    with refresh.claim(stocked, ids[:2]) as mine:
        assert mine == set(ids[:2])
        risk.refresh_risk(ids)
    with stocked.connect() as connection:
        assert sorted(refresh.behind(connection, ids)) == sorted(ids[:2])
