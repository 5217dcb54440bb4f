"""What a fetch leaves behind: prices, and the state of the instrument, whose row is the next fetch's job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tailwatch.db.models import Instrument
from tailwatch.errors import BadAnswerError, ShortHistoryError
from tailwatch.market import agreement, bars, gate, held, incremental, quality, remarks, short, whole
from tailwatch.market.sources import Outcome, PriceHistory, SourceChain

#: First wait after nobody could serve a ticker, and after a later source served it because an earlier one failed.
AFTER_FAILURE: Final = timedelta(seconds=30)
AFTER_SECOND_BEST: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(hours=6)
#: How often a ticker that was known, and is not any more, is asked for before it is left to the nightly runs.
TRIES_OF_UNKNOWN: Final = 5
#: Waits are lengthened by up to this share, so that what failed together does not come back together.
JITTER: Final = 0.2

SPELLING: Final = "Is it spelt right?"
GONE: Final = "It may be delisted, have another symbol now, or be missing there by mistake."
KEPT: Final = "Its last prices stay in use."
NEXT_TRY: Final = "The next try comes by itself."

_GOLDEN_RATIO: Final = 0.6180339887498949


def backoff(
    attempts: int, jitter: float, first: timedelta = AFTER_FAILURE, retry_after: timedelta | None = None
) -> timedelta:
    """Return how long to wait after the `attempts`-th failure in a row: `first`, doubling, up to six hours.

    Args:
        attempts: From 1.
        jitter: 0 to 1; lengthens the wait by up to 20 %.
        first: The wait after the first failure.
        retry_after: What the source asked for; the wait is never shorter.
    """
    wait = min(first * 2.0 ** min(attempts - 1, 20), LONGEST_WAIT)
    return max(wait, retry_after or timedelta(0)) * (1 + JITTER * jitter)


def due_instruments(connection: Connection, instrument_ids: Collection[int], now: datetime) -> dict[int, str]:
    """Return id → ticker of those whose fetch is (still) due; one that another worker did meanwhile is not."""
    rows = connection.execute(
        select(Instrument.id, Instrument.ticker)
        .where(Instrument.id.in_(instrument_ids), Instrument.next_fetch_at <= now)
        .order_by(Instrument.id)
    )
    return {row.id: row.ticker for row in rows}


def save_all(session: Session, outcomes: Mapping[int, Outcome], chain: SourceChain, now: datetime) -> list[int]:
    """Keep what came of many fetches; return the ids of those that changed, as `save` says it, rising.

    Newer bars about which there is nothing else to say are kept all at once, whether only they were asked for or
    everything.

    Raises:
        sqlalchemy.exc.DBAPIError: the connection is lost, and the caller's transaction with it.
    """
    try:
        with session.begin_nested():
            connection = session.connection()
            kept = incremental.append_all(connection, whole.narrowed(connection, outcomes), now)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        # One of them was refused: one by one it shows which.
        kept = {}
    others = [each for each in sorted(outcomes) if each not in kept]
    saved = [each for each in others if save(session, each, outcomes[each], chain, now)]
    return sorted([*saved, *(each for each, changed in kept.items() if changed)])


def save(session: Session, instrument_id: int, outcome: Outcome, chain: SourceChain, now: datetime) -> bool:
    """Keep what came of a fetch, and when the next is due.

    Prices that are there are never lost to a failure, nor replaced by those of a later source. Prices that the
    database refuses are a failure of this ticker alone: the caller's transaction goes on.

    Returns:
        Whether anything changed that risk figures rest on; then the caller raises the market revision in the same
        transaction.

    Raises:
        sqlalchemy.exc.DBAPIError: the connection is lost, and the caller's transaction with it.
    """
    # Not FOR UPDATE, which would keep every trade in this instrument waiting: its foreign key wants to share the key.
    instrument = session.get(Instrument, instrument_id, with_for_update={"key_share": True})
    if instrument is None:
        # Deleted while its prices were on their way.
        return False
    instrument.last_fetched_at, instrument.fetch_queued_at = now, None
    history = outcome.history
    if history is None:
        return _failed(instrument, outcome, now)
    if chain.rank(history.source) > chain.rank(instrument.source):
        forgotten = f"The source {instrument.source} does not know {instrument.ticker} any more."
        return _failed(instrument, outcome if outcome.reason else Outcome("unknown", None, forgotten), now)
    warned = remarks.warned(instrument.remarks)
    try:
        if not history.partial:
            history = agreement.settle(session.connection(), instrument, history, now)
        # Everything that a source said is written inside the savepoint.
        with session.begin_nested():
            other_currency = instrument.currency != history.currency
            other_labels = _label(instrument, history)
            new_bars = _keep(session.connection(), instrument, history, now)
            _served(instrument, history, outcome, now)
            session.flush()
    except BadAnswerError as error:
        if isinstance(error, ShortHistoryError):
            short.note(instrument, history, now)
        return _failed(instrument, Outcome("failed", None, str(error)), now)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        said = str(error.orig).partition("\n")[0]
        reason = f"The prices from the source {history.source} could not be stored: {said}."
        return _failed(instrument, Outcome("failed", None, reason), now)
    return new_bars or other_currency or other_labels or remarks.warned(instrument.remarks) != warned


def _keep(connection: Connection, instrument: Instrument, history: PriceHistory, now: datetime) -> bool:
    """Keep the bars that are believed, hold back the others, remark on both; return whether prices changed."""
    context = incremental.with_context(connection, instrument.id, history) if history.partial else history.bars
    suspects = gate.judge(context) if not history.partial or gate.moves_far(history.bars) else []
    suspects = [one for one in suspects if one.bar.day >= history.since]
    out = held.hold(connection, instrument.id, history, suspects, now)
    remarks.put(instrument, remarks.HELD, held.undecided(connection, instrument.id))
    believed = replace(history, bars=[bar for bar in history.bars if bar.day not in out])
    known = [bar for bar in context if bar.day not in out]
    remarks.put(instrument, remarks.STALE, quality.stale_run(known))
    remarks.put(instrument, remarks.GAP, quality.gaps(known))
    remarks.put(instrument, remarks.NO_PRICE, quality.without_price(history))
    if history.partial:
        return bars.append(connection, instrument.id, believed, now)
    means_it = short.is_meant(instrument, believed, now)
    return bars.replace(connection, instrument.id, believed, now, may_be_shorter=means_it)


def _label(instrument: Instrument, history: PriceHistory) -> bool:
    """Take the source's labels where there are none, for the operator's own stay; return whether there were any."""
    missing = {kind: label for kind, label in history.labels.items() if kind not in instrument.labels}
    if missing:
        instrument.labels = instrument.labels | missing
    return bool(missing)


def _served(instrument: Instrument, history: PriceHistory, outcome: Outcome, now: datetime) -> None:
    instrument.status = "ok"
    remarks.put(instrument, remarks.SHORT, ())
    remarks.put(instrument, remarks.CURRENCY, ())
    instrument.source, instrument.currency = history.source, history.currency
    instrument.name = _storable(history.name or "") or instrument.name
    if outcome.reason is None:
        # The source of choice served it; the nightly run asks again.
        instrument.status_reason = None
        if remarks.find(instrument, remarks.NO_PRICE) or remarks.find(instrument, remarks.SPLIT):
            # What is missing will come, in all likelihood before the next night.
            _try_again(instrument, outcome, AFTER_SECOND_BEST, now)
        else:
            instrument.next_fetch_at, instrument.fetch_attempts = None, 0
        return
    instead = f"These prices are from the source {history.source}, up to {history.bars[-1].day}."
    instrument.status_reason = _storable(f"{outcome.reason} {instead} {NEXT_TRY}")
    _try_again(instrument, outcome, AFTER_SECOND_BEST, now)


def _failed(instrument: Instrument, outcome: Outcome, now: datetime) -> bool:
    """Note a fetch that brought no better prices than are there; return whether a snapshot would show it."""
    before, has_prices = instrument.status, instrument.source is not None
    reason, first = outcome.reason, AFTER_FAILURE
    if outcome.status == "unknown":
        # That nobody knows it any more is no reason to forget what it was worth, and may be a mistake.
        reason, first = f"{reason} {GONE if has_prices else SPELLING}", AFTER_SECOND_BEST
    instrument.status = "failed" if has_prices else outcome.status
    _try_again(instrument, outcome, first, now)
    sentences = [reason, has_prices and KEPT, instrument.next_fetch_at and NEXT_TRY]
    instrument.status_reason = _storable(" ".join(sentence for sentence in sentences if sentence))
    return not has_prices and instrument.status != before


def _try_again(instrument: Instrument, outcome: Outcome, first: timedelta, now: datetime) -> None:
    instrument.fetch_attempts += 1
    # Multiples of the golden ratio spread evenly over 0 to 1 whichever instruments fail together.
    jitter = instrument.id * _GOLDEN_RATIO % 1
    wait = backoff(instrument.fetch_attempts, jitter, first, outcome.retry_after)
    # A ticker that nobody knows is asked for again by the nightly run only; one that was known a few times before.
    is_hopeless = outcome.status == "unknown" and (
        instrument.source is None or instrument.fetch_attempts > TRIES_OF_UNKNOWN
    )
    instrument.next_fetch_at = None if is_hopeless else now + wait


def _storable(said: str) -> str:
    """Return it without what no PostgreSQL text can hold, such as NUL: a source may say anything."""
    return "".join(character if character.isprintable() else " " for character in said).strip()
