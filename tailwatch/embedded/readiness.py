"""Asking a running web server whether everything behind it works."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

# A proxy from the environment is for the internet; the server asked here is ours.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def what_is_missing(url: str) -> str | None:
    """Return in words what does not work at the Tailwatch at `url`, or None."""
    try:
        with _opener.open(f"{url}/readyz", timeout=10):
            return None
    except urllib.error.HTTPError as error:
        with error:
            try:
                return str(json.load(error)["detail"])
            except (ValueError, KeyError):
                return f"The web server answers {error.code}."
    except OSError as error:
        return f"The web server does not answer: {error}."
