"""`python -m api.alive`: the container's health check. Fails, with the reason, if this server cannot book a trade.

Asked of the server itself, over HTTP. The broker and the workers have health checks of their own: without them trades
are still booked, so they are no reason to call the API sick.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Final

NEEDED: Final = ("database", "migrations")


def main() -> int:
    """Print what is wrong, if anything is; return the exit status."""
    url = f"http://127.0.0.1:{os.environ.get('TAILWATCH_PORT', '8080')}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:
            checks = json.load(answer)["checks"]
    except urllib.error.HTTPError as refusal:
        checks = json.load(refusal).get("checks", {})
    except (OSError, ValueError) as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    unknown = {"ok": False, "detail": "The server did not say how it is."}
    found = [checks.get(name, unknown) for name in NEEDED]
    wrong = [check["detail"] for check in found if not check["ok"]]
    sys.stdout.write(" ".join(wrong) or "ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
