"""The built page and its headers, from a folder made for the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api import problems, spa
from tailwatch.settings import get_settings

INDEX = '<html><script nonce="__CSP_NONCE__"></script><app-root ngCspNonce="__CSP_NONCE__"></app-root></html>'


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "browser"
    folder.mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "main-FV5UK4ZV.js").write_text("1")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def client(dist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setenv("FRONTEND_DIST", str(dist))
    get_settings.cache_clear()
    app = Flask("page", static_folder=None)
    spa.register(app)
    problems.register(app)
    app.add_url_rule("/api/known", view_func=lambda: {"ok": True})
    yield app.test_client()
    get_settings.cache_clear()


@pytest.mark.parametrize("path", ["/", "/index.html", "/portfolios/5", "/sign-in", "/apix"])
def test_unknown_paths_give_the_page_with_a_nonce_of_their_own(client: FlaskClient, path: str) -> None:
    first, second = client.get(path), client.get(path)
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "no-store"
    nonces = [re.findall(r'[nN]once="([^"]+)"', answer.text) for answer in (first, second)]
    assert len(set(nonces[0])) == 1
    assert len(nonces[0]) == 2
    assert nonces[0] != nonces[1]
    policy = first.headers["Content-Security-Policy"]
    assert f"script-src 'self' 'nonce-{nonces[0][0]}'" in policy
    assert "unsafe" not in policy
    assert first.headers["X-Content-Type-Options"] == "nosniff"


def test_hashed_files_are_kept_for_ever_and_others_asked_about(client: FlaskClient) -> None:
    assert client.get("/main-FV5UK4ZV.js").headers["Cache-Control"] == "public, max-age=31536000, immutable"
    favicon = client.get("/favicon.svg")
    assert favicon.headers["Cache-Control"] == "no-cache"
    assert client.get("/favicon.svg", headers={"If-None-Match": favicon.headers["ETag"]}).status_code == 304


def test_a_file_of_another_build_is_missing_rather_than_html(client: FlaskClient) -> None:
    assert client.get("/main-OLDOLD12.js").status_code == 404


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd", "/..%2fsecret.txt", "/%00"])
def test_nothing_outside_the_build_is_sent(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert "secret" not in answer.text
    assert "root:" not in answer.text
    assert answer.status_code in {200, 404}


@pytest.mark.parametrize("path", ["/api", "/api/unknown", "/socket.io/x", "/metrics/x"])
def test_unknown_paths_of_programs_are_problems(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_data_gets_a_policy_that_forbids_everything(client: FlaskClient) -> None:
    answer = client.get("/api/known")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_host_header_does_not_write_policy(client: FlaskClient) -> None:
    answer = client.get("/", headers={"Host": "a; script-src *"})
    assert "script-src *" not in answer.headers.get("Content-Security-Policy", "")


def test_without_a_build_the_page_says_what_to_do(client: FlaskClient, dist: Path) -> None:
    (dist / "index.html").unlink()
    answer = client.get("/")
    assert answer.status_code == 503
    assert "./run" in answer.text
