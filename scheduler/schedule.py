"""The whole timetable. Times are UTC."""

from __future__ import annotations

from typing import Any, Final

from celery.schedules import crontab, schedule

from tailwatch.queue import DAILY_BACKUP, HOUSEKEEPING, LOOK_BACK, NIGHTLY_PRICES, PROBE, QUEUES

PROBE_SECONDS: Final = 20.0

TIMETABLE: Final[dict[str, dict[str, Any]]] = {
    # Asks often, acts once a business day: a run that was due while nothing ran is made late rather than not.
    "nightly prices": {"task": NIGHTLY_PRICES, "schedule": crontab(minute="*/5")},
    # The same; a question that waits behind a long backup is as good as the next one.
    "daily backup": {"task": DAILY_BACKUP, "schedule": crontab(minute="*/5"), "options": {"expires": 300}},
    # Compares stored rows: what was served with what came, what was backtested with what is held.
    "look back": {"task": LOOK_BACK, "schedule": crontab(), "options": {"expires": 60}},
    "housekeeping": {"task": HOUSEKEEPING, "schedule": crontab(hour="3", minute="17")},
    # A round trip through every queue: what readiness means by "a worker answers".
    **{
        f"probe {queue}": {
            "task": PROBE,
            "schedule": schedule(PROBE_SECONDS),
            "args": (queue,),
            # A probe that nobody took in time says nothing any more, and must not pile up.
            "options": {"queue": queue, "expires": PROBE_SECONDS},
        }
        for queue in QUEUES
    },
}
