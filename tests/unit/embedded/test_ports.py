"""Which port is taken, and what is said when it cannot be."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tailwatch.embedded import ports
from tailwatch.embedded.environment import SetupError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def test_a_taken_port_that_was_asked_for_is_an_error_that_names_the_holder(taken: int) -> None:
    with pytest.raises(SetupError, match=rf"Port {taken} on 127.0.0.1 cannot be used.*\(pid {os.getpid()}\)"):
        ports.choose("127.0.0.1", taken)


def test_without_a_wish_the_next_free_port_is_taken(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "DEFAULT_PORT", taken)
    chosen = ports.choose("127.0.0.1", None)
    assert taken < chosen < taken + ports.TRIED


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(SetupError, match="cannot be used"):
        ports.choose("192.0.2.1", 18_080)


def test_a_name_that_is_no_address_is_refused_in_words() -> None:
    with pytest.raises(SetupError, match="no address of this machine"):
        ports.choose("no.such.name.invalid", 18_080)
