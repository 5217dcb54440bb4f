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


@contextmanager
def database(data_dir: Path | None, *, migrated: bool = False) -> Iterator[None]:
    """Make the settings of this process name running servers for the block; start them for it if none run.

    Args:
        data_dir: as `--data-dir`.
        migrated: bring the schema up to date first, so that a command works before the first `./run`.

    Raises:
        SetupError: the servers could not be started.
    """
    from tailwatch.embedded import instance, layout

    with instance.servers(layout.resolve(data_dir)) as environment:
        os.environ.update(environment)
        if migrated:
            from tailwatch.db import migrate
            from tailwatch.db.session import get_engine

            migrate.upgrade(get_engine())
        yield
