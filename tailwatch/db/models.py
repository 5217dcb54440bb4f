"""The tables. Whatever must hold is a constraint here, not only a check in Python.

Money, prices and quantities are NUMERIC; risk figures are double precision. Times are timestamptz, UTC.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Every batch of new prices takes the next number; a portfolio's `market_revision` is the newest that touched it.
market_revision_sequence = Sequence("market_revision", metadata=metadata)

Quantity = Numeric(28, 10)
Price = Numeric(28, 10)


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    metadata = metadata
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it stands
        datetime: DateTime(timezone=True),
        str: Text,
        int: BigInteger,
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
    }


def _identity() -> Mapped[int]:
    return mapped_column(Identity(always=True), primary_key=True)


def _created() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


class User(Base):
    """A person who signs in. E-mail addresses are unique without regard to case."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email_lower", func.lower(text("email")), unique=True),
        CheckConstraint("position('@' IN email) > 1 AND length(email) <= 254", name="email"),
    )

    id: Mapped[int] = _identity()
    email: Mapped[str]
    #: argon2id in PHC format; null until a password is set (sign-in by one-time link only).
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime] = _created()


class Session(Base):
    """A signed-in browser. Only the hash of the cookie's token is stored."""

    __tablename__ = "sessions"

    id: Mapped[int] = _identity()
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str]
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInLink(Base):
    """A one-time sign-in link, stored hashed; using it sets `used_at`."""

    __tablename__ = "sign_in_links"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiToken(Base):
    """A bearer token for programs, stored hashed, shown once."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("scope IN ('read', 'write')", name="scope"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
    )

    id: Mapped[int] = _identity()
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    scope: Mapped[str]
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


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

    id: Mapped[int] = _identity()
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
    fetch_attempts: Mapped[int] = mapped_column(server_default="0")
    last_fetched_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = _created()


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
    volume: Mapped[int | None]
    source: Mapped[str]
    fetched_at: Mapped[datetime] = _created()


class Split(Base):
    """A split of an instrument: `ratio` new shares for one old share from `day` on."""

    __tablename__ = "splits"
    __table_args__ = (CheckConstraint("ratio > 0 AND ratio < 'Infinity'", name="ratio"),)

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    ratio: Mapped[Decimal] = mapped_column(Numeric(20, 10))
    source: Mapped[str]


class Portfolio(Base):
    """A portfolio and its place in the refresh queue (docs/architecture.md, "being stale is the queue").

    Behind is `revision > done_revision OR market_revision > done_market_revision`; there is no other job list.
    """

    __tablename__ = "portfolios"
    __table_args__ = (
        UniqueConstraint("user_id", "name"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
        CheckConstraint("base_currency ~ '^[A-Z]{3}$'", name="base_currency"),
        CheckConstraint(
            "risk_method IN ('covariance', 'student_t', 'ewma', 'historical', 'filtered')", name="risk_method"
        ),
        CheckConstraint("risk_covariance IN ('sample', 'ledoit_wolf')", name="risk_covariance"),
        CheckConstraint("risk_window BETWEEN 60 AND 2500", name="risk_window"),
        CheckConstraint("risk_confidence IN (95, 97.5, 99)", name="risk_confidence"),
        CheckConstraint("done_revision <= revision", name="done_revision"),
        CheckConstraint("done_market_revision <= market_revision", name="done_market_revision"),
        Index(
            "ix_portfolios_behind",
            "id",
            postgresql_where=text("revision > done_revision OR market_revision > done_market_revision"),
        ),
        Index("uq_portfolios_default", "user_id", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[int] = _identity()
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    base_currency: Mapped[str] = mapped_column(String(3), server_default="USD")
    benchmark_id: Mapped[int | None] = mapped_column(ForeignKey("instruments.id", ondelete="RESTRICT"), index=True)
    risk_method: Mapped[str] = mapped_column(server_default="filtered")
    #: How covariances are estimated.
    risk_covariance: Mapped[str] = mapped_column(server_default="sample")
    #: Sessions of return history that the estimators see.
    risk_window: Mapped[int] = mapped_column(SmallInteger, server_default="500")
    #: Percent; which VaR the page leads with.
    risk_confidence: Mapped[Decimal] = mapped_column(Numeric(3, 1), server_default="95")
    created_at: Mapped[datetime] = _created()

    # What is wanted, raised in the transaction of the change itself.
    revision: Mapped[int] = mapped_column(server_default="0")
    market_revision: Mapped[int] = mapped_column(server_default="0")
    #: What raised `revision` last: trade, settings, manual.
    trigger: Mapped[str] = mapped_column(server_default="trade")
    #: The request that raised `revision` last, as its answer and the logs name it; None: no request did.
    request_id: Mapped[str | None] = mapped_column(String(64))

    # What the newest snapshot was computed from, set in the transaction of that snapshot.
    done_revision: Mapped[int] = mapped_column(server_default="0")
    done_market_revision: Mapped[int] = mapped_column(server_default="0")
    snapshot_id: Mapped[int | None] = mapped_column(
        ForeignKey("risk_snapshots.id", ondelete="SET NULL", use_alter=True), index=True
    )

    # The wake-up call that is under way.
    queued_revision: Mapped[int] = mapped_column(server_default="0")
    queued_market_revision: Mapped[int] = mapped_column(server_default="0")
    queued_at: Mapped[datetime | None]
    #: Since when it has been behind without a break; None while it is not.
    behind_since: Mapped[datetime | None]

    # How the last attempt went; cleared by a success.
    attempts: Mapped[int] = mapped_column(server_default="0")
    failure_reason: Mapped[str | None]
    failed_at: Mapped[datetime | None]
    failed_revision: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime | None]

    benchmark: Mapped[Instrument | None] = relationship(lazy="raise_on_sql")


class Trade(Base):
    """A purchase (positive quantity) or sale (negative quantity) of one instrument."""

    __tablename__ = "trades"
    __table_args__ = (
        CheckConstraint("quantity <> 0 AND abs(quantity) <= 1e12", name="quantity"),
        CheckConstraint("price >= 0 AND price <= 1e12", name="price"),
        CheckConstraint("fee >= 0 AND fee <= 1e12", name="fee"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("executed_at >= '1900-01-01'", name="executed_at"),
        CheckConstraint("length(note) <= 1000", name="note"),
        Index("ix_trades_portfolio_id_executed_at_id", "portfolio_id", "executed_at", "id"),
        Index(
            "uq_trades_external_id",
            "portfolio_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = _identity()
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.id", ondelete="RESTRICT"), index=True)
    quantity: Mapped[Decimal] = mapped_column(Quantity)
    price: Mapped[Decimal] = mapped_column(Price)
    currency: Mapped[str] = mapped_column(String(3))
    fee: Mapped[Decimal] = mapped_column(Price, server_default="0")
    executed_at: Mapped[datetime]
    note: Mapped[str | None]
    #: The caller's own identity of the trade; unique within the portfolio.
    external_id: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = _created()
    updated_at: Mapped[datetime] = _created()

    instrument: Mapped[Instrument] = relationship(lazy="raise_on_sql")


class RiskSnapshot(Base):
    """One computation of a portfolio's risk. Never updated; the newest is `portfolios.snapshot_id`."""

    __tablename__ = "risk_snapshots"
    __table_args__ = (
        UniqueConstraint("portfolio_id", "revision", "market_revision"),
        CheckConstraint("trigger IN ('trade', 'settings', 'manual', 'prices')", name="trigger"),
        CheckConstraint("duration_ms >= 0", name="duration_ms"),
        Index("ix_risk_snapshots_portfolio_id_computed_at", "portfolio_id", "computed_at"),
    )

    id: Mapped[int] = _identity()
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    revision: Mapped[int]
    market_revision: Mapped[int]
    trigger: Mapped[str]
    #: The newest price day that went in; null for a portfolio without a priced position.
    as_of: Mapped[date | None]
    computed_at: Mapped[datetime] = _created()
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

    id: Mapped[int] = _identity()
    chosen_at: Mapped[datetime] = _created()
    #: Coefficients and provenance as in the file of the shipped model. Null: the shipped one.
    model: Mapped[str | None]


class IdempotencyKey(Base):
    """The answer that a write with an `Idempotency-Key` got, given again to a repeat of it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (CheckConstraint("length(key) BETWEEN 1 AND 200", name="key"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of method, path and body: a key used again for something else is refused.
    request_hash: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    response: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class WorkerHeartbeat(Base):
    """When a task round trip through each queue last came back: what readiness asks."""

    __tablename__ = "worker_heartbeats"

    queue: Mapped[str] = mapped_column(primary_key=True)
    answered_at: Mapped[datetime]


class NightlyRun(Base):
    """A nightly refresh that was started: one a business day, however many schedulers ask for it."""

    __tablename__ = "nightly_runs"

    business_day: Mapped[date] = mapped_column(Date, primary_key=True)
    started_at: Mapped[datetime] = _created()
    #: Instruments whose prices were asked for.
    instruments: Mapped[int]


class BackupRun(Base):
    """A scheduled backup: one a day, however many schedulers ask for it."""

    __tablename__ = "backup_runs"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    started_at: Mapped[datetime] = _created()
    #: None: under way, or failed; `error` tells.
    finished_at: Mapped[datetime | None]
    file: Mapped[str | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None]


class Release(Base):
    """A version of Tailwatch that ran on this database, noted when it first migrated it."""

    __tablename__ = "releases"

    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: The schema revision that this version left behind.
    schema_revision: Mapped[str] = mapped_column(String(32))
    first_at: Mapped[datetime] = _created()
