"""What was computed."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tailwatch.db.models.base import Base, created, identity


class RiskSnapshot(Base):
    """One computation of a portfolio's risk. Never updated; the newest is `portfolios.snapshot_id`."""

    __tablename__ = "risk_snapshots"
    __table_args__ = (
        UniqueConstraint("portfolio_id", "revision", "market_revision"),
        CheckConstraint("trigger IN ('trade', 'settings', 'manual', 'prices')", name="trigger"),
        CheckConstraint("duration_ms >= 0", name="duration_ms"),
        Index("ix_risk_snapshots_portfolio_id_computed_at", "portfolio_id", "computed_at"),
    )

    id: Mapped[int] = identity()
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    revision: Mapped[int]
    market_revision: Mapped[int]
    trigger: Mapped[str]
    #: The newest price day that went in; null for a portfolio without a priced position.
    as_of: Mapped[date | None]
    computed_at: Mapped[datetime] = created()
    duration_ms: Mapped[float]
    method: Mapped[str]
    base_currency: Mapped[str] = mapped_column(String(3))
    #: Exact products and sums of quantities and prices, whatever places they have.
    nav: Mapped[Decimal] = mapped_column(Numeric)
    gross: Mapped[Decimal] = mapped_column(Numeric)
    # Fractions of NAV by the headline method; null where they cannot be computed (the body says why).
    annualized_volatility: Mapped[float | None]
    var_95_1d: Mapped[float | None]
    es_95_1d: Mapped[float | None]
    var_975_1d: Mapped[float | None]
    es_975_1d: Mapped[float | None]
    var_99_1d: Mapped[float | None]
    es_99_1d: Mapped[float | None]
    #: Open positions, and how many of them still wait for their first price.
    positions: Mapped[int]
    pending_positions: Mapped[int]
    #: SHA-256 of `inputs`.
    inputs_hash: Mapped[str]
    #: What the figures depend on, as canonical JSON: positions, prices used, parameters, code. Null before 0.3.
    inputs: Mapped[bytes | None]
    #: The snapshot as JSON, ready to be sent.
    body: Mapped[bytes]
    #: Stress tests and the reasons of the change since the snapshot before, as JSON. Null before 0.3.
    stress: Mapped[bytes | None]
    explain: Mapped[bytes | None]


class Backtest(Base):
    """The backtest of a portfolio's positions, and the job of making it: it is to be made while `due_at` is set."""

    __tablename__ = "backtests"
    __table_args__ = (Index("ix_backtests_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),)

    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"), primary_key=True)
    #: The newest snapshot that was looked at, and what a backtest of it depends on.
    seen_snapshot_id: Mapped[int | None]
    wanted_key: Mapped[str | None]
    #: When it is to be made; None: what is stored is what is wanted, or it failed for good.
    due_at: Mapped[datetime | None]
    queued_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    failure_reason: Mapped[str | None]

    # The last one that was made.
    done_key: Mapped[str | None]
    snapshot_id: Mapped[int | None]
    as_of: Mapped[date | None] = mapped_column(Date)
    computed_at: Mapped[datetime | None]
    #: JSON, ready to be sent.
    result: Mapped[bytes | None]


class ServedForecast(Base):
    """The last figures that were served for a session before its prices arrived, and what came: the live backtest.

    The profit and loss is that of the positions of `snapshot_id`, whatever was traded meanwhile.
    """

    __tablename__ = "served_forecasts"
    __table_args__ = (
        CheckConstraint("day > as_of", name="day"),
        Index("ix_served_forecasts_incomplete", "portfolio_id", postgresql_where=text("NOT complete")),
    )

    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"), primary_key=True)
    #: The newest price day that the forecast rests on.
    as_of: Mapped[date] = mapped_column(Date, primary_key=True)
    #: The session that it is for: the first one after `as_of`.
    day: Mapped[date] = mapped_column(Date)
    snapshot_id: Mapped[int]
    method: Mapped[str]
    base_currency: Mapped[str] = mapped_column(String(3))
    nav: Mapped[Decimal] = mapped_column(Numeric)
    # Fractions of that NAV, positive losses.
    var_95_1d: Mapped[float]
    es_95_1d: Mapped[float]
    var_975_1d: Mapped[float]
    es_975_1d: Mapped[float]
    var_99_1d: Mapped[float]
    es_99_1d: Mapped[float]
    #: Profit and loss of the session as a fraction of that NAV.
    pnl: Mapped[float]
    #: Whether every position has a price of that session or a later one; until then `pnl` is provisional.
    complete: Mapped[bool]
    realised_at: Mapped[datetime]


class ChosenModel(Base):
    """A volatility model that was put in use, for every portfolio: the newest row is it."""

    __tablename__ = "volatility_models"

    id: Mapped[int] = identity()
    chosen_at: Mapped[datetime] = created()
    #: Coefficients and provenance as in the file of the shipped model. Null: the shipped one.
    model: Mapped[str | None]
