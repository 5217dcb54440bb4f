"""Where things go: sockets in a short folder, private, the same one at the next start."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwatch.embedded import layout
from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.layout import LONGEST_SOCKET_PATH, Layout


@pytest.fixture
def long_layout(tmp_path: Path) -> Layout:
    data = tmp_path.joinpath(*["a folder with a long name, over and over"] * 5)
    (data / "run").mkdir(parents=True)
    return Layout(data, data, None)


@pytest.fixture
def sockets(long_layout: Layout) -> Iterator[layout.Sockets]:
    made = layout.make_sockets(long_layout)
    yield made
    shutil.rmtree(made.folder)


def test_socket_paths_stay_short_however_long_the_data_folder(sockets: layout.Sockets) -> None:
    longest = sockets.servers / ".s.PGSQL.5432.lock"
    assert len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH


def test_sockets_are_private(sockets: layout.Sockets) -> None:
    assert stat.S_IMODE(sockets.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(sockets.servers.stat().st_mode) == 0o700


def test_the_next_start_finds_the_same_folder(sockets: layout.Sockets, long_layout: Layout) -> None:
    assert layout.make_sockets(long_layout) == sockets


def test_a_deleted_folder_is_made_anew(sockets: layout.Sockets, long_layout: Layout) -> None:
    shutil.rmtree(sockets.folder)
    again = layout.make_sockets(long_layout)
    assert again.servers.is_dir()
    shutil.rmtree(again.folder)
    sockets.folder.mkdir()


def test_a_data_folder_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="--data-dir"):
        layout.resolve(tmp_path / "file" / "data")
