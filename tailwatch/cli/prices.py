"""`tailwatch prices`: how they stand, what is held back of them, and what a person decides about it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tailwatch.cli.context import DataDir, database
from tailwatch.embedded.environment import SetupError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tailwatch.market.held import Decision
    from tailwatch.market.status import Standing

prices = typer.Typer(help="The prices that portfolios rest on.", no_args_is_help=True)

Ticker = Annotated[str, typer.Argument(help="Of an instrument that a portfolio has named.")]
Day = Annotated[str, typer.Argument(help="Such as 2026-03-31.")]


@prices.command("status")
def status(tickers: Annotated[list[str] | None, typer.Argument()] = None, *, data_dir: DataDir = None) -> None:
    """Show for each instrument its newest bar, source, next session and fetch, last error and held-back bars."""
    console = Console(highlight=False)
    with database(data_dir, migrated=True):
        from tailwatch.db.session import get_engine
        from tailwatch.market.status import standings

        wanted = None if not tickers else [ticker.strip().upper() for ticker in tickers]
        with get_engine().connect() as connection:
            found = standings(connection, None, tickers=wanted)
    bar, fetch = ("newest bar", "close", "currency", "source"), ("awaits", "next fetch")
    table = Table("ticker", "state", *bar, *fetch, "held", "remarks")
    for one in found:
        remarks = [one.last_error or "", *(remark["message"] for remark in one.remarks)]
        table.add_row(
            one.ticker,
            one.state,
            str(one.last_bar or "–"),
            "–" if one.last_close is None else f"{one.last_close.normalize():f}",
            one.currency or "–",
            one.source or "–",
            _awaited(one),
            "next night" if one.next_fetch_at is None else f"{one.next_fetch_at:%Y-%m-%d %H:%M} UTC",
            str(one.held or ""),
            " ".join(filter(None, remarks)),
        )
    console.print(table if found else "No portfolio has named an instrument yet.")


@prices.command("held")
def held(*, data_dir: DataDir = None) -> None:
    """List the bars that are held back and wait for a decision."""
    console = Console(highlight=False)
    with database(data_dir, migrated=True):
        from tailwatch.db.session import get_engine
        from tailwatch.market.status import held_prices, standings

        with get_engine().connect() as connection:
            ids = [one.id for one in standings(connection, None) if one.held]
            found = [one for one in held_prices(connection, ids) if one["decision"] is None]
    if not found:
        console.print("No price is held back.")
        return
    table = Table("ticker", "day", "close", "source", "seen", "why")
    for one in found:
        close = f"{one['close'].normalize():f}"
        table.add_row(one["ticker"], str(one["day"]), close, one["source"], str(one["seen"]), one["reason"])
    console.print(table)
    console.print("To decide: prices release TICKER DAY, or prices reject TICKER DAY.")


@prices.command("sources")
def sources(*, data_dir: DataDir = None) -> None:
    """List the price sources in the order in which they are asked, and whether one is left alone for now."""
    with database(data_dir, migrated=True):
        from tailwatch.db.session import get_engine
        from tailwatch.market.breakers import states
        from tailwatch.settings import get_settings

        with get_engine().connect() as connection:
            found = states(connection, get_settings().price_sources)
    table = Table("source", "out until", "failures", "last answer", "last error")
    for one in found:
        failed = f"{_moment(one.last_error_at)}: {one.last_error}" if one.last_error else "–"
        times = _moment(one.out_until), str(one.failures or ""), _moment(one.last_answer_at)
        table.add_row(one.name, *times, failed)
    Console(highlight=False).print(table)


@prices.command("release")
def release(ticker: Ticker, day: Day, *, data_dir: DataDir = None) -> None:
    """Believe a bar that is held back: it becomes a price, and what rests on it is computed anew."""
    _decide(ticker, day, "released", data_dir)


@prices.command("reject")
def reject(ticker: Ticker, day: Day, *, data_dir: DataDir = None) -> None:
    """Take a bar that is held back for a mistake, for good."""
    _decide(ticker, day, "rejected", data_dir)


@prices.command("refresh")
def refresh_now(
    ticker: Ticker,
    *,
    accept_shorter: Annotated[
        bool,
        typer.Option(
            "--accept", "--accept-shorter", help="Take what the source gives, however short, or in another currency."
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Have an instrument's prices fetched now, within a second; a source that is left alone is asked once more."""
    with database(data_dir, migrated=True):
        from tailwatch import refresh
        from tailwatch.db.models import Instrument
        from tailwatch.db.session import transaction
        from tailwatch.market import short

        with transaction() as session:
            instrument_id = _instrument_id(session, ticker)
            if accept_shorter:
                short.accept(session.get_one(Instrument, instrument_id, with_for_update={"key_share": True}))
                session.flush()
            refresh.fetch_prices(session, instrument_id)
    typer.echo(f"The prices of {ticker.strip().upper()} are due.")


@prices.command("rename")
def rename_ticker(
    old: Ticker, new: Annotated[str, typer.Argument(help="What it is called now.")], *, data_dir: DataDir = None
) -> None:
    """Follow a changed symbol: prices and everybody's trades stay with the instrument under its new ticker."""
    with database(data_dir, migrated=True):
        from tailwatch import refresh
        from tailwatch.db.session import transaction
        from tailwatch.market.instruments import rename

        with transaction() as session:
            instrument_id = _instrument_id(session, old)
            rename(session, old, new)
            refresh.raise_market_revision(session, [instrument_id])
    typer.echo(f"{old.strip().upper()} is {new.strip().upper()} now; its prices are due.")


@prices.command("split")
def split(
    ticker: Ticker,
    day: Day,
    ratio: Annotated[str, typer.Argument(help="New shares for one old one: 4, 1.5, 0.1, or 3:2. 0 takes it away.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Enter a split that no price source tells of; what was booked before it is scaled by it, once."""
    on, new_shares = _day(day), _ratio(ratio)
    with database(data_dir, migrated=True):
        from sqlalchemy import text

        from tailwatch import refresh
        from tailwatch.db.session import transaction

        with transaction() as session:
            instrument_id = _instrument_id(session, ticker)
            values = {"id": instrument_id, "day": on, "ratio": new_shares}
            statement = (
                "DELETE FROM splits WHERE instrument_id = :id AND day = :day AND source = 'user'"
                if not new_shares
                else "INSERT INTO splits (instrument_id, day, ratio, source) VALUES (:id, :day, :ratio, 'user') "
                "ON CONFLICT (instrument_id, day) DO UPDATE SET ratio = excluded.ratio, source = 'user'"
            )
            session.execute(text(statement), values)
            refresh.raise_market_revision(session, [instrument_id])
    said = f"splits {new_shares.normalize():f}-for-1 on {on}" if new_shares else f"has no split of yours on {on}"
    typer.echo(f"{ticker.strip().upper()} {said}.")


def _decide(ticker: str, day: str, decision: Decision, data_dir: Path | None) -> None:
    on = _day(day)
    with database(data_dir, migrated=True):
        from tailwatch import refresh
        from tailwatch.db.session import transaction
        from tailwatch.market import held as holding

        with transaction() as session:
            instrument_id = _instrument_id(session, ticker)
            known = holding.decide_by_hand(
                session, instrument_id, on, decision, by="the command line", now=datetime.now(UTC)
            )
            if not known:
                raise SetupError(f"No price of {ticker.strip().upper()} on {on} is held back; see: prices held")
            refresh.raise_market_revision(session, [instrument_id])
    typer.echo(f"{ticker.strip().upper()} on {on}: {decision}.")


def _instrument_id(session: Session, ticker: str) -> int:
    from sqlalchemy import select

    from tailwatch.db.models import Instrument

    found = session.scalar(select(Instrument.id).where(Instrument.ticker == ticker.strip().upper()))
    if found is None:
        raise SetupError(f"There is no instrument {ticker.strip().upper()}: no portfolio has named it yet.")
    return found


def _awaited(one: Standing) -> str:
    """Return the session whose bar is awaited, what calendar says so, and how many are missing of a late one."""
    if one.due_day is None:
        return "–"
    said = f"{one.due_day} ({one.calendar or 'weekdays'})"
    if one.state != "late":
        return said
    from tailwatch.market.calendars import newest_session, sessions_between

    missing = sessions_between(one.calendar, one.due_day, newest_session(one.calendar, datetime.now(UTC)))
    return f"{said}, {len(missing)} missing"


def _moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise SetupError(f"“{written}” is no day: write it as 2026-03-31.") from None


def _ratio(written: str) -> Decimal:
    new, _, old = written.partition(":")
    try:
        ratio = Decimal(new) / Decimal(old or 1)
    except (InvalidOperation, ZeroDivisionError):
        ratio = Decimal(-1)
    if not 0 <= ratio <= 1_000_000:
        raise SetupError(f"“{written}” is no ratio: write 4, 1.5, 0.1 or 3:2.")
    return round(ratio, 10)
