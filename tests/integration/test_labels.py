"""`label` as it is typed, and what becomes of it in the next snapshot."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
from sqlalchemy import Engine

from tailwatch import accounts, demo
from tailwatch.db.session import transaction
from tailwatch.embedded.environment import ROOT
from tests.support.work import newest, work_off

pytestmark = pytest.mark.usefixtures("worker_process")


@pytest.fixture
def demo_id(engine: Engine) -> int:
    with transaction(engine) as session:
        made = demo.load(session, accounts.create_owner(session, "owner@example.org"))
    assert made is not None
    work_off(engine)
    return made


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)


def label(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tailwatch.cli", "label", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=120)


def test_risk_is_added_up_by_the_labels(engine: Engine, demo_id: int) -> None:
    body = newest(engine, demo_id)
    sectors = {group["label"]: group for group in body["by_label"]["sector"]}
    assert sectors["Energy"]["positions"] == 3
    assert None not in sectors
    for groups in (body["by_currency"], *body["by_label"].values()):
        for part, whole in (
            ("component_volatility", "annualized_volatility"),
            ("component_var_95", "var_95_1d"),
            ("component_es_975", "es_975_1d"),
        ):
            assert math.fsum(group[part] for group in groups) == pytest.approx(body[whole], rel=1e-12)

    said = label("xom", "sector=Oil & Gas", "asset_class=")
    assert (said.returncode, said.stdout) == (0, "XOM: sector=Oil & Gas\n")
    work_off(engine)
    relabelled = newest(engine, demo_id)
    sectors = {group["label"]: group for group in relabelled["by_label"]["sector"]}
    assert sectors["Energy"]["positions"] == 2
    assert sectors["Oil & Gas"]["positions"] == 1
    assert None in {group["label"] for group in relabelled["by_label"]["asset_class"]}
    assert relabelled["var_95_1d"] == body["var_95_1d"]
    assert label("XOM").stdout == "XOM: sector=Oil & Gas\n"


@pytest.mark.parametrize("words", [("KO", "colour=red"), ("KO", "sector"), ("KO", "sector=" + "x" * 61), ("NONE",)])
def test_what_cannot_be_is_said_in_a_sentence(engine: Engine, demo_id: int, words: tuple[str, ...]) -> None:
    said = label(*words)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    assert words[0 if len(words) == 1 else 1].partition("=")[0] in said.stderr
