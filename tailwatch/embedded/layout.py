"""Where everything lies: the data folder, the servers' own files, and the short folder of the sockets."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailwatch.embedded.environment import ROOT, SetupError

DATA_DIR_VARIABLE: Final = "TAILWATCH_DATA_DIR"
#: Who the database runs as when root starts it: PostgreSQL refuses to be root.
SERVER_USER: Final = "tailwatch"
SYSTEM_HOME: Final = Path("/var/lib/tailwatch")
#: Longest path of a unix socket that every system takes (macOS: 104 bytes with the final zero).
LONGEST_SOCKET_PATH: Final = 100


@dataclass(frozen=True, slots=True)
class Owner:
    """A system user that the servers run as."""

    name: str
    uid: int
    gid: int

    @property
    def ids(self) -> tuple[int, int]:
        """User and group id."""
        return self.uid, self.gid

    def can_enter(self, folder: Path) -> bool:
        """Say whether this user can read `folder`, tried rather than worked out from permission bits."""
        return (
            subprocess.run(
                ["/bin/sh", "-c", 'test -r "$0" && test -x "$0"', str(folder)],
                check=False,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
            ).returncode
            == 0
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one installation."""

    #: What `--data-dir` names: logs, state, and the servers' files unless their user cannot get there.
    data: Path
    #: PostgreSQL's and Valkey's files and the passwords.
    servers: Path
    #: Who the servers run as; None for whoever starts them.
    owner: Owner | None

    @property
    def logs(self) -> Path:
        """One log file a program, rotated."""
        return self.data / "logs"

    @property
    def backups(self) -> Path:
        """Where backups go unless BACKUP_DIR says otherwise."""
        return self.data / "backups"

    @property
    def run(self) -> Path:
        """Lock and state of the running instance."""
        return self.data / "run"

    @property
    def moved(self) -> bool:
        """Whether the servers' files had to go elsewhere than the data folder."""
        return self.servers != self.data


def resolve(data_dir: Path | None) -> Layout:
    """Make the folders of an installation if they are not there.

    Args:
        data_dir: what was asked for; None: TAILWATCH_DATA_DIR, else `data` in the checkout.

    Raises:
        SetupError: a folder cannot be made.
    """
    data = (data_dir or Path(os.environ.get(DATA_DIR_VARIABLE) or ROOT / "data")).expanduser().resolve()
    owner = _server_user() if os.geteuid() == 0 else None
    # The servers' user has to pass through; what is private has permissions of its own.
    mode = 0o700 if owner is None else 0o711
    try:
        for folder in (data, data / "logs", data / "run"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner is not None and stat.S_IMODE(data.stat().st_mode) == 0o700:
            data.chmod(mode)
        servers = data if owner is None else _place_for_servers(data, owner)
    except OSError as error:
        raise SetupError(
            f"The data folder cannot be used: {error.strerror}: {error.filename}\n"
            f"Name another one: ./run --data-dir FOLDER, or {DATA_DIR_VARIABLE}."
        ) from error
    return Layout(data, servers, owner)


def _place_for_servers(data: Path, owner: Owner) -> Path:
    """Return where the servers' files are or, at the first start, where `owner` can get at them."""
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:10]
    elsewhere = SYSTEM_HOME / f"{_plain(ROOT.name)}-{digest}"
    if (data / "postgres").exists() or (not elsewhere.exists() and _passes(owner, data)):
        return data
    elsewhere.mkdir(mode=0o711, parents=True, exist_ok=True)
    return elsewhere


def _passes(owner: Owner, folder: Path) -> bool:
    """Say whether `owner` can get through `folder` to something of its own below it."""
    probe = Path(tempfile.mkdtemp(prefix=".probe-", dir=folder))
    try:
        os.chown(probe, *owner.ids)
        return owner.can_enter(probe)
    finally:
        probe.rmdir()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "checkout"


def _server_user() -> Owner:
    try:
        found = pwd.getpwnam(SERVER_USER)
    except KeyError:
        if (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")) is not None:
            arguments = ["--system", "--user-group", "--no-create-home", "--home-dir", str(SYSTEM_HOME)]
            shell = ["--shell", "/usr/sbin/nologin"]
            subprocess.run([useradd, *arguments, *shell, SERVER_USER], check=False, capture_output=True)
        try:
            found = pwd.getpwnam(SERVER_USER)
        except KeyError:
            found = pwd.getpwnam("nobody")
    return Owner(found.pw_name, found.pw_uid, found.pw_gid)


# --- sockets ---


@dataclass(frozen=True, slots=True)
class Sockets:
    """A short folder for sockets: a unix socket's path has room for about a hundred characters."""

    folder: Path

    @property
    def supervisor(self) -> Path:
        """Where supervisord is asked and told."""
        return self.folder / "supervisor.sock"

    @property
    def servers(self) -> Path:
        """PostgreSQL's and Valkey's, in a folder that only their user (and root) can enter."""
        return self.folder / "s"

    @property
    def scratch(self) -> Path:
        """For temporary files of the programs, which leave them behind when killed; emptied at every start."""
        return self.folder / "t"


def make_sockets(layout: Layout) -> Sockets:
    """Return the folder of the sockets, the same one at every start unless it was deleted meanwhile."""
    note = layout.run / "sockets"
    try:
        folder = Path(note.read_text())
        status = folder.lstat()
        reusable = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    except OSError:
        reusable = False
    if not reusable:
        folder = Path(tempfile.mkdtemp(prefix="tailwatch-", dir=_short_base()))
        note.write_text(str(folder))
    # Of the servers' user nobody but root and itself may enter what it owns; it only has to get there.
    folder.chmod(0o700 if layout.owner is None else 0o711)
    sockets = Sockets(folder)
    sockets.servers.mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(sockets.scratch, ignore_errors=True)
    sockets.scratch.mkdir(mode=0o700)
    if layout.owner is not None:
        os.chown(sockets.servers, *layout.owner.ids)
    return sockets


def _short_base() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.geteuid() != 0 and len(os.fsencode(runtime)) < LONGEST_SOCKET_PATH - 50:
        base = Path(runtime)
        if base.is_dir() and base.stat().st_uid == os.geteuid():
            return base
    return Path("/tmp")  # noqa: S108 - the folder made in it is private
