"""How often: writes by credential, sign-ins by address and by account.

Sign-ins are counted in Valkey, so that the limit holds over all processes; while Valkey is away each process counts
for itself. Writes are counted by each process always: their limit stops a loop that has gone wild, for which a few
times the number does as well, and asking Valkey would cost every trade a millisecond.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.auth import SESSION_COOKIE
from api.database import SAFE_METHODS
from tailwatch.settings import get_settings

#: A request never waits longer than this for the counters.
_PATIENCE_SECONDS: Final = 0.1


def _credential() -> str:
    """Name the caller before the credential is looked up: what it is does not matter for counting."""
    secret = request.headers.get("Authorization") or request.cookies.get(SESSION_COOKIE)
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()[:32] if secret else get_remote_address()


def _account() -> str:
    body = request.get_json(silent=True)
    email = body.get("email") if isinstance(body, dict) else None
    return hashlib.sha256(str(email).strip().lower().encode("utf-8", "replace")).hexdigest()[:32]


class WriteLimiter(Limiter):
    """A limiter that reads pass by: finding out that they have no limit takes a third of a small answer's time."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        if request.method not in SAFE_METHODS:
            super()._check_request_limit(callable_name, in_middleware)


# Without the burst of twice the limit around the turn of a minute that fixed windows let through.
_STRATEGY: Final = "sliding-window-counter"

writes = WriteLimiter(
    key_func=_credential,
    application_limits=[lambda: f"{get_settings().writes_per_minute}/minute"],
    storage_uri="memory://",
    strategy=_STRATEGY,
)
sign_ins = WriteLimiter(key_func=get_remote_address, in_memory_fallback_enabled=True, strategy=_STRATEGY)


def _attempts() -> str:
    return f"{get_settings().login_attempts_per_minute}/minute"


by_address = sign_ins.limit(_attempts, key_func=get_remote_address)
by_account = sign_ins.limit(_attempts, key_func=_account)


def register(app: Flask) -> None:
    """Limit `app`'s writes and sign-ins."""
    url = get_settings().redis_url
    options: dict[str, Any] = {
        "socket_timeout": _PATIENCE_SECONDS,
        "socket_connect_timeout": _PATIENCE_SECONDS,
        # redis-py's default tries for seconds; counting for ourselves meanwhile is better.
        "retry": Retry(NoBackoff(), 0),
    }
    app.config["RATELIMIT_STORAGE_URI"] = "redis+" + url if url.startswith("unix://") else url
    app.config["RATELIMIT_STORAGE_OPTIONS"] = options
    writes.init_app(app)
    sign_ins.init_app(app)
