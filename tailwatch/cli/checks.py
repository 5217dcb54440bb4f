"""`./run test`: every linter and every test, and one table of what came of it.

Two lanes run side by side. The tests print as they go; what the other lane prints is shown only if it fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tailwatch.embedded import page
from tailwatch.embedded.environment import ROOT, SetupError, apt_install
from tailwatch.embedded.tether import PARENT_VARIABLE, tethered

CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
#: pytest's exit status for "no test was found", which is what a folder without tests yet gives.
_NO_TESTS: Final = 5

#: Returns what is to be shown of a failure, or None if all is well.
Work = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the summary."""

    name: str
    what: str
    work: Work


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check."""

    check: Check
    failure: str | None
    seconds: float


def run_checks(pytest_arguments: Sequence[str], only: Sequence[str]) -> int:
    """Run the checks; return 0 if all passed.

    Args:
        pytest_arguments: paths and options for pytest; with any, nothing but that one call of pytest runs.
        only: names of checks; none: all.

    Raises:
        SetupError: a name in `only` is no check.
    """
    console = Console(highlight=False)
    if pytest_arguments:
        call = Check("pytest", " ".join(pytest_arguments), partial(_pytest, *pytest_arguments))
        return _summarise([_run(call)], console)
    background, tests = _background(), _tests()
    known = [check.name for check in (*background, *tests)]
    unknown = [name for name in only if name not in known]
    if unknown:
        raise SetupError(f"There is no check {', '.join(unknown)}. The checks are: {', '.join(known)}.")
    if only:
        background = [check for check in background if check.name in only]
        tests = [check for check in tests if check.name in only]
    return _summarise(_in_two_lanes(background, tests, console), console)


def run_compose_checks() -> int:
    """Build and run the whole installation under Docker Compose; return 0 if all passed.

    Raises:
        SetupError: no Docker engine answers, or it has no Compose.
    """
    _require_docker()
    call = Check("compose", "pytest tests/compose", partial(_in_chromium, "tests/compose"))
    return _summarise([_run(call)], Console(highlight=False))


def _require_docker() -> None:
    hint = "See https://docs.docker.com/engine/install/; everything else is tested by ./run test."
    docker = shutil.which("docker")
    if docker is None:
        raise SetupError(f"The Compose tests need Docker, and there is no docker command on PATH.\n{hint}")
    for command, what in (("info", "no Docker engine answers"), ("compose version", "docker has no compose plugin")):
        done = subprocess.run(
            [docker, *command.split()], check=False, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            raise SetupError(f"The Compose tests need Docker, but {what}:\n  {done.stderr.strip()}\n{hint}")


def _background() -> list[Check]:
    python = partial(_quiet, sys.executable, "-m")
    return [
        Check("page", "ng build", _build_page),
        Check("page-lint", "eslint, prettier", _lint_page),
        Check(
            "page-unit", "ng test", partial(_node, Path("node_modules/@angular/cli/bin/ng.js"), "test", "--no-watch")
        ),
        Check("api-types", "generated types match api/openapi.json", partial(_node, Path("scripts/check-api.mjs"))),
        Check("lint", "ruff check", partial(python, "ruff", "check", ".", "run")),
        Check("format", "ruff format --check", partial(python, "ruff", "format", "--check", ".", "run")),
        Check("types", "mypy --strict", partial(python, "mypy")),
        Check("imports", "lint-imports", partial(_quiet, Path(sys.executable).parent / "lint-imports")),
        Check("containers", "hadolint, docker compose config", _lint_containers),
    ]


def _tests() -> list[Check]:
    return [
        Check("unit", "pytest tests/unit tests/reference", partial(_pytest, "tests/unit", "tests/reference")),
        Check("integration", "pytest tests/integration", partial(_pytest, "tests/integration")),
        Check("contract", "pytest tests/contract", partial(_pytest, "tests/contract")),
        Check("faults", "pytest tests/faults", partial(_pytest, "tests/faults")),
        Check("browser", "pytest tests/browser", partial(_in_chromium, "tests/browser")),
    ]


def _in_two_lanes(background: Sequence[Check], tests: Sequence[Check], console: Console) -> list[Result]:
    results: list[Result] = []
    built = threading.Event()

    def other_lane() -> None:
        for check in background:
            results.append(_run(check))
            if check.name == "page":
                built.set()
        built.set()

    # A daemon: Ctrl-C ends the tests in the foreground and, with this process, whatever this lane runs.
    lane = threading.Thread(target=other_lane, name="checks", daemon=True)
    lane.start()
    found = []
    for check in tests:
        if check.name in {"faults", "browser"}:
            # These start the product as people do, page and all.
            built.wait()
        console.rule(f"{check.name}: {check.what}", align="left")
        found.append(_run(check))
    lane.join()
    return [*results, *found]


def _run(check: Check) -> Result:
    begun = time.monotonic()
    try:
        failure = check.work()
    except SetupError as error:
        failure = str(error)
    return Result(check, failure, time.monotonic() - begun)


def _summarise(results: Sequence[Result], console: Console) -> int:
    failed = [result for result in results if result.failure is not None]
    for result in failed:
        if result.failure:
            console.rule(f"{result.check.name} failed", align="left")
            console.print(result.failure, markup=False, soft_wrap=True)
    table = Table("check", "result", "seconds", "what", title="Summary", title_justify="left")
    for result in results:
        table.add_row(
            result.check.name,
            "passed" if result.failure is None else "FAILED",
            f"{result.seconds:.1f}",
            result.check.what,
        )
    console.print(table)
    console.print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


# --- the work ---


def _environment() -> dict[str, str]:
    return os.environ | {PARENT_VARIABLE: str(os.getpid())}


def _quiet(*command: str | Path) -> str | None:
    done = subprocess.run(
        tethered([shutil.which(str(command[0])) or command[0], *command[1:]], signal.SIGTERM),
        check=False,
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return None if done.returncode == 0 else done.stdout.strip()


def _pytest(*arguments: str) -> str | None:
    """Run pytest in the open: what it prints is its own report, so a failure adds nothing to it."""
    command = tethered([sys.executable, "-m", "pytest", *arguments], signal.SIGTERM)
    status = subprocess.run(command, check=False, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL).returncode
    if status == _NO_TESTS:
        return f"pytest found no test in: {' '.join(arguments)}"
    return None if status == 0 else ""


def _build_page() -> str | None:
    page.build()
    return None


def _node(*arguments: str | Path) -> str | None:
    done = page.install_packages().call(*arguments)
    return None if done.returncode == 0 else done.stdout.strip()


def _lint_page() -> str | None:
    failures = [
        _node(Path("node_modules/eslint/bin/eslint.js"), ".", "--max-warnings", "0"),
        _node(Path("node_modules/prettier/bin/prettier.cjs"), "--check", "."),
    ]
    return "\n".join(failure for failure in failures if failure is not None) or None


def _lint_containers() -> str | None:
    problems = _quiet(Path(sys.executable).parent / "hadolint", "Dockerfile", "frontend/Dockerfile")
    if problems is None and _has_compose():
        # Asks no engine. Without Compose, tests/contract/test_compose.py still reads the file.
        problems = _quiet("docker", "compose", "config", "-q")
    return problems


def _has_compose() -> bool:
    docker = shutil.which("docker")
    return (
        docker is not None
        and subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode == 0
    )


def _in_chromium(folder: str) -> str | None:
    if not _has_chromium() and not (apt_install(["chromium"]) and _has_chromium()):
        sudo = "" if os.geteuid() == 0 else "sudo "
        raise SetupError(
            "The browser tests need Chromium. On Debian type:\n"
            f"  {sudo}apt-get install chromium\n"
            "elsewhere install Chromium or Google Chrome so that `chromium` or `google-chrome` is on PATH."
        )
    return _pytest(folder)


def _has_chromium() -> bool:
    """Say whether a browser is there that runs; Ubuntu's package is a stub that may not."""
    for name in CHROMIUM_NAMES:
        if (
            shutil.which(name)
            and subprocess.run([name, "--version"], check=False, capture_output=True).returncode == 0
        ):
            return True
    return False
