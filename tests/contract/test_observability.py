"""Alerts and dashboard ask for what is really measured, and the guide explains all of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.product import running_product
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "observability"
GUIDE = (ROOT / "docs" / "operations.md").read_text()
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "rules" / "tailwatch.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboards" / "tailwatch.json").read_text())
#: Series of things that a product of tests does not have, as api/installation.py or Prometheus itself make them.
ELSEWHERE: dict[str, set[str]] = {
    "up": {"job"},
    "tailwatch_nginx_up": set(),
    "tailwatch_nginx_connections": set(),
    "tailwatch_nginx_requests_total": set(),
    "tailwatch_nightly_age_seconds": set(),
    "tailwatch_backup_age_seconds": set(),
    "tailwatch_backup_bytes": set(),
    "tailwatch_backup_failed": set(),
    "tailwatch_broker_persistence_ok": {"kind"},
}


def expressions() -> list[str]:
    asked = [rule["expr"] for rule in RULES]
    for panel in DASHBOARD["panels"]:
        asked += [target["expr"] for target in panel.get("targets", [])]
    return [expression.replace("$__rate_interval", "1m") for expression in asked]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """The names of all series of a running product, with their labels."""
    backups = tmp_path_factory.mktemp("backups")
    with running_product(METRICS_PUSH_SECONDS="0.2", BACKUP_DIR=str(backups)) as product:
        portfolio_id = product.create_portfolio("Measured")
        product.wait_fresh(portfolio_id, product.trade(portfolio_id)["revision"])
        found: dict[str, set[str]] = {}

        def scrape() -> None:
            text = requests.get(f"{product.url}/metrics", timeout=10).text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)

        def everything() -> bool:
            scrape()
            return {
                "tailwatch_snapshots_total",
                "tailwatch_provider_requests_total",
                "tailwatch_scheduler_tick_timestamp_seconds",
                "tailwatch_live_messages_total",
            } <= found.keys()

        wait_until(everything, "workers and scheduler have published what they counted")
        # A counter with labels shows itself with its first event; nobody watches here.
        found.setdefault("tailwatch_live_events_total", {"event"})
        yield found


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Series that an expression selects, with the labels it names there."""
    text = str(promql_parser.parse(expression))
    return [
        (name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels or "")))
        for name, labels in re.findall(r"\b((?:tailwatch|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?", text)
    ]


def test_every_expression_is_one() -> None:
    asked = expressions()
    assert len(asked) > 50
    for expression in asked:
        promql_parser.parse(expression)


def test_every_series_that_is_asked_for_is_measured(measured: dict[str, set[str]]) -> None:
    known = measured | ELSEWHERE
    for expression in expressions():
        found = selectors(expression)
        assert found, expression
        for name, labels in found:
            assert name in known, f"{name} in {expression}"
            assert labels <= known[name], f"{labels} of {name} in {expression}"


def test_every_measurement_is_explained(measured: dict[str, set[str]]) -> None:
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in measured | ELSEWHERE if name != "up"}
    ours = {name for name in families if name.startswith("tailwatch_")}
    assert len(ours) > 40
    assert {name for name in ours if f"`{name}" not in GUIDE} == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["for"]
    anchor = rule["annotations"]["runbook_url"].removeprefix("docs/operations.md#")
    assert anchor == rule["alert"].lower()
    assert f"\n### {rule['alert']}\n" in GUIDE


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [
        case
        for test in yaml.safe_load((FOLDER / "tests" / "tailwatch.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    alerts = {rule["alert"] for rule in RULES}
    assert {"PortfolioStale", "QueueLag", "NightlyMissed", "ProviderFailing", "DiskNearlyFull"} <= alerts
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH; the workflow has it")
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    for arguments in (["check", "rules", "rules/tailwatch.yml"], ["test", "rules", "tests/tailwatch.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
