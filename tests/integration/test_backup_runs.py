"""Backups by the clock: one a day, late rather than never, and a failure is known and made up for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tailwatch.backup import archive, runs
from tailwatch.embedded.environment import ROOT
from tailwatch.errors import BackupError
from tailwatch.queue import DAILY_BACKUP, make_celery
from tailwatch.settings import Settings
from tests.support.product import Product, running_product
from tests.support.waiting import wait_until

AT = time(3, 0)
DUE = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def settings(folder: Path, keep: int = 7, at: time | None = AT) -> Settings:
    return Settings(backup_at=at, backup_dir=folder, backup_keep=keep)


def noted(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM backup_runs ORDER BY day LIMIT 1")).mappings().one()
    return dict(row)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (DUE, DUE),
        (DUE - MINUTE, DUE - timedelta(days=1)),
        (DUE + timedelta(hours=20, minutes=59), DUE),
        (DUE + timedelta(days=1) - MINUTE, DUE),
    ],
)
def test_which_one_is_due(now: datetime, due: datetime) -> None:
    assert runs.due_at(now, AT) == due


def test_one_a_day(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    made = runs.make_if_due(engine, settings(folder), DUE + MINUTE)
    assert made == folder / "tailwatch-20260310T030100Z.tar"
    assert archive.verify(made).rows["users"] == 0
    run = noted(engine)
    assert (run["file"], run["bytes"], run["error"]) == (str(made), made.stat().st_size, None)
    assert run["finished_at"] is not None
    for later in (2, 7, 600, 23 * 60):
        assert runs.make_if_due(engine, settings(folder), DUE + later * MINUTE) is None
    assert files(folder) == [made.name]
    assert runs.make_if_due(engine, settings(folder), DUE + timedelta(days=1)) is not None
    assert len(files(folder)) == 2


def test_a_missed_one_is_made_late(engine: Engine, tmp_path: Path) -> None:
    assert runs.make_if_due(engine, settings(tmp_path), DUE + timedelta(hours=23)) is not None
    assert noted(engine)["finished_at"] is not None
    # For days without any there is nothing to be made up for: the newest holds all that they would have.
    assert runs.make_if_due(engine, settings(tmp_path), DUE + timedelta(days=9)) is not None
    assert len(files(tmp_path)) == 2


def test_never_without_a_time(engine: Engine, tmp_path: Path) -> None:
    assert runs.make_if_due(engine, settings(tmp_path, at=None), DUE) is None
    assert files(tmp_path) == []


def test_a_failure_is_kept_and_tried_again_after_a_pause(engine: Engine, tmp_path: Path) -> None:
    # No folder can be made below a file, whoever tries.
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "backups"
    tried = []
    for minute in range(300):
        try:
            assert runs.make_if_due(engine, settings(folder), DUE + minute * MINUTE) is None
        except BackupError:
            tried.append(minute)
        if minute == 0:
            assert "Check BACKUP_DIR" in noted(engine)["error"]
    assert tried == [0, 10, 20, 40, 80, 140, 200, 260]
    (tmp_path / "file").unlink()
    assert runs.make_if_due(engine, settings(folder), DUE + timedelta(hours=6)) is not None
    run = noted(engine)
    assert run["error"] is None
    assert run["finished_at"] is not None


def test_without_a_folder_it_says_so(engine: Engine) -> None:
    with pytest.raises(BackupError, match="BACKUP_DIR"):
        runs.make_if_due(engine, Settings(backup_at=AT, backup_dir=None), DUE)
    assert "BACKUP_DIR" in noted(engine)["error"]


def test_old_ones_go_only_after_a_good_new_one(engine: Engine, tmp_path: Path) -> None:
    for day in range(5):
        runs.make_if_due(engine, settings(tmp_path, keep=3), DUE + timedelta(days=day))
    kept = [f"tailwatch-202603{day}T030000Z.tar" for day in (12, 13, 14)]
    others = ["before-0.2.0-20260301T000000Z.tar", "notes.txt", "tailwatch-20260101.tar"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / "tailwatch-20260315T030000Z.tar.partial").mkdir()
    with pytest.raises(BackupError):
        # What is in its way cannot be cleared away.
        runs.make_if_due(engine, settings(tmp_path, keep=1), DUE + timedelta(days=5))
    assert [name for name in files(tmp_path) if name in kept] == kept
    (tmp_path / "tailwatch-20260315T030000Z.tar.partial").rmdir()
    runs.make_if_due(engine, settings(tmp_path, keep=1), DUE + timedelta(days=5, minutes=10))
    assert files(tmp_path) == sorted([*others, "tailwatch-20260315T031000Z.tar"])


MAKE = """
import sys
from datetime import datetime
from pathlib import Path
from tailwatch.backup import runs
from tailwatch.db.session import get_engine
from tailwatch.settings import get_settings
runs.make_if_due(get_engine(), get_settings(), datetime.fromisoformat(sys.argv[1]))
"""


def test_one_that_is_killed_is_noticed_and_made_again(engine: Engine, tmp_path: Path) -> None:
    url = engine.url.render_as_string(hide_password=False)
    environment = os.environ | {"DATABASE_URL": url, "BACKUP_AT": "03:00", "BACKUP_DIR": str(tmp_path)}
    with engine.connect() as holder, holder.begin():
        holder.execute(text("LOCK TABLE sign_in_links IN ACCESS EXCLUSIVE MODE"))
        process = subprocess.Popen([sys.executable, "-c", MAKE, DUE.isoformat()], cwd=ROOT, env=environment)
        wait_until(lambda: any(name.endswith(".partial") for name in files(tmp_path)), "a backup is being made")
        # Nobody else makes the same one at the same time, however long it takes.
        assert runs.make_if_due(engine, settings(tmp_path), DUE + timedelta(hours=5)) is None
        assert noted(engine)["error"] is None
        process.send_signal(signal.SIGKILL)
        process.wait(30)

    def noticed() -> bool:
        assert runs.make_if_due(engine, settings(tmp_path), DUE + 5 * MINUTE) is None
        return noted(engine)["error"] == runs.CUT_SHORT

    wait_until(noticed, "the database knows that nobody makes it any more")
    assert runs.make_if_due(engine, settings(tmp_path), DUE + 10 * MINUTE) is not None
    assert noted(engine)["error"] is None
    assert files(tmp_path) == ["tailwatch-20260310T031000Z.tar"]


# --- the whole product ---


def cli(product: Product, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tailwatch.cli", *words]
    return subprocess.run(
        command, cwd=ROOT, env=product.environment, capture_output=True, text=True, check=False, timeout=120
    )


def trades(product: Product, portfolio_id: int) -> list[dict[str, Any]]:
    answer = product.api.get(f"{product.url}/api/portfolios/{portfolio_id}/trades?limit=200", timeout=10)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_running_product_is_backed_up_and_put_back(tmp_path: Path) -> None:
    with running_product(BACKUP_AT="00:00", BACKUP_DIR=str(tmp_path), LOG_FORMAT="json") as product:
        portfolio_id = product.create_portfolio("Kept")
        for _ in range(3):
            booked = product.trade(portfolio_id)
        product.wait_fresh(portfolio_id, booked["revision"])
        held = trades(product, portfolio_id)

        make_celery(product.servers.redis_url).send_task(DAILY_BACKUP, queue="nightly")
        wait_until(lambda: any(name.endswith(".tar") for name in files(tmp_path)), "the backup is there")
        wait_until(lambda: noted_in(product)["finished_at"] is not None, "it is noted")
        assert "The last daily backup is today's" in cli(product, "upgrade", "--notes").stdout

        for _ in range(2):
            booked = product.trade(portfolio_id, quantity="1000")
        seen = product.wait_fresh(portfolio_id, booked["revision"])
        lost = product.create_portfolio("Made after the backup")

        refused = cli(product, "restore", noted_in(product)["file"])
        assert refused.returncode == 1
        assert "--replace" in refused.stderr
        restored = cli(product, "restore", "--replace", noted_in(product)["file"])
        assert restored.returncode == 0, restored.stderr
        assert "Everybody signs in again" in restored.stdout

        # Nothing was started again, and everything goes on: the same trades, their risk, the next one.
        product.wait_ready()
        assert trades(product, portfolio_id) == held
        found = product.wait_fresh(portfolio_id, seen["revision"] + 1)
        assert found["nav"] != seen["nav"]
        answer = product.api.get(f"{product.url}/api/portfolios/{lost}", timeout=10)
        assert answer.status_code == 404
        booked = product.trade(portfolio_id)
        assert booked["revision"] > found["revision"]
        assert booked["trade"]["id"] > max(trade["id"] for trade in held) + 2
        product.wait_fresh(portfolio_id, booked["revision"])


def noted_in(product: Product) -> dict[str, Any]:
    with product.engine.connect() as connection:
        return dict(connection.execute(text("SELECT * FROM backup_runs")).mappings().one())
