"""What the Compose file promises: who can be reached, what each service may do, which settings it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from api import spa
from tailwatch import queue
from tailwatch.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
#: Do what they are there for and end.
ONE_SHOT = {"secrets", "migrate"}
NGINX = ROOT / "frontend" / "nginx"


def test_every_service_of_the_product_is_there() -> None:
    wanted = {"postgres", "redis", "migrate", "api", "worker", "worker-nightly", "scheduler", "frontend", "flower"}
    assert wanted <= set(SERVICES)


def test_live_quotes_are_switched_on_by_their_profile_alone() -> None:
    quotes = SERVICES["quotes"]
    assert quotes["profiles"] == ["quotes"]
    assert quotes["environment"]["LIVE_QUOTES"] == "on"
    assert "LIVE_QUOTES" not in COMPOSE["x-settings"]
    assert quotes["networks"] == ["data", "outside"]


def test_prices_of_ones_own_are_mounted_to_be_read_only_where_they_are_asked_for() -> None:
    assert COMPOSE["x-settings"]["PRICE_FOLDER"] == "${PRICE_FOLDER:+/prices}"
    mounted = {
        name: [volume for volume in service.get("volumes", []) if ":/prices" in volume]
        for name, service in SERVICES.items()
    }
    assert {name for name, volumes in mounted.items() if volumes} == {"worker-nightly"}
    assert mounted["worker-nightly"] == ["${PRICE_FOLDER:-./deploy/prices}:/prices:ro"]


def test_only_the_web_server_is_published() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["frontend"]
    assert not [name for name, service in SERVICES.items() if service.get("network_mode") == "host"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_confined_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_every_lasting_service_comes_back_and_says_how_it_is(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nobody_waits_for_a_service_without_a_condition(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == "service_completed_successfully" if needed in ONE_SHOT else how["condition"]


def test_every_queue_is_consumed() -> None:
    commands = [" ".join(service["command"]) for service in SERVICES.values() if "command" in service]
    consumed = {name for group in re.findall(r"-Q (\S+)", " ".join(commands)) for name in group.split(",")}
    assert consumed == set(queue.QUEUES)


def test_the_database_and_the_broker_have_no_way_out() -> None:
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"]["internal"] is True


def test_no_secret_is_written_in_the_file() -> None:
    given = re.findall(r"(?:PASSWORD|TOKEN|SECRET)\w*: *(\S*)", TEXT)
    assert given
    for value in given:
        assert value == '""' or value.startswith("/run/") or re.fullmatch(r"\$\{[A-Z_]+:-\}", value), value


def variables() -> dict[str, str]:
    """Names of variables that the file asks .env for, with their defaults."""
    inner = dict(re.findall(r"\$\{([A-Z_]+):-([^{}]*)\}", TEXT))
    outer = dict(re.findall(r"\$\{([A-Z_]+):-([^{}]*\$\{[^{}]*\}[^{}]*)\}", TEXT))
    return inner | outer


def test_every_variable_is_explained_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text()
    for name, default in variables().items():
        if name.lower() in Settings.model_fields:
            continue
        written = re.search(rf"^#{name}=(.*)$", example, re.MULTILINE)
        assert written is not None, f"{name} is not in .env.example"
        assert written[1] == default, name


def test_no_variable_is_taken_without_a_default() -> None:
    assert not re.findall(r"\$\{[A-Z_]+\}|\$[A-Z_]+", TEXT)


# --- the web server in front says the same as the API without it ---


def directives(file: str) -> dict[str, str]:
    found = re.findall(r'^add_header (\S+) ("(?:[^"]*)"|\S+) always;', (NGINX / file).read_text(), re.MULTILINE)
    return {name: value.strip('"') for name, value in found}


def test_nginx_sends_the_security_headers_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    from api.app import create_app  # noqa: PLC0415 - builds the routes

    app = create_app()
    answer = app.test_client().get("/healthz", headers={"Host": "risk.example.org"})
    common = directives("headers-common.conf")
    policy = common.pop("Strict-Transport-Security")
    assert policy == "$strict_transport_security"
    assert common
    assert {name: answer.headers.get(name) for name in common} == common
    data = directives("headers-data.conf")
    assert answer.headers["Content-Security-Policy"] == data["Content-Security-Policy"]
    with app.test_request_context("/", headers={"Host": "risk.example.org"}):
        page = spa.content_security_policy("NONCE")
    rendered = directives("headers-page.conf")["Content-Security-Policy"]
    assert rendered.replace("$request_id", "NONCE").replace("$policy_host", "risk.example.org") == page


def test_nginx_knows_the_same_paths_of_programs_as_the_api() -> None:
    site = (NGINX / "site.conf").read_text()
    (programs,) = re.findall(r"location ~ \^/\(([a-z|]+)\)\(/\|\$\) \{", site)
    assert {f"/{name}" for name in programs.split("|")} | {"/socket.io"} == set(spa._NOT_THE_PAGE)
    assert spa._HASHED.pattern.removesuffix(r"\.[a-z0-9]+$") in site
