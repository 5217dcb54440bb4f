"""Which commands there are. What a command needs is imported when it runs, so that `--help` is there at once."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import tailwatch
from tailwatch.cli import accounts, backups, book, labels, model, prices, replay, validate
from tailwatch.cli.context import DataDir, database
from tailwatch.embedded.environment import ROOT, SetupError
from tailwatch.errors import TailwatchError

app = typer.Typer(
    name="tailwatch",
    help="Tailwatch: self-hosted, real-time portfolio risk. Without a command: start everything (`up`).",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(accounts.token, name="token")
app.add_typer(accounts.user, name="user")
app.add_typer(model.model, name="model")
app.add_typer(book.book, name="book")
app.add_typer(prices.prices, name="prices")
app.command("import")(book.import_file)
app.command("export")(book.export)
app.command("sign-in-link")(accounts.sign_in_link)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("upgrade")(backups.upgrade)
app.command("label")(labels.label)
app.command("replay")(replay.replay)
app.command("validate")(validate.validate)
demo = typer.Typer(help="The demo portfolio.", no_args_is_help=True)
app.add_typer(demo, name="demo")


@app.callback()
def every_command() -> None:
    """Tailwatch: self-hosted, real-time portfolio risk. Without a command: start everything (`up`)."""


@app.command()
def up(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            envvar="TAILWATCH_PORT",
            min=1,
            max=65535,
            help="Port of the web server. Default: 8080 or the next free one.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            envvar="TAILWATCH_HOST", help="Address to listen on; 0.0.0.0 is every network this machine is in."
        ),
    ] = "127.0.0.1",
    data_dir: DataDir = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Do not book the demo portfolio.")] = False,
    no_link: Annotated[
        bool, typer.Option("--no-link", help="Print no sign-in link: for services, whose output is kept.")
    ] = False,
) -> None:
    """Start everything: database, broker, web server, workers, scheduler. Ctrl-C ends it.

    DATABASE_URL and REDIS_URL, where they are set, name servers to use instead of the embedded ones.
    """
    from tailwatch.embedded.launcher import Options
    from tailwatch.embedded.launcher import up as launch

    options = Options(host=host, port=port, data_dir=data_dir, demo=not no_demo, link=not no_link)
    raise typer.Exit(launch(options, Console(highlight=False)))


@app.command("test", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def run_tests(
    pytest_arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Paths and options for pytest; with any, only those tests run.", metavar="[PYTEST…]"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only this check; can be given several times."),
    ] = None,
    *,
    compose: Annotated[
        bool,
        typer.Option("--compose", help="Instead: build and run the whole installation under Docker Compose."),
    ] = False,
) -> None:
    """Run all tests and linters, and print one summary."""
    from tailwatch.cli.checks import run_checks, run_compose_checks

    if compose:
        raise typer.Exit(run_compose_checks())
    raise typer.Exit(run_checks(pytest_arguments or [], only or []))


@app.command()
def doctor(*, data_dir: DataDir = None) -> None:
    """Say what is wrong with the set-up, in words; exit non-zero if anything is."""
    from tailwatch.cli.doctor import examine

    raise typer.Exit(examine(data_dir, Console(highlight=False)))


@app.command()
def migrate(*, data_dir: DataDir = None) -> None:
    """Bring the database to the schema of this version; starting Tailwatch does that by itself."""
    with database(data_dir):
        from tailwatch.db import migrate as migrations
        from tailwatch.db.session import get_engine

        before = migrations.current(get_engine())
        migrations.upgrade(get_engine())
        after = migrations.current(get_engine())
    typer.echo(f"The schema is at {after}." if before == after else f"The schema went from {before} to {after}.")


@demo.command("load")
def load_demo(*, data_dir: DataDir = None) -> None:
    """Book the demo portfolio, if the owner has no portfolio yet."""
    with database(data_dir, migrated=True):
        from tailwatch import demo as demo_portfolio
        from tailwatch.db.session import transaction

        with transaction() as session:
            booked = demo_portfolio.load(session, accounts.owner(session))
    typer.echo("Not booked: there is a portfolio already." if booked is None else "The demo portfolio is booked.")


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def bench(
    name: Annotated[str, typer.Argument(help="A file of bench/, such as startup.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGUMENTS…]")] = None,
) -> None:
    """Measure what the README claims; the running product is found by itself."""
    from tailwatch.embedded import instance, layout

    script = ROOT / "bench" / f"{name}.py"
    if not script.exists():
        names = ", ".join(sorted(path.stem for path in script.parent.glob("*.py")))
        raise SetupError(f"There is no benchmark {name}. There are: {names}.")
    running = instance.find(layout.resolve(None))
    if running is not None:
        os.environ.update(running.environment | {"TAILWATCH_URL": running.url})
    os.execv(sys.executable, [sys.executable, str(script), *(arguments or [])])  # noqa: S606 - no shell is the point


@app.command("make-secrets", hidden=True)
def make_secrets(folder: Annotated[Path, typer.Argument(help="Where the services look for them.")]) -> None:
    """Put the installation's secrets into files, made at random unless the settings give them."""
    from tailwatch import secret_files

    try:
        made = secret_files.ensure(folder, os.environ)
    except secret_files.SecretError as error:
        raise SetupError(str(error)) from error
    typer.echo(f"Made: {', '.join(made)}." if made else "Every secret is there.")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(tailwatch.__version__)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; no command means `up`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows another one instead of ending the command.
            stream.reconfigure(errors="replace")
    words = list(arguments)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help"}):
        words.insert(0, "up")
    try:
        app(words, prog_name="./run")
    except (SetupError, TailwatchError) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    return 0
