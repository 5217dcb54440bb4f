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
from urllib.parse import quote

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
    forget()
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("test")
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    sys.excepthook, threading.excepthook, sys.unraisablehook = before[2:]
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    monkeypatch.undo()
    forget()


def forget() -> None:
    for remembered in (get_settings, logs._own_secrets, logs._name):
        remembered.cache_clear()


def reach(url: str) -> None:
    raise OSError(f"cannot reach {url}")


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
    assert "locals" not in output.getvalue()


def test_what_cannot_be_raised_is_a_line_too(output: io.StringIO) -> None:
    class Dying:
        def __del__(self) -> None:
            raise RuntimeError("too late")

    Dying()
    (line,) = lines(output)
    assert line["exception"][0]["exc_value"] == "too late"


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError(f"no words for {PASSWORD}")


@pytest.mark.parametrize(
    "say",
    [
        lambda: logging.getLogger("library").error(*("%d of %s", "one")),
        lambda: logging.getLogger("library").error("%s", Unspeakable()),
        lambda: structlog.get_logger("ours").error("x", what=Unspeakable()),
    ],
)
def test_what_cannot_be_put_into_words_is_still_one_line_that_says_where(say: Any, output: io.StringIO) -> None:
    # pytest's own cannot do it.
    del logging.getLogger().handlers[1:]
    say()
    (line,) = lines(output)
    assert line["level"] == "error"
    assert line["process"] == "test"
    assert "test_logs.py:" in line["event"]
    assert json.dumps(PASSWORD)[1:-1] not in output.getvalue()


def test_lines_are_bounded_and_strict(output: io.StringIO) -> None:
    around: dict[str, Any] = {"self": 1}
    around["self"] = around
    structlog.get_logger("ours").info("x" * 1_000_000, many=list(range(10_000)), around=around, share=float("nan"))
    assert len(output.getvalue()) < 20_000
    (line,) = lines(output)
    assert line["event"].endswith("(1000000 characters)")
    assert line["share"] == "nan"


def test_a_traceback_is_bounded(output: io.StringIO) -> None:
    def dig(depth: int) -> None:
        try:
            dig(depth - 1) if depth else int("y" * 100_000)
        except ValueError as error:
            raise ValueError("x" * 100_000) from error

    try:
        dig(100)
    except ValueError:
        structlog.get_logger("ours").exception("deep")
    assert len(output.getvalue()) < 200_000
    (line,) = lines(output)
    assert line["exception"][0]["exc_type"] == "ValueError"


def test_eyes_see_the_same_without_secrets(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "console")
    monkeypatch.setattr(sys, "stderr", output)
    get_settings.cache_clear()
    logs.configure("test")
    try:
        reach(f"redis://:{PASSWORD}@cache")
    except OSError:
        structlog.get_logger("ours").exception(
            "no cache", portfolio_id=7, password="another one", tried=["tw_" + "a" * 40]
        )
    text = output.getvalue()
    assert "no cache" in text
    assert "portfolio_id=7" in text
    assert "Traceback" in text
    assert "cannot reach" in text
    assert not any(secret in text for secret in (PASSWORD, "another one", "tw_aaa"))


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.info("x", password=PASSWORD),
        lambda log: log.info("x", request={"headers": [{"X-CSRF-Token": PASSWORD, "Set-Cookie": PASSWORD}]}),
        lambda log: log.info("x", database_password=PASSWORD, api_token=PASSWORD),
        lambda log: log.info("x", newPassword=PASSWORD, csrf=PASSWORD, token_hash=PASSWORD, cookies={"a": PASSWORD}),
        lambda log: log.info("x", **{PASSWORD: 1}),
        lambda log: log.info("x", answer={b"password": PASSWORD, ("a", "token"): PASSWORD}),
        lambda log: log.info("x", url=get_settings().database_url),
        lambda log: log.info("x", page=f"{'x' * 7_990}{PASSWORD}{'x' * 20_000}", password=PASSWORD),
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
    try:
        reach(f"postgresql://tailwatch:other-secret-9@db/risk for {somebodys}")
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
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: [hidden]"),
        ("refused bearer abcdefgh.1jkl", "refused bearer [hidden]"),
        ("postgresql://tailwatch:s3@cret@db/x", "postgresql://tailwatch:[hidden]@db/x"),
        ("sign-in%23Abc-123_x", "sign-in%23[hidden]"),
        ("X-CSRF-Token: a1b2c3d4", "X-CSRF-Token: [hidden]"),
        ("new_password=s3cret", "new_password=[hidden]"),
        ("SignIn(email='a@b', password='it is s3cret')", "SignIn(email='a@b', password='[hidden]')"),
        ("{b'token': b's3cret'}", "{b'token': b'[hidden]'}"),
        ('{"token_hash":"a\\"s3cret"}', '{"token_hash":"[hidden]"}'),
        ('{"password": "cut o', '{"password": "[hidden]"'),
        ("GET http://host/sign-in#Abc-123_x", "GET http://host/sign-in#[hidden]"),
        ("host=db password=s3cret dbname=x", "host=db password=[hidden] dbname=x"),
        ("Cookie: tailwatch_session=abc; other=1", "Cookie: [hidden]"),
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
        "wrong password: try again",
        "no cookie: sign in",
        "token_id=7, cookie_secure=False, password=None",
        "bearer of good news",
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


WRITTEN = [
    lambda secret: json.dumps({"id": 7, "password": secret}),
    lambda secret: json.dumps({"body": json.dumps({"password": secret})}),
    lambda secret: repr({"id": 7, "password": secret}),
    lambda secret: f"Request(id=7, new_password={secret!r}, scope='read')",
    lambda secret: f"/session?csrf_token={quote(secret, safe='')}&next=/",
]


@given(st.text(min_size=8, max_size=40), st.sampled_from(WRITTEN))
def test_a_named_secret_is_hidden_whatever_it_is_made_of(secret: str, written: Any) -> None:
    text = written(secret)
    found = logs.hide(text)
    for spelling in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")}:
        # As much of it as is more than chance.
        assert not any(
            spelling[i : i + 5] in found and spelling[i : i + 5] not in BESIDE for i in range(len(spelling) - 4)
        )


#: What the ways of writing it contain beside the secret.
BESIDE = "".join(logs.hide(written("")) + logs.hide(written("x")) for written in WRITTEN) + logs.HIDDEN


nested = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(nested, st.sampled_from(["password", "csrf_token", "Authorization", "set-cookie", "client_secret"]))
def test_named_secrets_are_hidden_at_any_depth_and_nothing_else_is(value: Any, name: str) -> None:
    event = {"a": [{"b": value, name: "the secret value"}], "kept": value}
    found = logs._scrub(None, "info", dict(event))
    assert "the secret value" not in repr(found)
    assert found["kept"] == value
    assert found["a"][0]["b"] == value
