"""`tailwatch model`: the coefficients of the volatility model - seen, learned anew, compared, put in use."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from tailwatch.cli.context import DataDir, database
from tailwatch.errors import InputFileError, TailwatchError, TooLittleHistoryError

if TYPE_CHECKING:
    from tailwatch.cli.model_report import Comparison
    from tailwatch.measurement.universe import Universe
    from tailwatch.risk.arrays import Vector
    from tailwatch.risk.volatility import Measure, VolatilityModel

model = typer.Typer(
    help="The volatility model that scales the scenarios of the filtered method.", no_args_is_help=True
)

#: Days at the end that are held out of the first fit: a quarter of all, and no fewer than that.
HELD_OUT_SHARE: Final = 0.25
FEWEST_HELD_OUT: Final = 250
#: Share of the returns that must come with open, high and low for a model of them to be tried.
ENOUGH_RANGES: Final = 0.5


@model.command("show")
def show(*, data_dir: DataDir = None) -> None:
    """Show the coefficients in use, where they come from, and since when."""
    with database(data_dir, migrated=True):
        from tailwatch.cli import model_report
        from tailwatch.db.session import get_engine
        from tailwatch.measurement.model import current

        with get_engine().connect() as connection:
            model_report.show_choice(current(connection))


@model.command("fit")
def fit(
    prices: Annotated[
        Path | None,
        typer.Option(
            help="Adjusted closes to learn from, as `validate` reads them. Without: every stored instrument with 750 "
            "daily returns.",
            metavar="FILE",
        ),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option(help="Column of the file that is the market. Without: the mean of all.", metavar="NAME"),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="The last day that the comparison learns from; what comes after is held out. Default: a quarter of "
            "all days is.",
            metavar="DATE|ROW",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the coefficients.", metavar="FILE")] = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Learn the coefficients anew and compare them with those in use on days held out. Switches nothing.

    Coefficients learned from the days up to --until are scored on the days
    after it, beside those in use. What is written with --out is then learned
    from all days; `tailwatch model use FILE` puts it in use. The same prices
    give the same coefficients every time. Where open, high and low are stored,
    a model of the days' ranges is tried too, and taken if it forecast better.
    """
    remarks = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        with database(data_dir, migrated=True):
            from tailwatch.db.session import get_engine
            from tailwatch.measurement import universe as stored
            from tailwatch.measurement.model import current

            with get_engine().connect() as connection:
                in_use = current(connection).model
                universe, index = (
                    (stored.load(connection), None) if prices is None else _read(prices, market, remarks)
                )
        source = "the stored instruments" if prices is None else prices.name
        comparison = compare(universe, index, in_use, until, source)
    except TailwatchError as error:
        remarks.print(str(error))
        raise typer.Exit(2) from error
    from tailwatch.cli import model_report

    model_report.show_comparison(comparison)
    if out is None:
        typer.echo("Nothing was written; --out FILE keeps the new coefficients.")
    else:
        _write(out, comparison.new)
        typer.echo(f"Written to {out}. To put them in use: tailwatch model use {out}")


@model.command("use")
def use(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of `tailwatch model fit --out`.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Put the coefficients of a file in use, on every host of this installation; every portfolio is computed anew."""
    from tailwatch.risk.coefficients import from_json

    try:
        chosen = from_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputFileError(f"{file} cannot be read: {reason}.") from error
    _choose(chosen, data_dir)


@model.command("reset")
def reset(*, data_dir: DataDir = None) -> None:
    """Go back to the coefficients that Tailwatch comes with; every portfolio is computed anew."""
    _choose(None, data_dir)


def compare(
    universe: Universe, market: Vector | None, in_use: VolatilityModel, until: str | None, source: str
) -> Comparison:
    """Fit on the days up to one, score on those after it, and fit on all of them.

    Args:
        universe: What to learn from.
        market: (T,) the market's returns; None: the mean of the universe.
        in_use: What to compare with.
        until: Last day to learn from, or None.
        source: Where the universe comes from, for the provenance.

    Raises:
        TailwatchError: there is too little to learn from or to compare on.
    """
    from tailwatch.cli.model_report import Comparison, mean_loss
    from tailwatch.risk import fit as fitting
    from tailwatch.risk.backtest.models import compare as score

    start = _first_held_out(universe, until)
    measures: list[Measure] = ["squares"]
    if universe.share_with_ranges >= ENOUGH_RANGES:
        measures.append("range")
    observed = {
        each: fitting.observe(universe.returns, market, universe.ranges if each == "range" else None)
        for each in measures
    }
    past = {each: fitting.fit(observed[each].between(0, start), measure=each).model for each in measures}
    before, *after = score(
        universe.returns, [in_use, *past.values()], start=start, market=market, ranges=universe.ranges
    )
    scores = dict(zip(measures, after, strict=True))
    # Ranges are looked at only where that is shown to forecast better.
    best = min(measures, key=lambda each: mean_loss(scores[each]))
    instruments = observed[best].instruments
    whole = fitting.fit(observed[best], _provenance(universe, instruments, source), best)
    return Comparison(
        in_use=in_use,
        past=past[best],
        new=whole.model,
        instruments=instruments,
        learned=(universe.days[0], universe.days[start - 1]),
        held_out=(universe.days[start], universe.days[-1]),
        scores=(before, scores[best]),
        by_measure=scores,
    )


def _first_held_out(universe: Universe, until: str | None) -> int:
    """Return the row of the first day that the comparison does not learn from."""
    days = universe.days
    if until is None:
        start = len(days) - max(FEWEST_HELD_OUT, round(HELD_OUT_SHARE * len(days)))
    elif until.isdigit():
        start = sum(int(day) <= int(until) for day in days) if days[:1] and days[0].isdigit() else int(until)
    else:
        try:
            last = date.fromisoformat(until).isoformat()
        except ValueError:
            raise InputFileError(f"“{until}” is no day: give a date such as 2018-12-31.") from None
        start = sum(day <= last for day in days)
    if start < 1 or len(days) - start < FEWEST_HELD_OUT:
        raise TooLittleHistoryError(
            f"There are {len(days)} days of returns. Learning from the first {max(start, 0)} leaves too few: some to "
            f"learn from, and {FEWEST_HELD_OUT} to compare on."
        )
    return start


def _read(path: Path, market: str | None, remarks: Console) -> tuple[Universe, Vector | None]:
    """Return the columns of a file, and the one that is the market."""
    from tailwatch.cli.price_files import read_prices
    from tailwatch.measurement.universe import Universe

    prices = read_prices(path)
    for remark in prices.remarks:
        remarks.print(remark)
    if market is not None and market not in prices.names:
        raise InputFileError(f"{path} has no column {market}.")
    returns = prices.returns
    columns = [column for column, name in enumerate(prices.names) if name != market]
    universe = Universe(tuple(prices.names[each] for each in columns), prices.labels[1:], returns[:, columns])
    return universe, None if market is None else returns[:, prices.names.index(market)]


def _provenance(universe: Universe, instruments: int, source: str) -> dict[str, str]:
    import tailwatch
    from tailwatch.risk.fit import DEGREES_OF_FREEDOM

    return {
        "method": f"pooled maximum likelihood of a unit-variance Student-t with {DEGREES_OF_FREEDOM} degrees of "
        "freedom, coefficients non-negative",
        "data": f"{source}: {instruments} instruments, {universe.days[0]} to {universe.days[-1]}",
        "command": f"tailwatch model fit, version {tailwatch.__version__}",
        "fitted": datetime.now(UTC).date().isoformat(),
    }


def _write(path: Path, fitted: VolatilityModel) -> None:
    from tailwatch.risk.coefficients import to_json

    try:
        path.write_text(to_json(fitted), encoding="utf-8")
    except OSError as error:
        raise InputFileError(f"{path} cannot be written: {error.strerror}.") from error


def _choose(chosen: VolatilityModel | None, data_dir: Path | None) -> None:
    with database(data_dir, migrated=True):
        from tailwatch import refresh
        from tailwatch.db.session import transaction
        from tailwatch.measurement.model import choose, current

        with transaction() as session:
            before = current(session.connection()).model.digest
            choose(session, chosen)
            after = current(session.connection()).model.digest
            behind = refresh.raise_all(session) if after != before else 0
    if after == before:
        typer.echo("The coefficients in use are the same as before.")
    else:
        typer.echo(f"In use: {after[:12]}, before: {before[:12]}. Portfolios to be computed anew: {behind}.")
