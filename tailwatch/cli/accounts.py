"""Commands about who may do what: tokens, sign-in links, passwords."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from tailwatch.cli.context import DataDir, database, in_container
from tailwatch.embedded.environment import SetupError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tailwatch.db.models import User

token = typer.Typer(help="API tokens of the owner. Without a command: print a new one.")
user = typer.Typer(help="The owner's account.", no_args_is_help=True)

Scope = Annotated[Literal["read", "write"], typer.Option(help="What the token may do.")]
Name = Annotated[str, typer.Option(help="What the list of tokens calls it.")]
Days = Annotated[int | None, typer.Option(min=1, help="Days until it expires. Default: never.")]


def owner(session: Session) -> User:
    """Return the owner's account, made if there is none yet."""
    from tailwatch import accounts
    from tailwatch.embedded.prepare import OWNER

    return accounts.create_owner(session, OWNER)


@token.callback(invoke_without_command=True)
def make_token(
    context: typer.Context,
    scope: Scope = "write",
    name: Name = "command line",
    days: Days = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Print a new API token. It is shown this once."""
    if context.invoked_subcommand is not None:
        return
    with database(data_dir, migrated=True):
        from tailwatch import accounts
        from tailwatch.db.session import transaction

        with transaction() as session:
            lifetime = None if days is None else timedelta(days=days)
            _, secret = accounts.create_token(
                session, owner(session).id, name, scope, datetime.now(UTC), lifetime=lifetime
            )
    typer.echo(secret)


@token.command("list")
def list_tokens(*, data_dir: DataDir = None) -> None:
    """List the owner's tokens (never the secrets)."""
    table = Table("id", "name", "scope", "made", "last used", "ends")
    with database(data_dir, migrated=True):
        from sqlalchemy import select

        from tailwatch.db.models import ApiToken
        from tailwatch.db.session import transaction

        with transaction() as session:
            query = select(ApiToken).where(ApiToken.user_id == owner(session).id).order_by(ApiToken.id)
            for found in session.scalars(query):
                ends = "revoked" if found.revoked_at else _day(found.expires_at)
                table.add_row(
                    str(found.id), found.name, found.scope, _day(found.created_at), _day(found.last_used_at), ends
                )
    Console().print(table)


@token.command("revoke")
def revoke_token(number: Annotated[int, typer.Argument(metavar="ID")], *, data_dir: DataDir = None) -> None:
    """Revoke a token for good."""
    with database(data_dir, migrated=True):
        from tailwatch import accounts, live
        from tailwatch.db.session import transaction

        with transaction() as session:
            revoked = accounts.revoke_token(session, owner(session).id, number, datetime.now(UTC))
        if revoked:
            live.publish({"kind": "access", "token_id": number})
    if not revoked:
        raise SetupError(f"There is no token {number} that could be revoked. `./run token list` shows them.")
    typer.echo(f"Token {number} is revoked.")


def sign_in_link(*, data_dir: DataDir = None) -> None:
    """Print a link that signs the owner in once."""
    # Before the block: inside it the environment names the running servers, whoever keeps them.
    address = _running_at(data_dir)
    with database(data_dir, migrated=True):
        from tailwatch import accounts
        from tailwatch.db.session import transaction
        from tailwatch.settings import get_settings

        with transaction() as session:
            secret = accounts.create_sign_in_link(session, owner(session), datetime.now(UTC))
        address = get_settings().public_url or address
    if address is not None:
        typer.echo(f"{address.rstrip('/')}/sign-in#{secret}")
    else:
        typer.echo(f"Open this page of your Tailwatch:  /sign-in#{secret}")


def _running_at(data_dir: Path | None) -> str | None:
    from tailwatch.embedded import instance, layout

    if in_container():
        return None
    running = instance.find(layout.resolve(data_dir))
    return None if running is None else running.url


@user.command("set-password")
def set_password(
    password: Annotated[str, typer.Option(prompt="New password", hide_input=True, confirmation_prompt=True)],
    *,
    data_dir: DataDir = None,
) -> None:
    """Set the owner's password, for signing in without a link. Ends every signed-in session."""
    with database(data_dir, migrated=True):
        from tailwatch import accounts, live
        from tailwatch.db.session import transaction

        with transaction() as session:
            account = owner(session)
            try:
                ended = accounts.set_password(session, account, password)
            except ValueError as error:
                raise SetupError(str(error)) from error
        for session_id in ended:
            live.publish({"kind": "access", "session_id": session_id})
    typer.echo(f"Done. Sign in as {account.email}.")


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
