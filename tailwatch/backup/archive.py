"""The file: a tar of `manifest.json`, PostgreSQL's dump in pieces (`dump/000001` …) and `checksum.json`.

A tar wants to know how long a member is before it begins, and a dump tells its length only at its end. In pieces it
is written and read from front to back, through a pipe as well as from a disk, without a copy in between. It needs no
Tailwatch to be of use: `tar -xOf FILE dump | pg_restore …`.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tailwatch.errors import BackupError, BrokenBackupError

FORMAT: Final = 1
#: Of a piece of the dump; what is in memory of a backup at any time.
PIECE_BYTES: Final = 4_000_000

_MANIFEST: Final = "manifest.json"
_CHECKSUM: Final = "checksum.json"


class Manifest(BaseModel):
    """What is in a backup."""

    model_config = ConfigDict(frozen=True)

    #: Of the file, not of the database.
    format: int
    #: The version of Tailwatch that the database was used with.
    tailwatch: str
    schema_revision: str
    #: The instant whose data it holds, UTC.
    made_at: datetime
    #: Rows by table, counted at that instant.
    rows: dict[str, int]


def write(output: BinaryIO, manifest: Manifest, dump: Iterable[bytes]) -> None:
    """Write a backup; `output` stays open."""
    head = manifest.model_dump_json(indent=1).encode()
    digest = hashlib.sha256(head)
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, _MANIFEST, head, manifest.made_at)
        for number, piece in enumerate(dump, start=1):
            digest.update(piece)
            _add(tar, f"dump/{number:06}", piece, manifest.made_at)
        _add(tar, _CHECKSUM, json.dumps({"sha256": digest.hexdigest()}).encode(), manifest.made_at)


def _add(tar: tarfile.TarFile, name: str, content: bytes, made_at: datetime) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), 0o600, int(made_at.timestamp())
    tar.addfile(member, io.BytesIO(content))


class Archive:
    """A backup that is read, once, from front to back."""

    def __init__(self, source: BinaryIO) -> None:
        """Read the manifest.

        Raises:
            BrokenBackupError: this is no backup, or its beginning is damaged.
        """
        try:
            self._tar = tarfile.open(fileobj=source, mode="r|")  # noqa: SIM115 - closes nothing of ours
            self._members = self._contents()
            name, head = next(self._members)
        except (tarfile.TarError, StopIteration):
            name, head = "", b""
        if name != _MANIFEST:
            raise BrokenBackupError("This file is no backup of Tailwatch.")
        self._digest = hashlib.sha256(head)
        try:
            self.manifest = Manifest.model_validate_json(head)
        except ValidationError:
            raise BrokenBackupError("The backup is damaged: what it says of itself cannot be read.") from None
        if self.manifest.format > FORMAT:
            made_by = self.manifest.tailwatch
            raise BrokenBackupError(f"This backup was made by Tailwatch {made_by}; install {made_by} or newer.")

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        for member in self._tar:
            file = self._tar.extractfile(member)
            yield member.name, b"" if file is None else file.read()

    def pieces(self) -> Iterator[bytes]:
        """Yield the dump; what was yielded is only good if this comes to its end.

        Raises:
            BrokenBackupError: it is damaged, or ends too soon.
        """
        incomplete = BrokenBackupError("The backup is incomplete: the file ends too soon. Use another one.")
        try:
            for name, content in self._members:
                if name == _CHECKSUM:
                    self._compare(content)
                    return
                self._digest.update(content)
                yield content
        except (tarfile.TarError, EOFError):
            raise incomplete from None
        raise incomplete

    def _compare(self, content: bytes) -> None:
        try:
            wanted = json.loads(content)["sha256"]
        except (ValueError, KeyError, TypeError):
            wanted = None
        if wanted != self._digest.hexdigest():
            raise BrokenBackupError("The backup is damaged: its checksum is another one. Use another backup.")


def verify(file: Path) -> Manifest:
    """Read a backup from a disk once, without doing anything with it.

    Raises:
        BrokenBackupError: it is damaged or incomplete.
    """
    with file.open("rb") as source:
        archive = Archive(source)
        for _ in archive.pieces():
            pass
    return archive.manifest


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write that appears as `path`, readable for its owner only, once it is whole and on the disk.

    Raises:
        BackupError: it cannot be written there; what was at `path` before still is.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            _take(file, path)
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                partial.rename(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
    except OSError as error:
        raise BackupError(f"The backup cannot be written to {path}: {error.strerror or error}.") from error


def _take(file: BinaryIO, path: Path) -> None:
    """Make an unfinished file ours: what a killed backup left is written over, what somebody is writing is not."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(f"Another backup is being written to {path} right now.") from None
    os.fchmod(file.fileno(), 0o600)
    file.truncate()


def _sync_folder(folder: Path) -> None:
    # The name is in the folder: without this a power cut may take it back.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
