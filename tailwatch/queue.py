"""The Celery application: names of queues and tasks, and every setting with its reason.

A message is only a wake-up call (docs/architecture.md): losing or repeating one is harmless, so the settings
favour latency and a quick "the broker is away" over delivery guarantees that Redis cannot give.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection

from tailwatch.settings import get_settings, settings_or_exit

INTERACTIVE: Final = "interactive"
NIGHTLY: Final = "nightly"
PRICES: Final = "prices"
QUEUES: Final = (INTERACTIVE, NIGHTLY, PRICES)

REFRESH_RISK: Final = "risk.refresh"
FETCH_PRICES: Final = "prices.fetch"
NIGHTLY_PRICES: Final = "prices.nightly"
HOUSEKEEPING: Final = "upkeep.housekeeping"
DAILY_BACKUP: Final = "backup.daily"
RUN_BACKTEST: Final = "backtests.run"
LOOK_BACK: Final = "backtests.look_back"
PROBE: Final = "upkeep.probe"
#: Sent by a worker to itself (worker/health.py).
ANSWER_PROBE: Final = "upkeep.answer_probe"


class PromptConnection(Connection):
    """A broker connection that is tried again every second; kombu's own pause grows to half a minute."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Connect, trying again at short intervals; see `kombu.Connection.ensure_connection`."""
        patience = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
        connected: Connection = super().ensure_connection(*args, **(patience | kwargs))  # type: ignore[no-untyped-call]
        return connected


class PromptAMQP(AMQP):  # type: ignore[misc]
    """Celery's way of making connections, with ours in its place."""

    Connection = PromptConnection


def broker_url(redis_url: str) -> str:
    """Return `redis_url` as kombu spells it: it calls redis-py's `unix://` scheme `redis+socket://`."""
    return "redis+socket://" + redis_url.removeprefix("unix://") if redis_url.startswith("unix://") else redis_url


def make_celery(redis_url: str) -> Celery:
    """Return a Celery application on the broker at `redis_url`."""
    app = Celery("tailwatch", broker=broker_url(redis_url), amqp=PromptAMQP)
    app.conf.update(
        # Times are UTC everywhere; crontab entries across daylight saving are a known trap (celery #9653).
        timezone="UTC",
        enable_utc=True,
        task_serializer="json",
        accept_content=["json"],
        # Results live in PostgreSQL (snapshots, prices); a result backend would only add a write per task.
        task_ignore_result=True,
        # The row is the job: an acknowledged message whose worker died is sent again by the sweep within seconds,
        # while acks_late would wait for the visibility timeout (one hour) and repeat long tasks.
        task_acks_late=False,
        # A worker takes one message at a time, so a quick one never waits behind a slow one in the same process.
        worker_prefetch_multiplier=1,
        task_default_queue=INTERACTIVE,
        task_create_missing_queues=True,
        task_routes={
            FETCH_PRICES: {"queue": PRICES},
            NIGHTLY_PRICES: {"queue": PRICES},
            HOUSEKEEPING: {"queue": NIGHTLY},
            DAILY_BACKUP: {"queue": NIGHTLY},
            RUN_BACKTEST: {"queue": NIGHTLY},
            LOOK_BACK: {"queue": NIGHTLY},
        },
        # Soft: the task records a failure with its reason. Hard: a child stuck in C code is replaced.
        task_soft_time_limit=120,
        task_time_limit=150,
        # A child that fetched from Yahoo carries pandas and yfinance, 100 MB, from then on: it is replaced when done.
        worker_max_memory_per_child=160_000,
        # A worker asked to stop gets this long to finish what it has.
        worker_soft_shutdown_timeout=10,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=2,
        broker_pool_limit=4,
        # A publisher learns within half a second that the broker is away and tries again at the next sweep.
        task_publish_retry=True,
        task_publish_retry_policy={
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.05,
            "interval_max": 0.05,
        },
        broker_transport_options={
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.05,
            "interval_max": 0.05,
            "socket_connect_timeout": 0.25,
        },
        # Our logging stays as tailwatch.logs sets it up.
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # Nobody but Flower listens to task events; metrics come from the database and the processes themselves.
        worker_send_task_events=get_settings().celery_events,
        worker_enable_remote_control=get_settings().celery_events,
        worker_cancel_long_running_tasks_on_connection_loss=True,
    )
    return app


celery_app = make_celery(settings_or_exit().redis_url)
