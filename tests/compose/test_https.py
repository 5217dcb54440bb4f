"""HTTPS with a certificate of one's own, and behind a proxy that has one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import socketio

from tests.compose.stack import Person, Stack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(command, check=True, capture_output=True)
    # In a folder that the container's user may enter; pytest's own are for nobody else.
    public = Path("/var/tmp") / f"tailwatch-tls-{os.getpid()}"
    shutil.copytree(folder, public)
    public.chmod(0o755)
    for file in public.iterdir():
        file.chmod(0o644)
    return public


@pytest.fixture(scope="module")
def https(stack: Stack, certificate: Path) -> Iterator[Stack]:
    secure = Stack(f"{stack.project}-https", TLS_FOLDER=str(certificate), COOKIE_SECURE="true")
    secure.url = f"https://localhost:{secure.https_port}"
    try:
        secure.up("--no-build")
        yield secure
    finally:
        secure.down()
        shutil.rmtree(certificate)


def test_http_leads_to_https(https: Stack) -> None:
    answer = requests.get(f"{https.plain_url}/api/me", allow_redirects=False, timeout=5)
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{https.url}/api/me")


def test_a_person_signs_in_and_is_told_live(https: Stack, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "fullchain.pem"))
    person = Person(https, public_url=https.plain_url)
    assert all(cookie.secure for cookie in person.http.cookies)
    portfolio_id = person.post("/api/portfolios", {"name": "Main"})["id"]
    answer = person.http.get(f"{https.url}/", timeout=5)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert (
        person.http.get(f"{https.url}/api/me", timeout=5).headers["Strict-Transport-Security"] == "max-age=31536000"
    )
    client = socketio.Client(http_session=person.http, ssl_verify=False)
    client.connect(https.url, transports=["websocket"])
    assert client.call("subscribe", {"portfolio_id": portfolio_id})["state"] == "empty"
    client.disconnect()


def test_a_live_connection_from_another_site_is_refused(
    https: Stack, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "fullchain.pem"))
    person = Person(https, public_url=https.plain_url)
    for origin, taken in ((https.url, True), ("https://elsewhere.example.org", False), (https.plain_url, False)):
        client = socketio.Client(
            http_session=person.http,
            ssl_verify=False,
            reconnection=False,
            websocket_extra_options={"origin": origin},
        )
        try:
            client.connect(https.url, transports=["websocket"])
        except socketio.exceptions.ConnectionError:
            assert not taken, origin
        else:
            client.disconnect()
            assert taken, origin


def test_only_a_trusted_proxy_is_believed(stack: Stack) -> None:
    """nginx tells the API which scheme the caller used; from anybody else the header is dropped."""
    script = (
        "curl -sS -o /dev/null -w '%{http_code}' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-For: 203.0.113.9' "
    )
    script += "http://127.0.0.1:8080/api/me"
    for trusted in ("", "127.0.0.1/32"):
        other = Stack(f"{stack.project}-proxied", TRUSTED_PROXIES=trusted)
        try:
            other.compose("up", "-d", "--no-build", "--no-deps", "frontend")
            other.compose("exec", "-T", "frontend", "sh", "-c", script)
            settings = other.compose("exec", "-T", "frontend", "cat", "/tmp/nginx/settings.conf").decode()
            assert ("set_real_ip_from 127.0.0.1/32;" in settings) is bool(trusted)
            logged = [line for line in other.logs("frontend").splitlines() if '"path":"/api/me"' in line]
            assert logged, other.logs("frontend")
            assert ('"client":"203.0.113.9"' in logged[-1]) is bool(trusted)
        finally:
            other.down()
