"""Ties a command to the process that started it: when that one ends, however it ends, the command is told to end.

`python tether.py SIGNAL [--user UID:GID] -- COMMAND…`, run by path and in isolated mode, so that it needs neither the
project nor its environment to be readable.

On Linux the kernel does it (PR_SET_PDEATHSIG) and the command replaces this process. Elsewhere this process stays,
passes signals on, and watches its parent.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

#: Names the process that the command must not outlive: one that died before it could be watched is noticed by this.
PARENT_VARIABLE: Final = "TAILWATCH_TETHERED_TO"
#: Set to anything, this takes the way of systems without PR_SET_PDEATHSIG; the tests do.
WATCH_VARIABLE: Final = "TAILWATCH_TETHER_WATCHES"

_PR_SET_PDEATHSIG: Final = 1
_WATCH_SECONDS: Final = 0.2
_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def tethered(
    command: Sequence[str | Path], how: signal.Signals, owner: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Return the command line that runs `command` tethered.

    Args:
        command: program and arguments; the program by its full path.
        how: what the command is sent when its parent has gone.
        owner: user and group id to run as; None for those of the caller.
    """
    user = () if owner is None else ("--user", f"{owner[0]}:{owner[1]}")
    words = (str(word) for word in command)
    return (sys.executable, "-I", "-S", str(Path(__file__).resolve()), how.name, *user, "--", *words)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return only if it could not be started or, where it is watched, when it has ended."""
    split = arguments.index("--")
    how, options, command = signal.Signals[arguments[0]], arguments[1:split], arguments[split + 1 :]
    parent = int(os.environ.get(PARENT_VARIABLE) or os.getppid())
    if options:
        uid, _, gid = options[1].partition(":")
        _become(int(uid), int(gid))
    if sys.platform != "linux" or WATCH_VARIABLE in os.environ:
        return _watch(command, how, parent)
    # After the change of user, which would clear it.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        return 1
    return _run(command)


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.environ["HOME"] = pwd.getpwuid(uid).pw_dir


def _run(command: Sequence[str]) -> NoReturn:
    # What the command starts is tethered to the command, which has this process's id from here on.
    os.environ[PARENT_VARIABLE] = str(os.getpid())
    os.execv(command[0], list(command))  # noqa: S606 - no shell is the point


def _watch(command: Sequence[str], how: signal.Signals, parent: int) -> int:
    # Held back until there is somebody to pass them on to: one that came now would end this process, not the command.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        _run(command)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    told = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
        if os.getppid() != parent and not told:
            told = True
            os.kill(child, how)
        time.sleep(_WATCH_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
