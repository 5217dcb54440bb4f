"""Time limits of a worker that runs its tasks itself, in a process that may die of them."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROLOGUE = """
import hashlib
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from worker import limits

app = Celery()
app.conf.update(task_always_eager=True, task_soft_time_limit=0.2, task_time_limit=1.0)
limits.enforce()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROLOGUE + textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_task_that_takes_too_long_is_told_and_the_next_one_runs() -> None:
    done = run(
        """
        @app.task
        def endless():
            try:
                while True:
                    pass
            except SoftTimeLimitExceeded:
                print("told")

        @app.task
        def quick():
            print("quick")

        endless.delay()
        quick.delay()
        """
    )
    assert (done.returncode, done.stdout.split()) == (0, ["told", "quick"]), done.stderr


def test_a_task_that_cannot_be_told_ends_the_process_and_says_where() -> None:
    done = run(
        """
        @app.task
        def stuck_in_c():
            hashlib.pbkdf2_hmac("sha512", b"x", b"y", 2_000_000_000)

        stuck_in_c.delay()
        print("never")
        """
    )
    assert done.returncode == 1
    assert "stuck_in_c" in done.stderr
    assert "never" not in done.stdout
