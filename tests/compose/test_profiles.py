"""The optional parts, behind the same web server."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import requests

from tests.compose.stack import Person, Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]


def test_a_part_that_does_not_run_says_how_to_start_it(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/flower/", timeout=10)
    assert answer.status_code == 404
    assert "--profile flower" in answer.text


def test_flower_asks_for_its_password(stack: Stack) -> None:
    stack.compose("--profile", "flower", "up", "-d", "--build", "--no-deps", "--wait", "flower")
    assert requests.get(f"{stack.url}/flower/", timeout=10).status_code == 401
    password = stack.compose("exec", "-T", "api", "cat", "/run/tailwatch-secrets/flower_password").decode()
    answer = requests.get(f"{stack.url}/flower/", auth=("tailwatch", password), timeout=10)
    assert answer.status_code == 200
    assert "Flower" in answer.text
    stack.compose("--profile", "flower", "rm", "-sf", "flower")


def test_metrics_of_every_service_through_the_web_server(stack: Stack, person: Person) -> None:
    assert requests.get(f"{stack.url}/metrics", timeout=10).status_code == 401
    token = stack.compose("exec", "-T", "api", "cat", "/run/tailwatch-secrets/metrics_token").decode()

    def services() -> set[str]:
        answer = requests.get(f"{stack.url}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert answer.status_code == 200
        named = {"web", "worker", "worker-nightly", "scheduler"}
        return {name for name in named if f'service="{name}"' in answer.text} | (
            {"nginx"} if "tailwatch_nginx_up 1.0" in answer.text else set()
        )

    wait_until(lambda: services() >= {"web", "worker", "worker-nightly", "scheduler", "nginx"}, "all are there", 60)


def test_prometheus_scrapes_and_has_the_rules(stack: Stack) -> None:
    images = stack.compose("--profile", "observability", "config", "--images").decode().split()
    for image in images:
        if image.startswith("tailwatch"):
            continue
        known = subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True)
        if known.returncode and subprocess.run(["docker", "pull", "-q", image], check=False).returncode:
            pytest.skip(f"{image} cannot be pulled here")
    stack.compose("--profile", "observability", "up", "-d", "--no-deps", "--wait", "prometheus", "grafana")

    def ask(path: str) -> Any:
        said = stack.compose("exec", "-T", "prometheus", "wget", "-q", "-O", "-", f"http://127.0.0.1:9090{path}")
        return json.loads(said)["data"]

    wait_until(
        lambda: [target["health"] for target in ask("/api/v1/targets")["activeTargets"]] == ["up"], "the scrape", 90
    )
    assert sum(len(group["rules"]) for group in ask("/api/v1/rules")["groups"]) >= 10
    assert requests.get(f"{stack.url}/grafana/login", timeout=10).status_code == 200
    password = stack.compose("exec", "-T", "api", "cat", "/run/tailwatch-secrets/grafana_password").decode()
    found = requests.get(f"{stack.url}/grafana/api/search?type=dash-db", auth=("admin", password), timeout=10)
    assert any("Tailwatch" in board["title"] for board in found.json())
    stack.compose("--profile", "observability", "rm", "-sf", "prometheus", "grafana")
