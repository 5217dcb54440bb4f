"""What workers and scheduler count about themselves. docs/operations.md explains each name.

A process that was not asked to publish (METRICS_PUSH_SECONDS is 0, or it is the web server, which has its own in
api/metrics.py) counts nothing and does not even load prometheus_client. Counting is some microseconds in memory; a
thread of `tailwatch.metrics.pusher` takes the figures to Valkey, where the web server's /metrics finds them.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from tailwatch import __version__
from tailwatch.settings import get_settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tailwatch.metrics.pusher import Pusher


class Measure:
    """One family of series. Until the process publishes, what it is told goes nowhere."""

    def __init__(
        self,
        kind: Literal["Counter", "Gauge", "Histogram"],
        name: str,
        meaning: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = (),
    ) -> None:
        """Describe it; `kind` is the class of prometheus_client that keeps it."""
        self._kind = kind
        self.name = name
        self.meaning = meaning
        self._labels = labels
        self._options = {"buckets": buckets} if buckets else {}
        self._metric: Any = None

    def begin(self, registry: CollectorRegistry) -> None:
        """Count from nothing, into `registry`."""
        import prometheus_client  # noqa: PLC0415 - a megabyte that only processes which publish pay

        made = getattr(prometheus_client, self._kind)
        self._metric = made(self.name, self.meaning, self._labels, registry=registry, **self._options)

    def end(self) -> None:
        """Count no longer."""
        self._metric = None

    def inc(self, *labels: str) -> None:
        """Count one more."""
        if self._metric is not None:
            self._of(labels).inc()

    def observe(self, value: float, *labels: str) -> None:
        """Note one duration, in seconds."""
        if self._metric is not None:
            self._of(labels).observe(value)

    def set(self, value: float, *labels: str) -> None:
        """Note how it is now."""
        if self._metric is not None:
            self._of(labels).set(value)

    def _of(self, labels: Sequence[str]) -> Any:
        return self._metric.labels(*labels) if labels else self._metric


_LONG: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)
_SHORT: Final = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 5, 30)

BUILD: Final = Measure("Gauge", "tailwatch_build_info", "Which version runs; always 1.", ["version", "python"])
TASKS: Final = Measure("Counter", "tailwatch_tasks", "Tasks that ended.", ["task", "outcome"])
TASK_SECONDS: Final = Measure("Histogram", "tailwatch_task_seconds", "How long tasks ran.", ["task"], _LONG)
QUEUE_WAIT: Final = Measure(
    "Histogram",
    "tailwatch_queue_wait_seconds",
    "Time from a message's publishing to the start of its task.",
    ["queue"],
    _SHORT,
)
SNAPSHOTS: Final = Measure("Counter", "tailwatch_snapshots", "Computations of a portfolio's risk.", ["outcome"])
SNAPSHOT_STAGES: Final = Measure(
    "Histogram", "tailwatch_snapshot_stage_seconds", "Time of each stage of a stored computation.", ["stage"], _SHORT
)
LIVE_MESSAGES: Final = Measure(
    "Counter", "tailwatch_live_messages", "Live messages handed to Valkey.", ["kind", "outcome"]
)
PROVIDER_REQUESTS: Final = Measure(
    "Counter", "tailwatch_provider_requests", "Requests to price sources.", ["source", "outcome"]
)
PROVIDER_SECONDS: Final = Measure(
    "Histogram", "tailwatch_provider_seconds", "How long price sources took to answer or fail.", ["source"], _LONG
)
PROVIDER_OUT: Final = Measure(
    "Gauge", "tailwatch_provider_out_of_service", "1: the last run gave this source up.", ["source"]
)
SWEEPS: Final = Measure("Counter", "tailwatch_dispatch_sweeps", "Times the dispatcher looked for what is behind.")
DISPATCHED: Final = Measure("Counter", "tailwatch_dispatch_messages", "Wake-up messages published.", ["queue"])
DISPATCH_FAILURES: Final = Measure(
    "Counter", "tailwatch_dispatch_failures", "Sweeps that failed because database or broker was away."
)
TICKS: Final = Measure(
    "Gauge", "tailwatch_scheduler_tick_timestamp_seconds", "When this part last went round.", ["part"]
)
QUOTE_TICKS: Final = Measure(
    "Counter", "tailwatch_quote_ticks", "Live prices that came, by what was made of them.", ["outcome"]
)
QUOTE_CONNECTIONS: Final = Measure(
    "Counter", "tailwatch_quote_connections", "Attempts to reach the stream of live prices.", ["outcome"]
)
QUOTE_FEED: Final = Measure("Gauge", "tailwatch_quote_feed_connected", "1: the stream of live prices is connected.")
QUOTE_PORTFOLIOS: Final = Measure("Gauge", "tailwatch_quote_portfolios", "Portfolios that are valued at live prices.")
QUOTE_SECONDS: Final = Measure(
    "Histogram", "tailwatch_quote_seconds", "Time from a live price's arrival to its figures' publishing.", (), _SHORT
)

ALL: Final = tuple(value for value in list(globals().values()) if isinstance(value, Measure))

_pusher: Pusher | None = None


def start(service: str, part: str = "") -> None:
    """Begin to publish what this process counts, if the settings ask for it.

    Called again after a fork, it begins anew: what the parent counted is the parent's.

    Args:
        service: what the series are labelled with.
        part: tells processes of one service on one host apart.
    """
    global _pusher  # noqa: PLW0603 - one a process
    seconds = get_settings().metrics_push_seconds
    if not seconds:
        return
    # Only the web server keeps its figures in files, and it empties that folder whenever it starts.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - see Measure.begin

    from tailwatch.metrics.pusher import Pusher  # noqa: PLC0415 - see Measure.begin

    registry = CollectorRegistry()
    for measure in ALL:
        measure.begin(registry)
    BUILD.set(1, *build())
    host = socket.gethostname()
    _pusher = Pusher(registry, service, f"{host}/{part}" if part else host, seconds)
    _pusher.start()


def stop() -> None:
    """Publish a last time, for what was counted since the last time."""
    global _pusher  # noqa: PLW0603 - one a process
    if _pusher is not None:
        _pusher.stop()
        _pusher = None
    for measure in ALL:
        measure.end()


def build() -> tuple[str, str]:
    """Return the versions of Tailwatch and of Python."""
    return __version__, platform.python_version()
