"""What the API lets nginx keep, and the marks by which it takes that back; tests/integration/test_edge_cache.py has
the real nginx."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from api import edge_cache
from api.database import Prepared
from api.live import deliver
from tailwatch.accounts import Credential
from tests.integration.api.support import Browser, Caller, forget_settings
from tests.integration.test_refresh import HEADLINE
from tests.support.waiting import wait_until
from tests.support.work import save


@pytest.fixture
def folder(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_MARKS_DIR", str(tmp_path / "marks"))
    forget_settings()
    edge_cache.marks().sweep()
    deliver({"kind": "connected"})
    return tmp_path / "marks"


@pytest.fixture
def portfolio_id(folder: Path, ada: Caller, engine: Engine) -> int:
    """A portfolio of Ada's whose risk is fresh, and no mark of how it came about."""
    made = ada.portfolio()
    become_fresh(engine, made, ada.trade(made)["revision"])
    forget_marks(folder)
    return made


def become_fresh(engine: Engine, portfolio_id: int, revision: int) -> None:
    saved = save(
        engine,
        {
            "portfolio_id": portfolio_id,
            "revision": revision,
            "market_revision": 0,
            "trigger": "trade",
            "computed_at": datetime.now(UTC),
            **dict.fromkeys(HEADLINE),
            "as_of": None,
            "duration_ms": 1.0,
            "method": "historical",
            "base_currency": "USD",
            "nav": 0,
            "gross": 0,
            "positions": 1,
            "pending_positions": 0,
            "inputs_hash": "0" * 64,
            "body": b'{"revision":%d}' % revision,
        },
    )
    assert saved is not None


def forget_marks(folder: Path) -> None:
    for mark in marks(folder):
        (folder / mark).unlink()


def marks(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith(("portfolio-", "credential-"))}


def credential(secret: str) -> str:
    return f"credential-{secret[:16]}"


def read(caller: Caller, portfolio_id: int, looked_at: str | None = None, **headers: str) -> TestResponse:
    """Ask as nginx does, which says at which marks it has looked."""
    said = looked_at or f"portfolio-{portfolio_id} {credential(caller.secret)}"
    return caller.get(f"/api/portfolios/{portfolio_id}/risk", headers={edge_cache.HEADER: said, **headers})


def kept_until(answer: TestResponse) -> int | None:
    assert answer.status_code == 200, answer.text
    allowed = answer.headers.get("X-Accel-Expires")
    return None if allowed is None else int(allowed.removeprefix("@"))


def test_an_answer_may_be_kept_until_its_second_ends_once_the_folder_names_its_reader(
    ada: Caller, portfolio_id: int
) -> None:
    assert kept_until(read(ada, portfolio_id)) is None
    before = time.time()
    until = kept_until(read(ada, portfolio_id))
    assert until is not None
    assert int(before) <= until <= time.time()


@pytest.mark.parametrize(
    "looked_at",
    [
        "portfolio-{id} credential-",
        "portfolio-0{id} {own}",
        "portfolio-{id} credential-attackersown0000",
        "portfolio-{id}0 {own}",
        " ",
    ],
)
def test_nothing_may_be_kept_that_other_marks_would_guard(ada: Caller, portfolio_id: int, looked_at: str) -> None:
    read(ada, portfolio_id).close()
    said = looked_at.format(id=portfolio_id, own=credential(ada.secret))
    assert kept_until(read(ada, portfolio_id, said)) is None
    assert kept_until(read(ada, portfolio_id)) is not None


def test_without_a_web_server_in_front_that_looks_at_marks_nothing_is_offered(ada: Caller, portfolio_id: int) -> None:
    for _ in range(3):
        answer = ada.get(f"/api/portfolios/{portfolio_id}/risk")
        assert "X-Accel-Expires" not in answer.headers


def test_nothing_may_be_kept_while_news_would_not_be_heard(ada: Caller, portfolio_id: int) -> None:
    read(ada, portfolio_id).close()
    assert kept_until(read(ada, portfolio_id)) is not None
    deliver({"kind": "interrupted"})
    assert kept_until(read(ada, portfolio_id)) is None
    deliver({"kind": "resync"})
    assert kept_until(read(ada, portfolio_id)) is not None


def test_only_what_is_up_to_date_may_be_kept(ada: Caller, portfolio_id: int, engine: Engine) -> None:
    read(ada, portfolio_id).close()
    revision = ada.trade(portfolio_id)["revision"]
    stale = read(ada, portfolio_id)
    assert stale.json is not None
    assert stale.json["state"] == "stale"
    assert kept_until(stale) is None
    become_fresh(engine, portfolio_id, revision)
    fresh = read(ada, portfolio_id)
    assert kept_until(fresh) is not None
    unchanged = read(ada, portfolio_id, **{"If-None-Match": fresh.headers["ETag"]})
    assert unchanged.status_code == 304
    assert "X-Accel-Expires" not in unchanged.headers


def test_nothing_may_be_kept_for_a_credential_that_is_about_to_end(
    ada: Caller, portfolio_id: int, engine: Engine
) -> None:
    read(ada, portfolio_id).close()
    ends = text("UPDATE api_tokens SET expires_at = :ends")
    for seconds, kept in ((0.9, False), (30, True)):
        with engine.begin() as connection:
            connection.execute(ends, {"ends": datetime.now(UTC) + timedelta(seconds=seconds)})
        assert (kept_until(read(ada, portfolio_id)) is not None) == kept


def test_every_write_to_a_portfolio_marks_it_before_it_answers(ada: Caller, portfolio_id: int, folder: Path) -> None:
    path = f"/api/portfolios/{portfolio_id}"
    trade = {"ticker": "AAPL", "quantity": "1", "price": "2"}
    trade_id = ada.trade(portfolio_id)["trade"]["id"]
    writes: list[tuple[str, str, Any]] = [
        ("POST", f"{path}/trades", trade),
        ("PATCH", f"{path}/trades/{trade_id}", {"quantity": "5"}),
        ("DELETE", f"{path}/trades/{trade_id}", None),
        ("POST", f"{path}/risk/recompute", None),
        ("PATCH", path, {"risk_window": 250}),
        ("POST", "/api/trades", trade),
        ("DELETE", path, None),
    ]
    for method, where, body in writes:
        forget_marks(folder)
        assert ada.send(method, where, body).status_code < 300
        assert marks(folder) == {f"portfolio-{portfolio_id}"}, (method, where)


def test_reads_and_refused_writes_mark_nothing(ada: Caller, eve: Caller, portfolio_id: int, folder: Path) -> None:
    path = f"/api/portfolios/{portfolio_id}"
    assert ada.get(path).status_code == 200
    assert ada.post(f"{path}/trades", {"ticker": "AAPL"}).status_code == 422
    assert eve.send("DELETE", path).status_code == 404
    assert marks(folder) == set()


@pytest.mark.parametrize("kind", ["risk", "progress", "access"])
def test_what_workers_and_others_tell_marks_the_portfolio(portfolio_id: int, folder: Path, kind: str) -> None:
    deliver({"kind": kind, "portfolio_id": portfolio_id})
    assert marks(folder) == {f"portfolio-{portfolio_id}"}


def test_a_token_that_is_revoked_anywhere_is_marked(
    app: Flask, ada: Caller, portfolio_id: int, folder: Path, engine: Engine
) -> None:
    reader = Caller(app, engine, ada.email, scope="read")
    for ends in (
        lambda: deliver({"kind": "access", "token_id": reader.token_id}),
        lambda: ada.send("DELETE", f"/api/tokens/{reader.token_id}"),
    ):
        forget_marks(folder)
        read(reader, portfolio_id).close()
        assert kept_until(read(reader, portfolio_id)) is not None
        ends()
        assert marks(folder) == {credential(reader.secret)}


def test_a_session_is_marked_when_it_is_signed_out(browser: Browser, portfolio_id: int, folder: Path) -> None:
    said = f"portfolio-{portfolio_id} {credential(browser.opened.token)}"
    for kept in (False, True):
        answer = browser.client.get(f"/api/portfolios/{portfolio_id}/risk", headers={edge_cache.HEADER: said})
        assert (kept_until(answer) is not None) == kept
    assert browser.send("DELETE", "/api/session").status_code == 204
    assert marks(folder) == {credential(browser.opened.token)}


def test_marks_stay_until_whatever_was_kept_has_run_out_and_no_longer(folder: Path) -> None:
    assert edge_cache.MARK_SECONDS > edge_cache.KEPT_SECONDS
    edge_cache.marks().make("portfolio-1", "portfolio-2")
    long_ago = time.time() - edge_cache.MARK_SECONDS - 0.01
    # As a crash leaves it, or the time.
    os.utime(folder / "portfolio-1", (long_ago, long_ago))
    edge_cache.marks().sweep()
    assert marks(folder) == {"portfolio-2"}
    edge_cache.marks().make("portfolio-2")
    os.utime(folder / "portfolio-2", (long_ago, long_ago))
    edge_cache.marks().make("portfolio-2")
    edge_cache.marks().sweep()
    assert marks(folder) == {"portfolio-2"}


def test_a_mark_that_is_made_again_is_not_swept_away_by_another_process(folder: Path) -> None:
    others = edge_cache.Marks(folder)
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            others.sweep()

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(3000):
            edge_cache.marks().make("portfolio-1")
            assert (folder / "portfolio-1").exists()
            # Old enough to be swept at any moment, also between this and the next making.
            with_age = time.time() - 10
            try:
                os.utime(folder / "portfolio-1", (with_age, with_age))
            except FileNotFoundError:
                raise AssertionError("swept too early") from None
    finally:
        done.set()
        sweeper.join()


def test_a_folder_that_cannot_be_written_keeps_nothing_and_costs_nothing_but_one_line(
    ada: Caller, portfolio_id: int, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    unusable = edge_cache.Marks(tmp_path / "file" / "marks")
    unusable.listening = True
    with capture_logs() as lines:
        unusable.sweep()
        unusable.make("portfolio-1")
        assert unusable.may_keep("known-token-1", credential(ada.secret), time.time()) is False
    assert [line["log_level"] for line in lines] == ["warning"]
    assert "EDGE_MARKS_DIR cannot be written" in lines[0]["event"]
    (tmp_path / "file").unlink()
    with capture_logs() as lines:
        unusable.sweep()
    assert [line["event"] for line in lines] == ["EDGE_MARKS_DIR can be written again"]


def warm(ada: Caller, portfolio_id: int) -> Credential:
    """Read until this process has an answer that it may use for half a second at least."""
    shown = Credential("token", ada.secret)

    def kept() -> bool:
        assert ada.get(f"/api/portfolios/{portfolio_id}/risk").status_code == 200
        return time.time() % 1 < 0.5 and edge_cache.find(portfolio_id, shown) is not None

    wait_until(kept, "an answer is kept")
    return shown


def test_this_process_keeps_answers_by_the_same_rule(
    ada: Caller, eve: Caller, portfolio_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/portfolios/{portfolio_id}/risk"
    shown = warm(ada, portfolio_id)

    def asked(*_: object) -> None:
        raise AssertionError("the database was asked")

    with monkeypatch.context() as patched:
        patched.setattr(Prepared, "row", asked)
        answer = ada.get(path)
        assert (answer.status_code, answer.json["state"]) == (200, "fresh")
        assert ada.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert eve.get(path).status_code == 404
    wait_until(lambda: edge_cache.find(portfolio_id, shown) is None, "its second has ended", 1.1)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "risk", "portfolio_id": True},
        {"kind": "access", "portfolio_id": True},
        {"kind": "access", "token_id": True},
        {"kind": "interrupted"},
    ],
)
def test_this_process_keeps_nothing_over_a_change(
    ada: Caller, portfolio_id: int, folder: Path, change: dict[str, Any]
) -> None:
    shown = warm(ada, portfolio_id)
    ids = {"portfolio_id": portfolio_id, "token_id": ada.token_id}
    deliver({name: ids.get(name, value) for name, value in change.items()})
    assert edge_cache.find(portfolio_id, shown) is None
