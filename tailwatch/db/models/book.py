"""Portfolios and what was booked in them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tailwatch.db.models.base import Base, Price, Quantity, created, identity
from tailwatch.db.models.market import Instrument


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
        CheckConstraint("cost_basis IN ('average', 'fifo')", name="cost_basis"),
        CheckConstraint("cash_tracking IN ('auto', 'on', 'off')", name="cash_tracking"),
        CheckConstraint("done_revision <= revision", name="done_revision"),
        CheckConstraint("done_market_revision <= market_revision", name="done_market_revision"),
        Index(
            "ix_portfolios_behind",
            "id",
            postgresql_where=text("revision > done_revision OR market_revision > done_market_revision"),
        ),
        Index("uq_portfolios_default", "user_id", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[int] = identity()
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
    #: Which shares a sale is of.
    cost_basis: Mapped[str] = mapped_column(server_default="average")
    #: Whether cash is part of its value. auto: once a deposit or withdrawal is booked; before, what purchases cost is
    #: nobody's debt.
    cash_tracking: Mapped[str] = mapped_column(server_default="auto")
    created_at: Mapped[datetime] = created()

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
    """One entry of the book: shares that came or went, or cash that did.

    Entries of shares (buy, sell, short, cover, transfer_in, transfer_out) have a quantity, signed, and a price;
    entries of cash (dividend, interest, deposit, withdrawal, fee, tax) have an amount. Splits are the instrument's.
    """

    __tablename__ = "trades"
    __table_args__ = (
        CheckConstraint(
            """
            CASE WHEN type IN ('buy', 'cover', 'transfer_in', 'sell', 'short', 'transfer_out') THEN
              instrument_id IS NOT NULL AND quantity IS NOT NULL AND price IS NOT NULL AND amount IS NULL
              AND (quantity > 0) = (type IN ('buy', 'cover', 'transfer_in'))
            WHEN type IN ('dividend', 'interest', 'deposit', 'withdrawal', 'fee', 'tax') THEN
              quantity IS NULL AND price IS NULL AND amount IS NOT NULL
              AND (instrument_id IS NOT NULL OR type <> 'dividend')
              AND (amount > 0 OR type IN ('dividend', 'interest', 'fee', 'tax'))
            ELSE false END
            """,
            name="type",
        ),
        CheckConstraint("quantity <> 0 AND abs(quantity) <= 1e12", name="quantity"),
        CheckConstraint("price >= 0 AND price <= 1e12", name="price"),
        CheckConstraint("amount <> 0 AND abs(amount) <= 1e12", name="amount"),
        CheckConstraint("fee >= 0 AND fee <= 1e12", name="fee"),
        CheckConstraint("tax >= 0 AND tax <= 1e12", name="tax"),
        CheckConstraint("fx_rate > 0 AND fx_rate <= 1e12", name="fx_rate"),
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
        Index(
            "uq_trades_import_key",
            "portfolio_id",
            "import_key",
            unique=True,
            postgresql_where=text("import_key IS NOT NULL"),
        ),
        Index("ix_trades_import_id", "import_id", postgresql_where=text("import_id IS NOT NULL")),
    )

    id: Mapped[int] = identity()
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(16))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instruments.id", ondelete="RESTRICT"), index=True)
    #: Shares as they were that day; a later split scales them. Positive: they came.
    quantity: Mapped[Decimal | None] = mapped_column(Quantity)
    price: Mapped[Decimal | None] = mapped_column(Price)
    #: Cash before fee and tax. Positive as the type says: a dividend received, a fee paid, a withdrawal taken out.
    amount: Mapped[Decimal | None] = mapped_column(Price)
    #: Of price, amount, fee and tax.
    currency: Mapped[str] = mapped_column(String(3))
    fee: Mapped[Decimal] = mapped_column(Price, server_default="0")
    tax: Mapped[Decimal] = mapped_column(Price, server_default="0")
    #: Base currency for one unit of `currency`, as the broker settled; null: the day's rate.
    fx_rate: Mapped[Decimal | None] = mapped_column(Price)
    executed_at: Mapped[datetime]
    #: At which broker.
    account: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str | None]
    #: The caller's own identity of the trade; unique within the portfolio.
    external_id: Mapped[str | None] = mapped_column(String(200))
    #: Which row of a file it is from: the same row of the same file, read again, has the same key.
    import_key: Mapped[str | None] = mapped_column(String(64))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("trade_imports.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = created()
    updated_at: Mapped[datetime] = created()

    instrument: Mapped[Instrument | None] = relationship(lazy="raise_on_sql")


class TradeChange(Base):
    """What an entry was before somebody changed or removed it, and who that was: the audit trail."""

    __tablename__ = "trade_changes"
    __table_args__ = (
        CheckConstraint("action IN ('change', 'removal')", name="action"),
        CheckConstraint("(action = 'removal') = (after IS NULL)", name="after"),
        Index("ix_trade_changes_portfolio_id_trade_id_id", "portfolio_id", "trade_id", "id"),
    )

    id: Mapped[int] = identity()
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    #: No foreign key: the trail of a removed entry stays.
    trade_id: Mapped[int]
    changed_at: Mapped[datetime] = created()
    #: Who, in words: an e-mail address, with the name of the token if it was one.
    changed_by: Mapped[str]
    request_id: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class TradeImport(Base):
    """A file whose rows were booked, so that they can be told apart and taken back together."""

    __tablename__ = "trade_imports"
    __table_args__ = (
        CheckConstraint("length(file_name) <= 255", name="file_name"),
        CheckConstraint("booked >= 0 AND duplicates >= 0 AND left_out >= 0", name="rows"),
    )

    id: Mapped[int] = identity()
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"), index=True)
    imported_at: Mapped[datetime] = created()
    imported_by: Mapped[str]
    file_name: Mapped[str]
    #: As `tailwatch.book.importers` names it.
    format: Mapped[str]
    booked: Mapped[int]
    duplicates: Mapped[int]
    left_out: Mapped[int]
