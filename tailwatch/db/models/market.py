"""Instruments and their prices."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Date, DateTime, ForeignKey, Index, Numeric, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tailwatch.db.models.base import Base, created, identity


class Instrument(Base):
    """Something with a price. Its row also says when prices are to be fetched next: the row is the fetch job.

    `status`: pending (never fetched), ok, unknown (no source knows the ticker), failed (the last fetch failed;
    older prices, if any, stay in use).
    """

    __tablename__ = "instruments"
    __table_args__ = (
        CheckConstraint("ticker = upper(ticker) AND ticker ~ '^[A-Z0-9^][A-Z0-9.^=_-]{0,23}$'", name="ticker"),
        CheckConstraint("currency IS NULL OR currency ~ '^[A-Za-z]{3}$'", name="currency"),
        CheckConstraint("status IN ('pending', 'ok', 'unknown', 'failed')", name="status"),
        CheckConstraint("jsonb_typeof(labels) = 'object'", name="labels"),
        Index(
            "ix_instruments_next_fetch_at",
            "next_fetch_at",
            postgresql_where=text("next_fetch_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = identity()
    ticker: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    #: As the source names it; null until the first successful fetch.
    currency: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    #: A sentence for the reader when `status` is unknown or failed.
    status_reason: Mapped[str | None]
    source: Mapped[str | None]
    #: What its risk is grouped by: {"sector": …, "asset_class": …}; whatever is not known is left out.
    labels: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    #: Rises (from the sequence `market_revision`) whenever a stored price of this instrument changes.
    market_revision: Mapped[int] = mapped_column(server_default="0")
    next_fetch_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    fetch_queued_at: Mapped[datetime | None]
    #: Which calendar of exchange_calendars tells its sessions; null: every weekday is one.
    calendar: Mapped[str | None]
    #: The session after the newest bar, whose bar is awaited next; null: none is (the sample has ended), or nobody
    #: has looked at the calendar yet.
    due_day: Mapped[date | None] = mapped_column(Date)
    #: What is odd about its prices: [{"code": …, "message": …, "day": …}].
    remarks: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    fetch_attempts: Mapped[int] = mapped_column(server_default="0")
    last_fetched_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()


class PriceBar(Base):
    """One session of one instrument, prices in the instrument's currency."""

    __tablename__ = "prices"
    __table_args__ = (
        # NaN sorts above infinity in PostgreSQL, so the upper bound shuts out both.
        CheckConstraint("close > 0 AND close < 'Infinity'", name="close"),
        CheckConstraint("adjusted_close > 0 AND adjusted_close < 'Infinity'", name="adjusted_close"),
        CheckConstraint("volume >= 0", name="volume"),
    )

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    #: As traded, adjusted for later splits as the source gives it.
    close: Mapped[Decimal] = mapped_column(Numeric(24, 8))
    #: Adjusted for splits and dividends: what returns are made of.
    adjusted_close: Mapped[Decimal] = mapped_column(Numeric(24, 8))
    #: On the basis of `close`, where the source has them.
    open: Mapped[Decimal | None] = mapped_column(Numeric(24, 8))
    high: Mapped[Decimal | None] = mapped_column(Numeric(24, 8))
    low: Mapped[Decimal | None] = mapped_column(Numeric(24, 8))
    volume: Mapped[int | None]
    source: Mapped[str]
    #: When this very version of the bar was first seen; the ones before it are in `superseded_prices`.
    fetched_at: Mapped[datetime] = created()


class Split(Base):
    """A split of an instrument: `ratio` new shares for one old share from `day` on."""

    __tablename__ = "splits"
    __table_args__ = (CheckConstraint("ratio > 0 AND ratio < 'Infinity'", name="ratio"),)

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    ratio: Mapped[Decimal] = mapped_column(Numeric(20, 10))
    source: Mapped[str]


class SupersededPrices(Base):
    """Bars of one instrument as they were before newer versions took their place, all in one go.

    The arrays are of one length, one element a bar, days rising. A bar was what was known from its own element of
    `fetched_ats` until `replaced_at`.
    """

    __tablename__ = "superseded_prices"
    __table_args__ = (
        CheckConstraint("kind IN ('restated', 'rebased', 'source', 'removed')", name="kind"),
        CheckConstraint("cardinality(days) > 0 AND cardinality(days) = cardinality(closes)", name="days"),
        Index("ix_superseded_prices_instrument_id_replaced_at", "instrument_id", "replaced_at"),
    )

    id: Mapped[int] = identity()
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.id", ondelete="CASCADE"))
    replaced_at: Mapped[datetime]
    #: restated: other prices; rebased: the same prices, adjusted for a later split or dividend; source: another
    #: source's took their place; removed: nothing did.
    kind: Mapped[str]
    days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    closes: Mapped[list[Decimal]] = mapped_column(ARRAY(Numeric(24, 8)))
    adjusted_closes: Mapped[list[Decimal]] = mapped_column(ARRAY(Numeric(24, 8)))
    sources: Mapped[list[str]] = mapped_column(ARRAY(Text))
    fetched_ats: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))


class HeldPrice(Base):
    """A bar that is not believed: kept apart from `prices`, so that no figure rests on it, until it is decided on.

    A person, or a second fetch that says the same, releases it into `prices`; a rejected one stays here, so that it
    is not asked about again.
    """

    __tablename__ = "held_prices"
    __table_args__ = (
        CheckConstraint("close > 0 AND close < 'Infinity'", name="close"),
        CheckConstraint("adjusted_close > 0 AND adjusted_close < 'Infinity'", name="adjusted_close"),
        CheckConstraint("decision IN ('released', 'rejected')", name="decision"),
        CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name="decided_at"),
        Index("ix_held_prices_undecided", "instrument_id", postgresql_where=text("decision IS NULL")),
    )

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    close: Mapped[Decimal] = mapped_column(Numeric(24, 8))
    adjusted_close: Mapped[Decimal] = mapped_column(Numeric(24, 8))
    open: Mapped[Decimal | None] = mapped_column(Numeric(24, 8))
    high: Mapped[Decimal | None] = mapped_column(Numeric(24, 8))
    low: Mapped[Decimal | None] = mapped_column(Numeric(24, 8))
    volume: Mapped[int | None]
    source: Mapped[str]
    fetched_at: Mapped[datetime]
    #: Fetches that gave this very value.
    seen: Mapped[int] = mapped_column(server_default="1")
    #: Why it is held back: a code, and a sentence.
    code: Mapped[str]
    reason: Mapped[str]
    decision: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    #: Who decided, in words: an e-mail address, or "a second fetch".
    decided_by: Mapped[str | None]


class PriceSourceState(Base):
    """How a price source is doing, for all processes and hosts: its circuit breaker."""

    __tablename__ = "price_sources"

    name: Mapped[str] = mapped_column(primary_key=True)
    #: Failures of the source itself in a row.
    failures: Mapped[int] = mapped_column(server_default="0")
    #: It is not asked before this time.
    out_until: Mapped[datetime | None]
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    last_answer_at: Mapped[datetime | None]
