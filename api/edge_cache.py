"""Answers `GET …/risk` from memory for the rest of a second, here and in nginx, and never after a change.

nginx keeps only answers that carry `X-Accel-Expires`, under the caller's whole credential, and looks for two files in
a folder that both see (EDGE_MARKS_DIR) before it uses one: `portfolio-<id>`, `credential-<beginning of the secret>`.
While either is there it asks here. Each web process keeps answers for itself by the same rule. So dropping what is
kept means to make such a mark, and to leave it until every answer that was read before has run out:

- An answer may be used until the second ends in which its reading began (`X-Accel-Expires: @<that second>`), however
  long it was on its way: never older than a second.
- A mark stays for `MARK_SECONDS`, which is longer, after the last change.
- Writes mark before and after their commit, and before they answer; snapshots and lost access of elsewhere mark when
  their live message arrives. While a process hears no live messages it lets nothing be kept.
- nginx says with each request which marks it looks at (`X-Edge-Marks`). Only if these are the ones that would be made
  here may it keep the answer: the two may read a strange path or a doubled cookie differently.
- Only hashes of secrets are stored, so who takes a session or token away knows its id but not its mark. The folder
  tells (`known-session-<id>`, `known-token-<id>`), and an answer may be kept only if that was written before the
  credential was looked up.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import structlog
from cachetools import LRUCache
from flask import Response, g, request

from tailwatch.accounts import Credential, Principal
from tailwatch.settings import get_settings

HEADER: Final = "X-Edge-Marks"
#: How much of a secret names its mark: enough to tell it from all others, little enough to be of no use.
_BEGINNING: Final = re.compile(r"[A-Za-z0-9_-]{16}")

#: Longer than any answer is kept.
MARK_SECONDS: Final = 1.2
KEPT_SECONDS: Final = 1.0
#: A credential's note outlives the last answer that rests on it.
_KNOWN_SECONDS: Final = 60.0
_NOTE_AGAIN_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 0.4
_MOST_KNOWN: Final = 10_000

log = structlog.get_logger(__name__)


class Marks:
    """The folder of marks as this process sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Joining paths takes longer than looking.
        self._prefix = f"{folder}/"
        #: Whether live messages arrive, so that a new snapshot would be heard of.
        self.listening = False
        #: None: not tried yet.
        self._writable: bool | None = None
        #: When each credential was noted in the folder, by its note's name.
        self._known: dict[str, float] = {}

    @property
    def usable(self) -> bool:
        """Whether every change would be noticed."""
        return self.listening and bool(self._writable)

    def any_of(self, *names: str) -> bool:
        """Say whether one of these marks is there."""
        return any(os.access(f"{self._prefix}{name}", os.F_OK) for name in names)

    def make(self, *names: str) -> None:
        """Have nothing used that one of `names` guards, for the next `MARK_SECONDS`."""
        if not names:
            return
        try:
            with self._locked(fcntl.LOCK_SH):
                for name in names:
                    _touch(self.folder / name)
        except OSError as error:
            self._failed(error)

    def mark_of(self, note: str) -> str | None:
        """Return the mark of a credential by its note's name; None if nothing can be kept for it."""
        try:
            return (self.folder / note).read_text() or None
        except OSError:
            return None

    def may_keep(self, note: str, mark: str, asked_at: float) -> bool:
        """Say whether an answer read at `asked_at` may be kept for the credential; note it for the next answers."""
        if not self.usable:
            return False
        noted_at = self._known.get(note, 0.0)
        if asked_at - noted_at > _NOTE_AGAIN_SECONDS:
            self._note(note, mark)
        return asked_at - _KNOWN_SECONDS + 2 * KEPT_SECONDS < noted_at <= asked_at

    def _note(self, note: str, mark: str) -> None:
        fresh = self.folder / f".{note}.{os.getpid()}"
        try:
            with self._locked(fcntl.LOCK_SH):
                # Whole or not at all: another process may be reading it.
                fresh.write_text(mark)
                fresh.rename(self.folder / note)
        except OSError as error:
            self._failed(error)
            return
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known[note] = time.time()

    def sweep(self) -> None:
        """Remove what has had its time, whoever made it; find out whether the folder can be written."""
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            with self._locked(fcntl.LOCK_EX):
                now = time.time()
                for entry in os.scandir(self.folder):
                    lifetime = (
                        MARK_SECONDS if entry.name.startswith(("portfolio-", "credential-")) else _KNOWN_SECONDS
                    )
                    if entry.name != _LOCK and now - entry.stat().st_mtime > lifetime:
                        Path(entry.path).unlink(missing_ok=True)
        except OSError as error:
            self._failed(error)
            return
        if self._writable is False:
            log.info("EDGE_MARKS_DIR can be written again", folder=str(self.folder))
        self._writable = True

    def _failed(self, error: OSError) -> None:
        if self._writable is not False:
            log.warning(
                "EDGE_MARKS_DIR cannot be written; no reads are kept until it can",
                folder=str(self.folder),
                error=str(error),
            )
        self._writable = False

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        # Against removing what another process has just renewed. Held for microseconds; a dead holder lets go.
        file = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, how)
            yield
        finally:
            os.close(file)


_LOCK: Final = ".lock"


def _touch(path: Path) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    try:
        os.utime(file)
    finally:
        os.close(file)


@lru_cache(maxsize=1)
def marks() -> Marks:
    """Return this process's view of the folder of the settings, or of the one that `prepare` made."""
    return Marks(get_settings().edge_marks_dir or _own_folder())


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    # In memory where there is such a place: on a disk, a mark waits for the commits that go on there.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    made = Path(tempfile.mkdtemp(prefix="tailwatch-marks-", dir=memory))
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(folder: Path, owner: int) -> None:
    # Web processes inherit the registration with the fork; the folder is their parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def prepare() -> None:
    """Make sure of a folder before the web processes are forked, so that they share one."""
    marks()


def sweep_for_ever() -> None:
    """Keep the folder in order; runs in the background of every web process."""
    while True:
        marks().sweep()
        time.sleep(_SWEEP_SECONDS)


# --- what may be kept ---


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and the last second (since the epoch) in which it may be used."""

    etag: str
    body: bytes
    until: int


_kept: Final[LRUCache[tuple[Credential, int], Kept]] = LRUCache(maxsize=8_000_000, getsizeof=lambda it: len(it.body))


def find(portfolio_id: int, credential: Credential) -> Kept | None:
    """Return the answer that was kept for this credential, if it may still be used."""
    kept = _kept.get((credential, portfolio_id))
    if kept is None or kept.until < int(time.time()) or not marks().usable:
        return None
    return None if marks().any_of(f"portfolio-{portfolio_id}", _mark_of(credential)) else kept


def keep(
    portfolio_id: int, principal: Principal, credential: Credential, asked_at: datetime, *, etag: str, body: bytes
) -> Kept | None:
    """Keep an up-to-date snapshot if every change of it would be noticed.

    Args:
        portfolio_id: whose risk it is.
        principal: who asked.
        credential: what they showed.
        asked_at: when the database was about to be asked.
        etag: names the answer.
        body: the answer.
    """
    if not _BEGINNING.match(credential.secret):
        return None
    if principal.expires_at is not None and principal.expires_at < asked_at + timedelta(seconds=KEPT_SECONDS):
        return None
    note = _note_of(principal.session_id, principal.token_id)
    if not marks().may_keep(note, _mark_of(credential), asked_at.timestamp()):
        return None
    kept = _kept[credential, portfolio_id] = Kept(etag, body, int(asked_at.timestamp()))
    return kept


def offer(response: Response, portfolio_id: int, credential: Credential, kept: Kept) -> None:
    """Let nginx keep `response` too, if it looks at the right marks."""
    if request.headers.get(HEADER) == f"portfolio-{portfolio_id} {_mark_of(credential)}":
        response.headers["X-Accel-Expires"] = f"@{kept.until}"


def _mark_of(credential: Credential) -> str:
    return f"credential-{credential.secret[:16]}"


def _note_of(session_id: int | None, token_id: int | None) -> str:
    return f"known-session-{session_id}" if session_id is not None else f"known-token-{token_id}"


# --- what must not be used any longer ---


def will_change(
    *, portfolio_id: int | None = None, session_id: int | None = None, token_id: int | None = None
) -> None:
    """Note what this request's commit changes or takes away; the portfolio in its path needs no note."""
    g.edge_changes = [*g.get("edge_changes", ()), (portfolio_id, session_id, token_id)]


def drop_changed() -> None:
    """Have nothing used any longer that this request changes."""
    changes = [((request.view_args or {}).get("portfolio_id"), None, None), *g.get("edge_changes", ())]
    marks().make(*(mark for change in changes for mark in _marks_of(*change)))


def heed(message: dict[str, Any]) -> None:
    """Have nothing used any longer that a live message speaks of; note whether such messages arrive."""
    match message.get("kind"):
        case "connected" | "resync":
            marks().listening = True
        case "interrupted":
            marks().listening = False
        case "risk" | "progress" | "access":
            ids = (message.get("portfolio_id"), message.get("session_id"), message.get("token_id"))
            marks().make(*_marks_of(*ids))


def _marks_of(portfolio_id: int | None, session_id: int | None, token_id: int | None) -> Iterator[str]:
    if portfolio_id is not None:
        yield f"portfolio-{portfolio_id}"
    if session_id is not None or token_id is not None:
        mark = marks().mark_of(_note_of(session_id, token_id))
        if mark is not None:
            yield mark
