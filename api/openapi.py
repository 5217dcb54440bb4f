"""`python -m api.openapi`: write api/openapi.json from the routes, or check (`--check`) that it is what they say."""

from __future__ import annotations

import argparse
import json
import sys

from api.app import create_app
from api.specification import COMMITTED, document


def serialised() -> str:
    """Return the document as it is committed."""
    return json.dumps(document(create_app()), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or check the committed document; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m api.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if it differs")
    wanted = serialised()
    if not parser.parse_args().check:
        COMMITTED.write_text(wanted, encoding="utf-8")
        return 0
    if COMMITTED.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write("api/openapi.json is not what the routes say. Run: python -m api.openapi\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
