"""What commands share: the data folder option and a database to work on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="TAILWATCH_DATA_DIR", help="Where Tailwatch keeps its data. Default: ./data"),
]


def on_servers_of_others() -> bool:
    """Say whether database and broker are kept by somebody else, as in a container: no data folder is looked into."""
    return bool(os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))


def in_container() -> bool:
    """Say whether this is the image (Dockerfile): no folder of data and no program of ours is beside this one."""
    return os.environ.get("TAILWATCH_IN_CONTAINER") == "1"


@contextmanager
def database(data_dir: Path | None, *, migrated: bool = False) -> Iterator[None]:
    """Make the settings of this process name running servers for the block; start them for it if none run.

    Args:
        data_dir: as `--data-dir`.
        migrated: bring the schema up to date first, so that a command works before the first `./run`.

    Raises:
        SetupError: the servers could not be started.
    """
    if on_servers_of_others():
        _migrate_if(migrated)
        yield
        return
    from tailwatch.embedded import instance, layout

    where = layout.resolve(data_dir)
    os.environ["BACKUP_DIR"] = os.environ.get("BACKUP_DIR") or str(where.backups)
    with instance.servers(where) as environment:
        os.environ.update(environment)
        _migrate_if(migrated)
        yield


def _migrate_if(wanted: bool) -> None:
    if wanted:
        from tailwatch.db import migrate
        from tailwatch.db.session import get_engine

        migrate.upgrade(get_engine())
