"""Which port the web server gets, and who has it if it cannot."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

import psutil

from tailwatch.embedded.environment import SetupError

DEFAULT_PORT: Final = 8080
#: How many ports from the default on are tried if none was asked for.
TRIED: Final = 100


def choose(host: str, asked: int | None) -> int:
    """Return a free port: the one asked for, or the first free one from 8080 on.

    Raises:
        SetupError: the port asked for is taken (by whom, if that can be known), or may not be used.
    """
    if asked is not None:
        _try(host, asked)
        return asked
    for port in range(DEFAULT_PORT, DEFAULT_PORT + TRIED):
        with suppress(SetupError):
            _try(host, port)
            return port
    raise SetupError(
        f"No port from {DEFAULT_PORT} to {DEFAULT_PORT + TRIED - 1} is free on {host}. Name one: ./run --port PORT"
    )


def _try(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connections of a stopped server that are still fading away do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except PermissionError as error:
        raise SetupError(
            f"Port {port} is for root only on this system. Choose one above 1023: ./run --port 8080"
        ) from error
    except socket.gaierror as error:
        raise SetupError(f"{host!r} is no address of this machine: {error.strerror}.") from error
    except OSError as error:
        raise SetupError(
            f"Port {port} on {host} cannot be used: {holder(port) or error.strerror}.\n"
            "Choose another with --port (or TAILWATCH_PORT), or name none and the next free one is taken."
        ) from error


def holder(port: int) -> str | None:
    """Return who listens on `port`, as far as this user may know."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            with suppress(psutil.Error):
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {process.pid}) has it"
    return None
