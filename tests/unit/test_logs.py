"""No secret reaches a log, wherever in an event, a message or a traceback it stands; what is harmless stays."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from tailwatch import logs
from tailwatch.settings import get_settings

PASSWORD = 'r7"K/9@p:w x\\Q'


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process in a container writes; logging is put back as it was."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://tailwatch@db/tailwatch")
    monkeypatch.setenv("DATABASE_PASSWORD", PASSWORD)
    monkeypatch.setenv("LOG_FORMAT", "json")
    get_settings.cache_clear()
    logs._own_secrets.cache_clear()
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("test")
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    sys.excepthook, threading.excepthook = before[2], before[3]
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    get_settings.cache_clear()
    logs._own_secrets.cache_clear()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_every_line_is_one_object_that_says_when_what_and_where(output: io.StringIO) -> None:
    structlog.get_logger("ours").info("trade booked", portfolio_id=7)
    logging.getLogger("library").warning("odd: %s", "line\nbreak")
    warnings.warn("deprecated thing", stacklevel=1)
    found = lines(output)
    assert len(found) == 3
    assert all({"timestamp", "level", "process", "event"} <= line.keys() for line in found)
    assert found[0]["portfolio_id"] == 7
    assert found[1]["event"] == "odd: line\nbreak"
    assert "deprecated thing" in found[2]["event"]


def test_what_nobody_caught_is_a_line_too(output: io.StringIO) -> None:
    def fails() -> None:
        local_password = PASSWORD
        raise RuntimeError(f"cannot go on, {len(local_password)}")

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    (line,) = lines(output)
    assert line["level"] == "critical"
    assert line["exception"][0]["exc_type"] == "RuntimeError"
    assert "local_password" not in json.dumps(line["exception"][0]["frames"][-1].get("locals") or {})


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.info("x", password=PASSWORD),
        lambda log: log.info("x", request={"headers": [{"X-CSRF-Token": PASSWORD, "Set-Cookie": PASSWORD}]}),
        lambda log: log.info("x", database_password=PASSWORD, api_token=PASSWORD),
        lambda log: log.info("cannot connect with %s", PASSWORD),
        lambda log: log.info("x", why=ValueError(PASSWORD)),
        lambda _: logging.getLogger("library").error("failed: %s", {"password": PASSWORD}),
        lambda _: logging.getLogger("library").error("failed", extra={"secret": PASSWORD}),
    ],
)
def test_the_processes_own_secret_is_hidden_wherever_it_stands(say: Any, output: io.StringIO) -> None:
    say(structlog.get_logger("ours"))
    assert "[hidden]" in output.getvalue()
    for spelling in (PASSWORD, json.dumps(PASSWORD)[1:-1], repr(PASSWORD)[1:-1]):
        assert spelling not in output.getvalue()


def test_a_traceback_shows_neither_secrets_nor_local_variables(output: io.StringIO) -> None:
    somebodys = "tw_" + "a1B2" * 10

    def connect(dsn: str) -> None:
        raise OSError(f"cannot reach {dsn} for {somebodys}")

    try:
        connect("postgresql://tailwatch:other-secret-9@db/risk")
    except OSError:
        structlog.get_logger("ours").exception("no database")
    text = output.getvalue()
    assert "cannot reach" in text
    assert "other-secret-9" not in text
    assert somebodys not in text
    assert "locals" not in text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://tailwatch:s3cret@db/x", "postgresql://tailwatch:[hidden]@db/x"),
        ("redis://:s3cret@cache:6379/0", "redis://:[hidden]@cache:6379/0"),
        ("token tw_0123456789abcdefXYZ-_ is unknown", "token tw_[hidden] is unknown"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer [hidden]"),
        ("GET http://host/sign-in#Abc-123_x", "GET http://host/sign-in#[hidden]"),
        ("host=db password=s3cret dbname=x", "host=db password=[hidden] dbname=x"),
        ("Cookie: tailwatch_session=abc; other=1", "Cookie: tailwatch_session=[hidden]; other=1"),
        ("{'password': 's3cret', 'email': 'a@b'}", "{'password': '[hidden]', 'email': 'a@b'}"),
        ('{\\"token\\": \\"s3cret\\"}', '{\\"token\\": \\"[hidden]\\"}'),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, hidden: str) -> None:
    assert logs.hide(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "snapshot 7 stored for portfolio 3",
        "http://localhost:8080/api/portfolios/1/risk",
        "two portfolios at 12:30:00, a@b.example",
        "The API token is unknown, revoked or expired.",
        "passwords do not match",
        "tokens: 3",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert logs.hide(text) == text


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@given(st.text(ALPHABET, min_size=24, max_size=43), st.text(max_size=40), st.text(max_size=40))
def test_no_token_gets_through_whatever_stands_around_it(secret: str, before: str, after: str) -> None:
    assume(secret not in before + after)
    for written in (f"tw_{secret}", f"Bearer {secret}", f"x/sign-in#{secret}", f"redis://:{secret}@host"):
        assert secret not in logs.hide(f"{before} {written} {after}")


nested = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(nested, st.sampled_from(["password", "csrf_token", "Authorization", "set-cookie", "client_secret"]))
def test_named_secrets_are_hidden_at_any_depth_and_nothing_else_is(value: Any, name: str) -> None:
    event = {"a": [{"b": value, name: "the secret value"}], "kept": value}
    found = logs._hide_named(None, "info", dict(event))
    assert "the secret value" not in repr(found)
    assert found["kept"] == value
    assert found["a"][0]["b"] == value
