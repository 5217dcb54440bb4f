"""What the whole installation measures, asked for at the moment of a scrape; a part that is away is left out.

Database and broker are asked themselves; workers and scheduler have published what they count (tailwatch.metrics);
the web server in front has a status page. Each is waited for a bounded time, together well below the ten seconds
after which Prometheus gives a scrape up: one that hangs must not take the figures of all others with it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

import psutil
import redis
from gevent import Timeout
from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from api import health
from tailwatch import metrics
from tailwatch.db.session import get_engine
from tailwatch.market.status import LATE, late_at
from tailwatch.metrics import pusher
from tailwatch.queue import QUEUES
from tailwatch.settings import get_settings

_STATUS_SECONDS: Final = 0.5
#: PostgreSQL ends a question that takes longer; what is beyond twice this time is a server that hangs.
_DATABASE_SECONDS: Final = 2.0
#: Prices are fetched every business day, so those fetched on a Friday are three days old when the next ones come.
_STALE: Final = "interval '4 days'"

_WORK: Final = text(
    f"""
    SELECT (SELECT count(*) FROM portfolios
             WHERE revision > done_revision OR market_revision > done_market_revision) AS behind,
           (SELECT coalesce(max(extract(epoch FROM now() - behind_since)), 0) FROM portfolios
             WHERE revision > done_revision) AS oldest_stale,
           (SELECT coalesce(max(extract(epoch FROM now() - behind_since)), 0) FROM portfolios
             WHERE market_revision > done_market_revision AND revision <= done_revision) AS oldest_stale_prices,
           (SELECT count(*) FROM portfolios
             WHERE failure_reason IS NOT NULL AND failed_revision >= revision
               AND (revision > done_revision OR market_revision > done_market_revision)) AS failed,
           (SELECT extract(epoch FROM now() - max(last_fetched_at)) FROM instruments) AS newest_fetch,
           (SELECT count(*) FROM instruments WHERE status = 'failed') AS instruments_failed,
           (SELECT count(*) FROM instruments WHERE status = 'pending') AS instruments_pending,
           (SELECT count(*) FROM instruments i
             WHERE status IN ('ok', 'failed') AND (last_fetched_at IS NULL OR last_fetched_at < now() - {_STALE})
               AND EXISTS (SELECT FROM trades t WHERE t.instrument_id = i.id)) AS instruments_stale,
           (SELECT count(*) FROM instruments i WHERE i.status = 'ok' AND i.due_day IS NOT NULL) AS instruments_due,
           (SELECT count(*) FROM instruments i
             CROSS JOIN LATERAL (
               SELECT day FROM prices WHERE instrument_id = i.id ORDER BY day DESC LIMIT 1) last
             WHERE {LATE}) AS instruments_late,
           (SELECT count(*) FROM held_prices WHERE decision IS NULL) AS prices_held,
           (SELECT extract(epoch FROM now() - max(started_at)) FROM nightly_runs) AS nightly_age,
           (SELECT coalesce(max(extract(epoch FROM clock.utc - due.at)), 0)
              FROM (SELECT now() AT TIME ZONE 'UTC' AS utc) clock,
                   LATERAL (SELECT max(day + :nightly_at) AS at
                      FROM generate_series(date_trunc('day', utc) - interval '4 days', utc, interval '1 day') day
                     WHERE extract(isodow FROM day) < 6 AND day + :nightly_at <= utc) due
             WHERE NOT EXISTS (SELECT FROM nightly_runs WHERE business_day = due.at::date)) AS nightly_overdue,
           (SELECT extract(epoch FROM now() - max(finished_at)) FROM backup_runs WHERE error IS NULL) AS backup_age,
           (SELECT bytes FROM backup_runs WHERE error IS NULL AND finished_at IS NOT NULL
             ORDER BY day DESC LIMIT 1) AS backup_bytes,
           (SELECT (error IS NOT NULL)::int FROM backup_runs ORDER BY day DESC LIMIT 1) AS backup_failed,
           pg_database_size(current_database()) AS database_bytes,
           (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
           current_setting('max_connections')::int AS most_connections,
           (SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()) AS oldest_transaction,
           (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables) AS dead_rows,
           (SELECT wal_bytes FROM pg_stat_wal) AS wal_bytes,
           activity.xact_commit AS commits, activity.xact_rollback AS rollbacks, activity.deadlocks,
           activity.blks_hit AS blocks_hit, activity.blks_read AS blocks_read
      FROM pg_stat_database activity WHERE activity.datname = current_database()
    """  # noqa: S608 - constants of ours
)
#: Name and meaning of each column above; one without a value is left out.
_GAUGES: Final = {
    "behind": ("tailwatch_portfolios_behind", "Portfolios whose risk waits to be computed."),
    "oldest_stale": (
        "tailwatch_oldest_stale_seconds",
        "How long the figures have been behind what somebody changed, where it is longest; 0 if none are.",
    ),
    "oldest_stale_prices": (
        "tailwatch_oldest_stale_prices_seconds",
        "How long the figures have been behind new prices and nothing else, where it is longest; 0 if none are.",
    ),
    "failed": ("tailwatch_portfolios_failed", "Portfolios whose last computation failed."),
    "newest_fetch": ("tailwatch_price_age_seconds", "Time since a price source last answered with prices."),
    "instruments_failed": ("tailwatch_instruments_failed", "Instruments whose last price fetch failed."),
    "instruments_pending": ("tailwatch_instruments_pending", "Instruments that wait for their first prices."),
    "instruments_stale": (
        "tailwatch_instruments_stale",
        "Instruments somebody trades whose last prices came more than four days ago.",
    ),
    "instruments_due": ("tailwatch_instruments_due", "Instruments of which a session's bar is awaited next."),
    "instruments_late": ("tailwatch_instruments_late", "Those of them whose bar should be there by now."),
    "prices_held": ("tailwatch_prices_held", "Bars that are held back until a second fetch or a person decides."),
    "nightly_overdue": (
        "tailwatch_nightly_overdue_seconds",
        "Time since the newest nightly refresh that has not begun was due; 0 if none is.",
    ),
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
#: The same, of what only ever grows.
_COUNTERS: Final = {
    "wal_bytes": ("tailwatch_database_wal_bytes", "Write-ahead log written."),
    "commits": ("tailwatch_database_commits", "Transactions committed."),
    "rollbacks": ("tailwatch_database_rollbacks", "Transactions rolled back."),
    "deadlocks": ("tailwatch_database_deadlocks", "Deadlocks."),
    "blocks_hit": ("tailwatch_database_blocks_hit", "Blocks found in PostgreSQL's own memory."),
    "blocks_read": ("tailwatch_database_blocks_read", "Blocks that the system was asked for."),
}
_HEARTBEATS: Final = text("SELECT queue, extract(epoch FROM now() - answered_at) AS age FROM worker_heartbeats")

#: Name and meaning of what Valkey's INFO says.
_BROKER: Final = {
    "used_memory": ("tailwatch_broker_memory_bytes", "Memory that Valkey uses."),
    "maxmemory": ("tailwatch_broker_memory_max_bytes", "Memory that Valkey may use; 0: no limit."),
    "connected_clients": ("tailwatch_broker_clients", "Connections to Valkey."),
}
_BROKER_COUNTERS: Final = {
    "rejected_connections": ("tailwatch_broker_rejected_connections", "Connections that Valkey refused."),
    "evicted_keys": ("tailwatch_broker_evicted_keys", "Keys that Valkey dropped for want of memory."),
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
        with Timeout(2 * _DATABASE_SECONDS), get_engine().begin() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = '{_DATABASE_SECONDS}s'"))
            found = [*_work(connection), _heartbeats(connection)]
    except (SQLAlchemyError, Timeout):
        yield _gauge(*up, 0)
        return
    yield _gauge(*up, 1)
    yield from found


def _work(connection: Connection) -> Iterator[Metric]:
    row = connection.execute(_WORK, late_at(datetime.now(UTC))).mappings().one()
    for column, named in _GAUGES.items():
        if row[column] is not None:
            yield _gauge(*named, float(row[column]))
    for column, named in _COUNTERS.items():
        yield CounterMetricFamily(*named, value=float(row[column]))


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
        yield from _with_our_own({})
        return
    yield _gauge(*up, 1)
    yield lengths
    for name, named in _BROKER.items():
        yield _gauge(*named, float(said.get(name, 0)))
    for name, named in _BROKER_COUNTERS.items():
        yield CounterMetricFamily(*named, value=float(said.get(name, 0)))
    yield _persistence(said)
    yield from _with_our_own(published)


def _persistence(said: Mapping[str, Any]) -> Metric:
    """Return what Valkey keeps on disk. Under Compose nothing, on purpose; ./run's keeps a log."""
    kept = GaugeMetricFamily(
        "tailwatch_broker_persistence_ok",
        "1: the last write to disk went well; a kind that is switched off is left out.",
        labels=["kind"],
    )
    if said.get("aof_enabled"):
        kept.add_metric(["log"], float(said.get("aof_last_write_status") == "ok"))
    if said.get("rdb_saves") or said.get("rdb_last_bgsave_status") != "ok":
        kept.add_metric(["snapshot"], float(said.get("rdb_last_bgsave_status") == "ok"))
    return kept


def _with_our_own(published: Mapping[str, Metric]) -> Iterable[Metric]:
    """Return what workers and scheduler published, and the same of the processes of this web server."""
    families = dict(published)
    build = families.setdefault(metrics.BUILD.name, Metric(metrics.BUILD.name, metrics.BUILD.meaning, "gauge"))
    version, python = metrics.build()
    host = socket.gethostname()
    build.add_sample(
        metrics.BUILD.name, {"version": version, "python": python, "service": "web", "instance": host}, 1.0
    )
    for pid in _web_processes():
        labels = {"service": "web", "instance": f"{host}/{pid}"}
        for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            found = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                found.add_sample(sample.name, labels, sample.value)
    return families.values()


def _web_processes() -> list[int]:
    """Return the processes of this web server: gunicorn's first, and those that it forked, of which this is one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return [os.getpid()]
    try:
        first = psutil.Process(os.getppid())
        return [first.pid, *(child.pid for child in first.children())]
    except psutil.Error:
        return [os.getpid()]


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
