"""How long a newcomer waits, and how much memory the whole stack takes.

    ./run bench startup    # prints a table, then JSON; takes some minutes

A copy of the checkout in an empty folder, started with `./run` as a newcomer does: until the address is printed,
until the first risk snapshot of the demo portfolio is there; then stopped and started once more. Package caches are
those of this machine: run it twice for "warm". Memory is the proportional set size of every process after half a
minute of rest, so that what processes share is counted once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import requests
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
REST_SECONDS = 30
GIVE_UP_SECONDS = 900
#: Seconds and megabytes that are not to be exceeded on a quiet machine with two cores.
BARS = {"fresh clone to address": 120, "fresh clone to first snapshot": 120, "second start": 6, "memory at rest": 500}
#: What the launcher reads from the environment; a newcomer has none of it.
OF_THE_LAUNCHER = {"DATABASE_URL", "REDIS_URL", "TAILWATCH_URL", "TAILWATCH_PORT", "TAILWATCH_DATA_DIR"}


class Launched:
    """`./run` in a checkout, with a session signed in by the printed link."""

    def __init__(self, checkout: Path, output: Path, **settings: str) -> None:
        self._output = output
        environment = {name: value for name, value in os.environ.items() if name not in OF_THE_LAUNCHER} | settings
        self.begun = time.monotonic()
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                ["python3", "run"], cwd=checkout, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL
            )
        link = self._wait_for_link()
        self.seconds_to_address = time.monotonic() - self.begun
        self.url, secret = link
        self.session = requests.Session()
        self.session.post(f"{self.url}/api/session/link", json={"token": secret}, timeout=10).raise_for_status()

    def _wait_for_link(self) -> tuple[str, str]:
        while self._process.poll() is None and time.monotonic() - self.begun < GIVE_UP_SECONDS:
            match = re.search(r"(http://\S+)/sign-in#(\S+)\n", self._output.read_text(errors="replace"))
            if match:
                return match[1], match[2]
            time.sleep(0.02)
        raise SystemExit(f"./run did not become ready:\n{self._output.read_text(errors='replace')}")

    def seconds_to_snapshot(self) -> float:
        """Wait until the demo portfolio's risk is up to date; return the seconds since the start."""
        (demo,) = self.session.get(f"{self.url}/api/portfolios", timeout=10).json()["items"]
        while time.monotonic() - self.begun < GIVE_UP_SECONDS:
            risk = self.session.get(f"{self.url}/api/portfolios/{demo['id']}/risk", timeout=10).json()
            if risk["state"] == "fresh" and risk.get("var_95_1d") is not None:
                return time.monotonic() - self.begun
            time.sleep(0.02)
        raise SystemExit("The demo portfolio never got its risk snapshot.")

    def memory(self) -> dict[str, float]:
        """Return megabytes by program, children with their parents."""
        launcher = psutil.Process(self._process.pid)
        found: dict[str, float] = {}
        for process in [launcher, *launcher.children(recursive=True)]:
            full = process.memory_full_info()
            # macOS has no proportional size; what is unshared comes closest.
            size = getattr(full, "pss", full.uss)
            name = _program(" ".join(process.cmdline()))
            found[name] = found.get(name, 0.0) + size / 1e6
        return {name: round(megabytes, 1) for name, megabytes in found.items()}

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(120)


def _program(command: str) -> str:
    words = {
        "supervisor.supervisord": "supervisor",
        "postgres": "PostgreSQL",
        "valkey-server": "Valkey",
        "gunicorn": "web server",
        "-Q interactive": "worker (interactive)",
        "-Q nightly": "worker (background)",
        "-m scheduler": "scheduler",
        "tailwatch.cli": "launcher",
    }
    return next((name for word, name in words.items() if word in command), "other")


def copy_checkout(target: Path) -> None:
    """Copy what a clone would hold, uncommitted changes included."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def measure(folder: Path) -> dict[str, object]:
    """Run both starts; return seconds and megabytes."""
    checkout = folder / "tailwatch"
    copy_checkout(checkout)
    first = Launched(checkout, folder / "output")
    try:
        snapshot = first.seconds_to_snapshot()
    finally:
        first.stop()
    second = Launched(checkout, folder / "output")
    try:
        time.sleep(REST_SECONDS)
        memory = second.memory()
    finally:
        second.stop()
    return {
        "fresh clone to address": round(first.seconds_to_address, 1),
        "fresh clone to first snapshot": round(snapshot, 1),
        "second start": round(second.seconds_to_address, 1),
        "memory at rest": round(sum(memory.values()), 1),
        "memory by program": memory,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailwatch-bench-") as folder:
        # As a folder in somebody's home is: one that the database's user can pass through if root starts it.
        Path(folder).chmod(0o755)
        result = measure(Path(folder))
    table = Table("", "measured", "bar", title="startup")
    for name, bar in BARS.items():
        unit = "MB" if "memory" in name else "s"
        table.add_row(name, f"{result[name]} {unit}", f"{bar} {unit}", end_section=name == "memory at rest")
    memory = result["memory by program"]
    assert isinstance(memory, dict)  # noqa: S101 - for the type checker
    for name, megabytes in sorted(memory.items(), key=lambda item: -item[1]):
        table.add_row(f"  {name}", f"{megabytes} MB", "")
    Console().print(table)
    json.dump({"bench": "startup", "load": os.getloadavg()[0], **result}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
