"""Histories far shorter than what is stored: half an answer at first, the truth if the source stays with it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from tailwatch.db.models import Instrument
from tailwatch.market import remarks
from tailwatch.market.sources import PriceHistory

#: A source that has said the same for so long means it.
MEANT_AFTER: Final = timedelta(days=3)
#: The share of sessions that makes two answers the same: from day to day one comes and one goes.
SAME_LENGTH: Final = 0.95


def is_meant(instrument: Instrument, history: PriceHistory, now: datetime) -> bool:
    """Say whether a history may take the place of a much longer one: as short for days, or a person said so."""
    remark = remarks.find(instrument, remarks.SHORT)
    return (
        remark is not None
        and len(history.bars) >= SAME_LENGTH * remark["sessions"]
        and now.date() - date.fromisoformat(remark["day"]) >= MEANT_AFTER
    )


def note(instrument: Instrument, history: PriceHistory, now: datetime) -> None:
    """Remember since when a source has given so few sessions."""
    remark, sessions = remarks.find(instrument, remarks.SHORT), len(history.bars)
    if remark is None or sessions < SAME_LENGTH * remark["sessions"]:
        taken = now.date() + MEANT_AFTER
        said = f"The source {history.source} gives {sessions} sessions only."
        _remember(instrument, f"{said} If it still does on {taken}, they are taken.", now.date(), sessions)


def accept(instrument: Instrument) -> None:
    """Let the next history be as short as it likes, or in another currency."""
    _remember(instrument, "The next history is taken however much it differs.", date(1970, 1, 1), 0)


def is_accepted(instrument: Instrument) -> bool:
    """Say whether a person wants the next history whatever it is."""
    remark = remarks.find(instrument, remarks.SHORT)
    return remark is not None and remark["sessions"] == 0


def _remember(instrument: Instrument, message: str, day: date, sessions: int) -> None:
    remarks.put(instrument, remarks.SHORT, [remarks.on(day, message, sessions=sessions)])
