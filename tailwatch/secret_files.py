"""The secrets of an installation that runs in containers, as files: taken from the settings, or made at first start.

Nothing is shipped with a secret that is the same everywhere, and nobody has to think one up.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailwatch.errors import TailwatchError
from tailwatch.settings import refuse_weak

#: 256 bits; no characters that mean anything in an address, a shell or a configuration file.
_BYTES: Final = 32


class SecretError(TailwatchError):
    """A secret cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of the installation."""

    #: Its file's name.
    name: str
    #: Variable that gives it; `…_FILE` works too.
    variable: str
    #: Whether its user keeps a copy, so that another value here would lock everybody out.
    kept_elsewhere: bool = False


SECRETS: Final = (
    Secret("postgres_password", "POSTGRES_PASSWORD", kept_elsewhere=True),
    Secret("redis_password", "REDIS_PASSWORD"),
    Secret("metrics_token", "METRICS_TOKEN"),
    Secret("flower_password", "FLOWER_PASSWORD"),
    Secret("grafana_password", "GRAFANA_PASSWORD", kept_elsewhere=True),
)


def ensure(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Put every secret into its file in `folder`; return the names of those that were made just now.

    Args:
        folder: readable by the services' group and nobody else.
        environment: variables that may give secrets, by value or by file.

    Raises:
        SecretError: a given secret is weak, unreadable, or not the one that is in use.
    """
    made = []
    for secret in SECRETS:
        file = folder / secret.name
        current = file.read_text() if file.exists() else None
        given = _given(secret, environment)
        if given is None:
            if current is None:
                _write(file, secrets.token_urlsafe(_BYTES))
                made.append(secret.name)
        elif current is None or not secret.kept_elsewhere:
            _write(file, given)
        elif given != current:
            raise SecretError(
                f"{secret.variable} is not the one this installation was made with, and the service that checks it "
                f"still has the old one. Change it there first, then delete {file} (docs/operations.md, Secrets)."
            )
    password = (folder / "redis_password").read_text()
    # Valkey takes a password from a configuration file only; on its command line everybody could read it.
    _write(folder / "valkey.conf", f'requirepass "{_quoted(password)}"\n')
    return made


def _given(secret: Secret, environment: Mapping[str, str]) -> str | None:
    value, path = environment.get(secret.variable), environment.get(f"{secret.variable}_FILE")
    if value and path:
        raise SecretError(f"{secret.variable} and {secret.variable}_FILE are both set; keep one of them.")
    if path:
        try:
            value = Path(path).read_text().rstrip("\r\n")
        except OSError as error:
            raise SecretError(f"{secret.variable}_FILE: {path} cannot be read ({error.strerror}).") from error
    if not value:
        return None
    try:
        refuse_weak(secret.variable, value)
    except ValueError as error:
        raise SecretError(str(error)) from None
    if any(not character.isprintable() for character in value):
        raise SecretError(f"{secret.variable} holds a character that cannot be printed; use another secret.")
    return value


def _write(file: Path, content: str) -> None:
    """Replace `file` in one step, so that whoever reads it gets the old content or the new."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440), "w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
