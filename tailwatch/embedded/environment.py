"""The virtual environment behind `./run`. Standard library only: it runs before anything is installed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[2]
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"

BOOTSTRAP: Final = "requirements-bootstrap.lock"
REQUIREMENTS: Final = "requirements.lock"
TEST_REQUIREMENTS: Final = "requirements-test.lock"
NODE_REQUIREMENTS: Final = "requirements-node.lock"


class SetupError(Exception):
    """The machine lacks something; the message says what, and what to type."""


def main(arguments: Sequence[str]) -> int:
    """Make the environment if it is not there, then become the `tailwatch` command line inside it."""
    sys.stdout.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    try:
        ensure(test=bool(arguments) and arguments[0] in {"test", "bench"})
    except SetupError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped before the set-up was complete; ./run goes on where it was.\n")
        return 130
    return _become_command_line(arguments)


def _become_command_line(arguments: Sequence[str]) -> NoReturn:
    # The packages of the project are imported from the checkout, wherever ./run was typed.
    os.environ["PYTHONPATH"] = str(ROOT)
    # -P: what stands in the folder somebody happens to be in, another checkout say, is not ours.
    os.execv(PYTHON, [str(PYTHON), "-P", "-m", "tailwatch.cli", *arguments])  # noqa: S606 - no shell is the point


def ensure(*, test: bool) -> None:
    """Make the virtual environment and install what is locked, each only if it is not there already.

    Raises:
        SetupError: the machine lacks something.
    """
    with exclusive(ROOT):
        # pip is the last thing that venv puts there: without it an earlier attempt was interrupted.
        if not PYTHON.exists() or not (VENV / "bin" / "pip").exists():
            with step("Virtual environment"):
                _make_venv()
        install(REQUIREMENTS, "Python requirements")
        if test:
            install(TEST_REQUIREMENTS, "Test requirements")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder for the block, so that two who start together do not both write there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print that a step began and, when it is over, how long it took."""
    sys.stdout.write(f"  … {name}\n")
    begun = time.monotonic()
    yield
    sys.stdout.write(f"  ✓ {name}  {time.monotonic() - begun:.1f} s\n")


# --- virtual environment ---


def _make_venv() -> None:
    _need_ensurepip()
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", str(VENV)], check=True, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as error:
        raise SetupError(f"Python could not make a virtual environment in {VENV}:\n{_last_lines(error)}") from error


def _need_ensurepip() -> None:
    """Debian and Ubuntu ship Python without what a virtual environment needs; install it, or say how."""
    check = [sys.executable, "-c", "import ensurepip, venv"]
    if subprocess.run(check, check=False, capture_output=True).returncode == 0:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not apt_install([package]):
        raise SetupError(
            f"This Python ({sys.executable}) cannot make virtual environments. On Debian or Ubuntu type:\n"
            f"  {'' if os.geteuid() == 0 else 'sudo '}apt-get install {package}\nand then ./run again."
        )
    if subprocess.run(check, check=False, capture_output=True).returncode != 0:
        raise SetupError(f"{package} is installed, but {sys.executable} still cannot make virtual environments.")


def apt_install(packages: Sequence[str]) -> bool:
    """Install Debian packages if that can be done without asking (as root, with apt); return whether it was done."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    sys.stdout.write(f"  Installing what is missing: {shlex.join(command)}\n")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for attempt in (command, ["apt-get", "update"], command):
        done = subprocess.run(attempt, check=False, capture_output=True, env=environment, stdin=subprocess.DEVNULL)
        if done.returncode == 0 and attempt is command:
            return True
    return False


# --- requirements ---


def install(lock: str, name: str) -> None:
    """Install a lock file with its hashes into the environment, unless exactly that has been done before.

    uv does in seconds what takes pip half a minute; pip is the way out where only pip knows the package mirror.

    Raises:
        SetupError: neither could install it.
    """
    stamp = VENV / f".installed-{lock}"
    wanted = _fingerprint(lock)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with step(name):
        if not _with_uv(lock):
            _with_pip(lock)
    stamp.write_text(wanted)


def _fingerprint(lock: str) -> str:
    # The environment's Python is what wheels are chosen for.
    version = (VENV / "pyvenv.cfg").read_bytes()
    return hashlib.sha256((ROOT / lock).read_bytes() + version).hexdigest()


def _with_uv(lock: str) -> bool:
    if not _uv_is_there():
        try:
            _with_pip(BOOTSTRAP)
        except SetupError:
            return False
    command = [str(PYTHON), "-m", "uv", "pip", "install", "--python", str(PYTHON), "--require-hashes", "--no-deps"]
    if sys.dont_write_bytecode:
        # Python compiles at first use and keeps it; where it may not, every start would take twice as long.
        command.append("--compile-bytecode")
    done = subprocess.run([*command, "-q", "-r", str(ROOT / lock)], check=False, capture_output=True, cwd=ROOT)
    return done.returncode == 0


def _uv_is_there() -> bool:
    check = [str(PYTHON), "-m", "uv", "--version"]
    return subprocess.run(check, check=False, capture_output=True).returncode == 0


def _with_pip(lock: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input", "-q"]
    try:
        subprocess.run(
            [*command, "--disable-pip-version-check", "-r", str(ROOT / lock)],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        raise SetupError(
            f"The requirements in {lock} could not be installed. Is the package index reachable?\n"
            f"{_last_lines(error)}"
        ) from error


def _last_lines(error: subprocess.CalledProcessError) -> str:
    lines = ((error.stdout or "") + (error.stderr or "")).strip().splitlines()
    return "\n".join(f"  {line}" for line in lines[-8:])
