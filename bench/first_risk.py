"""How long a newcomer with a broker's file waits for their own risk.

    ./run bench first_risk    # prints a table, then JSON; takes a minute

`./run` of this checkout with an empty data folder, as on the first day: new database, owner, demo. As soon as its
address is printed, a portfolio is made and a Flex report of Interactive Brokers imported through the API, first as a
dry run; its four shares in three currencies and their exchange rates are priced from a folder of files, five years
each. The clock stops when the snapshot of that portfolio has all of them in its figures. What installing takes is
`./run bench startup`.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from startup import GIVE_UP_SECONDS, ROOT, Launched

from tests.support.newcomer import BROKERS_FILE, HELD, fill

#: Seconds from ./run to the owner's own risk.
BAR_SECONDS = 60.0


def measure(folder: Path) -> dict[str, float]:
    """Start, import and wait; return the seconds of each part."""
    prices = folder / "prices"
    prices.mkdir()
    fill(prices, (datetime.now(UTC) - timedelta(days=1)).date())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launched = Launched(
        ROOT,
        folder / "output",
        TAILWATCH_DATA_DIR=str(folder / "data"),
        TAILWATCH_PORT=str(port),
        PRICE_SOURCES="folder,sample",
        PRICE_FOLDER=str(prices),
    )
    try:
        known = launched.session.get(f"{launched.url}/api/me", timeout=10).json()
        launched.session.headers["X-CSRF-Token"] = known["csrf_token"]
        api = f"{launched.url}/api/portfolios"
        made = launched.session.post(api, json={"name": "Mine"}, timeout=10)
        made.raise_for_status()
        mine = f"{api}/{made.json()['id']}"
        begun = time.monotonic()
        for dry_run in ("true", "false"):
            file = {"file": ("U1.csv", BROKERS_FILE.encode())}
            sent = launched.session.post(f"{mine}/trades/import", params={"dry_run": dry_run}, files=file, timeout=30)
            sent.raise_for_status()
        booked = time.monotonic()
        while not _is_whole(launched.session.get(f"{mine}/risk", timeout=10).json()):
            if time.monotonic() - booked > GIVE_UP_SECONDS:
                raise SystemExit("The portfolio never got its risk snapshot.")
            time.sleep(0.02)
        ready = time.monotonic()
    finally:
        launched.stop()
    return {
        "./run, first day, to address": round(launched.seconds_to_address, 1),
        "dry run and import": round(booked - begun, 2),
        "import to own risk": round(ready - booked, 2),
        "./run to own risk": round(ready - launched.begun, 1),
    }


def _is_whole(risk: dict[str, object]) -> bool:
    """Say whether a snapshot has the risk of every share of the file."""
    positions = risk.get("positions")
    return (
        risk["state"] == "fresh"
        and isinstance(positions, list)
        and {one["ticker"] for one in positions if one["status"] == "modelled"} == set(HELD)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailwatch-bench-") as folder:
        # As a folder in somebody's home is: one that the database's user can pass through if root starts it.
        Path(folder).chmod(0o755)
        result = measure(Path(folder))
    table = Table("", "measured", "bar", title="first risk")
    for name, seconds in result.items():
        table.add_row(name, f"{seconds} s", f"{BAR_SECONDS:g} s" if name == "./run to own risk" else "")
    Console().print(table)
    json.dump({"bench": "first_risk", "load": os.getloadavg()[0], **result}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
