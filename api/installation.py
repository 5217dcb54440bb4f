"""What the whole installation measures, asked for at the moment of a scrape; a part that is away is left out.

Database and broker are asked themselves; workers and scheduler have published what they count (tailwatch.metrics);
the web server in front has a status page. No part is waited for longer than half a second.
"""

from __future__ import annotations

import re
import shutil
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import redis
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from api import health
from tailwatch import metrics
from tailwatch.db.session import get_engine
from tailwatch.metrics import pusher
from tailwatch.queue import QUEUES
from tailwatch.settings import get_settings

_STATUS_SECONDS: Final = 0.5

_WORK: Final = text(
    """
    SELECT (SELECT count(*) FROM portfolios
             WHERE revision > done_revision OR market_revision > done_market_revision) AS behind,
           (SELECT coalesce(max(extract(epoch FROM now() - coalesce(s.computed_at, p.created_at))), 0)
              FROM portfolios p LEFT JOIN risk_snapshots s ON s.id = p.snapshot_id
             WHERE p.revision > p.done_revision OR p.market_revision > p.done_market_revision) AS oldest_stale,
           (SELECT count(*) FROM portfolios
             WHERE failure_reason IS NOT NULL AND failed_revision >= revision
               AND (revision > done_revision OR market_revision > done_market_revision)) AS failed,
           (SELECT extract(epoch FROM now() - max(last_fetched_at)) FROM instruments) AS newest_fetch,
           (SELECT count(*) FROM instruments WHERE status = 'failed') AS instruments_failed,
           (SELECT count(*) FROM instruments WHERE status = 'pending') AS instruments_pending,
           (SELECT extract(epoch FROM now() - max(started_at)) FROM nightly_runs) AS nightly_age,
           (SELECT extract(epoch FROM now() - max(finished_at)) FROM backup_runs WHERE error IS NULL) AS backup_age,
           (SELECT bytes FROM backup_runs WHERE error IS NULL AND finished_at IS NOT NULL
             ORDER BY day DESC LIMIT 1) AS backup_bytes,
           (SELECT (error IS NOT NULL)::int FROM backup_runs ORDER BY day DESC LIMIT 1) AS backup_failed,
           pg_database_size(current_database()) AS database_bytes,
           (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
           current_setting('max_connections')::int AS most_connections,
           (SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()) AS oldest_transaction,
           (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables) AS dead_rows
    """
)
#: Name and meaning of each column above; one without a value is left out.
_GAUGES: Final = {
    "behind": ("tailwatch_portfolios_behind", "Portfolios whose risk waits to be computed."),
    "oldest_stale": ("tailwatch_oldest_stale_seconds", "Age of the oldest snapshot that is behind; 0 if none is."),
    "failed": ("tailwatch_portfolios_failed", "Portfolios whose last computation failed."),
    "newest_fetch": ("tailwatch_price_age_seconds", "Time since a price source last answered with prices."),
    "instruments_failed": ("tailwatch_instruments_failed", "Instruments whose last price fetch failed."),
    "instruments_pending": ("tailwatch_instruments_pending", "Instruments that wait for their first prices."),
    "nightly_age": ("tailwatch_nightly_age_seconds", "Time since the last nightly refresh began."),
    "backup_age": ("tailwatch_backup_age_seconds", "Time since the last good scheduled backup was finished."),
    "backup_bytes": ("tailwatch_backup_bytes", "Size of the last good scheduled backup."),
    "backup_failed": ("tailwatch_backup_failed", "1: the last scheduled backup failed."),
    "database_bytes": ("tailwatch_database_bytes", "Size of the database on disk."),
    "connections": ("tailwatch_database_connections", "Connections to the database."),
    "most_connections": ("tailwatch_database_connections_max", "Connections that PostgreSQL allows."),
    "oldest_transaction": ("tailwatch_database_oldest_transaction_seconds", "Age of the longest open transaction."),
    "dead_rows": ("tailwatch_database_dead_rows", "Rows that vacuum has yet to clear away."),
}
_HEARTBEATS: Final = text("SELECT queue, extract(epoch FROM now() - answered_at) AS age FROM worker_heartbeats")

#: Name and meaning of what Valkey's INFO says.
_BROKER: Final = {
    "used_memory": ("tailwatch_broker_memory_bytes", "Memory that Valkey uses."),
    "maxmemory": ("tailwatch_broker_memory_max_bytes", "Memory that Valkey may use; 0: no limit."),
    "connected_clients": ("tailwatch_broker_clients", "Connections to Valkey."),
    "rejected_connections": ("tailwatch_broker_rejected_connections", "Connections that Valkey refused."),
}


class Installation(Collector):
    """Every series that is not of this web server's own processes."""

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from _database()
        yield from _broker()
        yield from _front()
        yield from _disks()
        scheduled = get_settings().backup_at is not None
        yield _gauge("tailwatch_backup_scheduled", "1: BACKUP_AT asks for a backup a day.", float(scheduled))


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _database() -> Iterator[Metric]:
    up = ("tailwatch_database_up", "Whether the database answers.")
    try:
        with get_engine(autocommit=True).connect() as connection:
            found = [*_work(connection), _heartbeats(connection)]
    except SQLAlchemyError:
        yield _gauge(*up, 0)
        return
    yield _gauge(*up, 1)
    yield from found


def _work(connection: Connection) -> Iterator[Metric]:
    row = connection.execute(_WORK).mappings().one()
    for column, named in _GAUGES.items():
        if row[column] is not None:
            yield _gauge(*named, float(row[column]))


def _heartbeats(connection: Connection) -> Metric:
    ages = GaugeMetricFamily(
        "tailwatch_worker_heartbeat_age_seconds",
        "Time since a probe last went all the way through a queue.",
        labels=["queue"],
    )
    for row in connection.execute(_HEARTBEATS):
        ages.add_metric([row.queue], float(row.age))
    return ages


def _broker() -> Iterator[Metric]:
    up = ("tailwatch_broker_up", "Whether the broker answers.")
    lengths = GaugeMetricFamily("tailwatch_queue_messages", "Wake-up messages waiting.", labels=["queue"])
    client = health.broker()
    try:
        for queue in QUEUES:
            lengths.add_metric([queue], float(cast("int", client.llen(queue))))
        said = cast("Mapping[str, Any]", client.info())
        published = {family.name: family for family in pusher.published(client)}
    except redis.RedisError:
        yield _gauge(*up, 0)
        yield _with_own_version({})
        return
    yield _gauge(*up, 1)
    yield lengths
    for name, named in _BROKER.items():
        yield _gauge(*named, float(said.get(name, 0)))
    yield _with_own_version(published)
    yield from (family for name, family in published.items() if name != metrics.BUILD.name)


def _with_own_version(published: Mapping[str, Metric]) -> Metric:
    """Return the family of versions, this web server's among them."""
    build = published.get(metrics.BUILD.name) or Metric(metrics.BUILD.name, metrics.BUILD.meaning, "gauge")
    version, python = metrics.build()
    labels = {"version": version, "python": python, "service": "web", "instance": socket.gethostname()}
    build.add_sample(metrics.BUILD.name, labels, 1.0)
    return build


def _front() -> Iterator[Metric]:
    url = get_settings().edge_status_url
    if url is None:
        return
    up = ("tailwatch_nginx_up", "Whether the web server in front answers.")
    try:
        with urllib.request.urlopen(url, timeout=_STATUS_SECONDS) as answer:  # noqa: S310 - the operator's own
            said = answer.read(2000).decode("ascii", "replace")
    except OSError:
        said = ""
    found = re.search(r"Active connections: (\d+)\s.*?\s(\d+) (\d+) (\d+)\s", said, re.DOTALL)
    yield _gauge(*up, float(found is not None))
    if found is not None:
        yield _gauge("tailwatch_nginx_connections", "Connections open to the web server in front.", float(found[1]))
        yield CounterMetricFamily(
            "tailwatch_nginx_requests", "Requests that the web server in front answered.", value=float(found[4])
        )


def _disks() -> Iterator[Metric]:
    free = GaugeMetricFamily("tailwatch_disk_free_bytes", "Free space where this folder is.", labels=["folder"])
    size = GaugeMetricFamily("tailwatch_disk_size_bytes", "Space in all where this folder is.", labels=["folder"])
    folder = get_settings().backup_dir
    if folder is None:
        return
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return
    free.add_metric([str(folder)], usage.free)
    size.add_metric([str(folder)], usage.total)
    yield free
    yield size
