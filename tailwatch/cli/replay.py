"""`tailwatch replay`: compute a stored snapshot again and say whether the figures are the same to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tailwatch.cli.context import DataDir, database

if TYPE_CHECKING:
    from tailwatch.measurement.replay import Replay

#: Exit statuses: the same, not the same, cannot be told.
SAME, DIFFERENT, UNKNOWN = 0, 1, 2
#: Places in the snapshot that the text names.
_NAMED = 10


def replay(
    snapshot: Annotated[int, typer.Argument(metavar="SNAPSHOT", help="Its id: `snapshot_id` of GET …/risk.")],
    out: Annotated[Literal["text", "json"], typer.Option(help="How the answer is written.")] = "text",
    *,
    data_dir: DataDir = None,
) -> None:
    """Compute a stored snapshot again from its own inputs, and compare.

    Ends with 0 if every figure is the same to the last bit, with 1 if something differs, with 2 if there is nothing
    to compare.
    """
    with database(data_dir):
        from tailwatch.db.session import get_engine
        from tailwatch.errors import NotReplayableError
        from tailwatch.measurement.replay import replay as compute_again

        with get_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            try:
                found = compute_again(connection, snapshot)
            except NotReplayableError as error:
                typer.echo(str(error), err=True)
                raise typer.Exit(UNKNOWN) from None
    typer.echo(as_json(found) if out == "json" else as_text(found))
    raise typer.Exit(SAME if found.same else DIFFERENT)


def as_json(found: Replay) -> str:
    """Return all of it."""
    import orjson

    content = {
        "snapshot_id": found.snapshot_id,
        "same": found.same,
        "causes": [{"code": cause.code, "message": cause.message} for cause in found.causes],
        "figures": {name: {"stored": then, "computed": now} for name, (then, now) in found.figures.items()},
        "differing": found.differing,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def as_text(found: Replay) -> str:
    """Return it as sentences."""
    if found.same:
        lines = [f"Snapshot {found.snapshot_id}: every figure is the same to the last bit."]
        lines += [f"Although: {cause.message}" for cause in found.causes]
        return "\n".join(lines)
    lines = [f"Snapshot {found.snapshot_id} is not the same when it is computed again."]
    lines += [cause.message for cause in found.causes] or ["Its inputs are what they were: please report this."]
    lines += [f"  {name}: {then} stored, {now} now" for name, (then, now) in found.figures.items()]
    rest = [place for place in found.differing if place not in found.figures]
    if rest:
        more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
        lines.append(f"  Also: {', '.join(rest[:_NAMED])}{more}")
    return "\n".join(lines)
