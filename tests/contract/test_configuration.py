"""Configuration is code too: every setting documented, every queue consumed, every task of the timetable there."""

from __future__ import annotations

import re
from pathlib import Path

from scheduler.schedule import TIMETABLE
from tailwatch import queue
from tailwatch.embedded import programs
from tailwatch.secret_files import SECRETS
from tailwatch.settings import Settings
from worker.app import app

ROOT = Path(__file__).resolve().parents[2]
#: Read by the launcher before there are settings.
LAUNCHER_ONLY = {"TAILWATCH_DATA_DIR"}


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = {}
    for number, line in enumerate(lines):
        match = re.fullmatch(r"#?([A-Z_]+)=(.*)", line)
        if match:
            found[match[1]] = lines[number - 1]
    return found


def compose_only() -> set[str]:
    """Variables that the Compose file itself asks for, and the secrets that it has made."""
    asked = set(re.findall(r"\$\{([A-Z_]+):-", (ROOT / "docker-compose.yml").read_text()))
    return asked | {secret.variable for secret in SECRETS}


def test_every_setting_is_explained_and_nothing_else_is() -> None:
    names = {name.upper() for name in Settings.model_fields}
    assert set(documented()) == names | LAUNCHER_ONLY | compose_only()


def test_every_setting_follows_an_explanation() -> None:
    unexplained = [name for name, above in documented().items() if not above.startswith("#")]
    assert unexplained == []


def test_the_defaults_in_the_example_are_the_codes() -> None:
    lines = (ROOT / ".env.example").read_text()
    given = dict(re.findall(r"^#([A-Z_]+)=(.+)$", lines, re.MULTILINE))
    for name in ("PRICE_SOURCES", "SESSION_DAYS", "NIGHTLY_AT", "TAILWATCH_PORT", "PRICE_HISTORY_DAYS"):
        parsed = Settings.model_validate({name.lower(): given[name]})
        default = Settings.model_fields[name.lower()].default
        assert getattr(parsed, name.lower()) == default, name


def consumed() -> set[str]:
    """Queues that some worker of the launcher consumes, from its own configuration."""
    commands = " ".join(" ".join(program.command) for program in programs.WORKERS)
    return {name for group in re.findall(r"-Q (\S+)", commands) for name in group.split(",")}


def test_every_queue_is_consumed() -> None:
    assert consumed() == set(queue.QUEUES)


def test_every_task_goes_to_a_queue_that_exists() -> None:
    routed = {route["queue"] for route in app.conf.task_routes.values()}
    assert routed <= set(queue.QUEUES)
    assert app.conf.task_default_queue in queue.QUEUES


def test_the_timetable_names_registered_tasks_only() -> None:
    assert {entry["task"] for entry in TIMETABLE.values()} <= set(app.tasks)


def test_every_queue_is_probed() -> None:
    probed = {entry["options"]["queue"] for entry in TIMETABLE.values() if entry["task"] == queue.PROBE}
    assert probed == set(queue.QUEUES)


def test_every_task_of_ours_can_be_sent_by_a_name_of_the_queue_module() -> None:
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == {
        queue.REFRESH_RISK,
        queue.FETCH_PRICES,
        queue.NIGHTLY_PRICES,
        queue.HOUSEKEEPING,
        queue.DAILY_BACKUP,
        queue.RUN_BACKTEST,
        queue.LOOK_BACK,
        queue.PROBE,
        queue.ANSWER_PROBE,
    }
