"""First schema.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("market_revision")))

    op.create_table(
        "instruments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("market_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_fetch_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=True),
        sa.Column("fetch_queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("currency IS NULL OR currency ~ '^[A-Za-z]{3}$'", name=op.f("ck_instruments_currency")),
        sa.CheckConstraint("status IN ('pending', 'ok', 'unknown', 'failed')", name=op.f("ck_instruments_status")),
        sa.CheckConstraint(
            "ticker = upper(ticker) AND ticker ~ '^[A-Z0-9^][A-Z0-9.^=_-]{0,23}$'", name=op.f("ck_instruments_ticker")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instruments")),
        sa.UniqueConstraint("ticker", name=op.f("uq_instruments_ticker")),
    )
    op.create_index(
        "ix_instruments_next_fetch_at",
        "instruments",
        ["next_fetch_at"],
        unique=False,
        postgresql_where=sa.text("next_fetch_at IS NOT NULL"),
    )

    op.create_table(
        "nightly_runs",
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("instruments", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("business_day", name=op.f("pk_nightly_runs")),
    )

    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("position('@' IN email) > 1 AND length(email) <= 254", name=op.f("ck_users_email")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_email_lower", "users", [sa.literal_column("lower(email)")], unique=True)

    op.create_table(
        "worker_heartbeats",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_worker_heartbeats")),
    )

    op.create_table(
        "api_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'write')", name=op.f("ck_api_tokens_scope")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name=op.f("ck_api_tokens_name")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_index(op.f("ix_api_tokens_user_id"), "api_tokens", ["user_id"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("response", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 200", name=op.f("ck_idempotency_keys_key")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)

    op.create_table(
        "portfolios",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("base_currency", sa.String(length=3), server_default="USD", nullable=False),
        sa.Column("benchmark_id", sa.BigInteger(), nullable=True),
        sa.Column("risk_method", sa.Text(), server_default="historical", nullable=False),
        sa.Column("risk_window", sa.SmallInteger(), server_default="500", nullable=False),
        sa.Column("risk_confidence", sa.Numeric(precision=3, scale=1), server_default="95", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("market_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("trigger", sa.Text(), server_default="trade", nullable=False),
        sa.Column("done_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done_market_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("queued_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("queued_market_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("base_currency ~ '^[A-Z]{3}$'", name=op.f("ck_portfolios_base_currency")),
        sa.CheckConstraint(
            "risk_method IN ('covariance', 'ewma', 'historical', 'filtered')", name=op.f("ck_portfolios_risk_method")
        ),
        sa.CheckConstraint(
            "done_market_revision <= market_revision", name=op.f("ck_portfolios_done_market_revision")
        ),
        sa.CheckConstraint("done_revision <= revision", name=op.f("ck_portfolios_done_revision")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name=op.f("ck_portfolios_name")),
        sa.CheckConstraint("risk_confidence IN (95, 97.5, 99)", name=op.f("ck_portfolios_risk_confidence")),
        sa.CheckConstraint("risk_window BETWEEN 60 AND 2500", name=op.f("ck_portfolios_risk_window")),
        sa.ForeignKeyConstraint(
            ["benchmark_id"], ["instruments.id"], name=op.f("fk_portfolios_benchmark_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_portfolios_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portfolios")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_portfolios_user_id_name")),
    )
    op.create_index(
        "ix_portfolios_behind",
        "portfolios",
        ["id"],
        unique=False,
        postgresql_where=sa.text("revision > done_revision OR market_revision > done_market_revision"),
    )
    op.create_index(op.f("ix_portfolios_benchmark_id"), "portfolios", ["benchmark_id"], unique=False)
    op.create_index(op.f("ix_portfolios_snapshot_id"), "portfolios", ["snapshot_id"], unique=False)
    op.create_index(op.f("ix_portfolios_user_id"), "portfolios", ["user_id"], unique=False)
    op.create_index(
        "uq_portfolios_default", "portfolios", ["user_id"], unique=True, postgresql_where=sa.text("is_default")
    )

    op.create_table(
        "prices",
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("close", sa.Numeric(precision=24, scale=8), nullable=False),
        sa.Column("adjusted_close", sa.Numeric(precision=24, scale=8), nullable=False),
        sa.Column("volume", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "adjusted_close > 0 AND adjusted_close < 'Infinity'", name=op.f("ck_prices_adjusted_close")
        ),
        sa.CheckConstraint("close > 0 AND close < 'Infinity'", name=op.f("ck_prices_close")),
        sa.CheckConstraint("volume >= 0", name=op.f("ck_prices_volume")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_prices_instrument_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instrument_id", "day", name=op.f("pk_prices")),
    )

    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("csrf_token", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)

    op.create_table(
        "sign_in_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_in_links_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_links")),
    )
    op.create_index(op.f("ix_sign_in_links_user_id"), "sign_in_links", ["user_id"], unique=False)

    op.create_table(
        "splits",
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ratio", sa.Numeric(precision=20, scale=10), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("ratio > 0 AND ratio < 'Infinity'", name=op.f("ck_splits_ratio")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_splits_instrument_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instrument_id", "day", name=op.f("pk_splits")),
    )

    op.create_table(
        "risk_snapshots",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("market_revision", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=True),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("base_currency", sa.String(length=3), nullable=False),
        sa.Column("nav", sa.Numeric(), nullable=False),
        sa.Column("gross", sa.Numeric(), nullable=False),
        sa.Column("annualized_volatility", sa.Double(), nullable=True),
        sa.Column("var_95_1d", sa.Double(), nullable=True),
        sa.Column("es_95_1d", sa.Double(), nullable=True),
        sa.Column("var_975_1d", sa.Double(), nullable=True),
        sa.Column("es_975_1d", sa.Double(), nullable=True),
        sa.Column("var_99_1d", sa.Double(), nullable=True),
        sa.Column("es_99_1d", sa.Double(), nullable=True),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("pending_positions", sa.BigInteger(), nullable=False),
        sa.Column("inputs_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "trigger IN ('trade', 'settings', 'manual', 'prices')", name=op.f("ck_risk_snapshots_trigger")
        ),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_risk_snapshots_duration_ms")),
        sa.ForeignKeyConstraint(
            ["portfolio_id"], ["portfolios.id"], name=op.f("fk_risk_snapshots_portfolio_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_snapshots")),
        sa.UniqueConstraint(
            "portfolio_id",
            "revision",
            "market_revision",
            name=op.f("uq_risk_snapshots_portfolio_id_revision_market_revision"),
        ),
    )
    op.create_index(
        "ix_risk_snapshots_portfolio_id_computed_at", "risk_snapshots", ["portfolio_id", "computed_at"], unique=False
    )

    op.create_table(
        "trades",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=28, scale=10), nullable=False),
        sa.Column("price", sa.Numeric(precision=28, scale=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("fee", sa.Numeric(precision=28, scale=10), server_default="0", nullable=False),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_trades_currency")),
        sa.CheckConstraint("executed_at >= '1900-01-01'", name=op.f("ck_trades_executed_at")),
        sa.CheckConstraint("fee >= 0 AND fee <= 1e12", name=op.f("ck_trades_fee")),
        sa.CheckConstraint("length(note) <= 1000", name=op.f("ck_trades_note")),
        sa.CheckConstraint("price >= 0 AND price <= 1e12", name=op.f("ck_trades_price")),
        sa.CheckConstraint("quantity <> 0 AND abs(quantity) <= 1e12", name=op.f("ck_trades_quantity")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_trades_instrument_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["portfolio_id"], ["portfolios.id"], name=op.f("fk_trades_portfolio_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
    )
    op.create_index(op.f("ix_trades_instrument_id"), "trades", ["instrument_id"], unique=False)
    op.create_index(
        "ix_trades_portfolio_id_executed_at_id", "trades", ["portfolio_id", "executed_at", "id"], unique=False
    )
    op.create_index(
        "uq_trades_external_id",
        "trades",
        ["portfolio_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    # portfolios and risk_snapshots refer to each other, so this key comes when both are there
    op.create_foreign_key(
        op.f("fk_portfolios_snapshot_id"),
        "portfolios",
        "risk_snapshots",
        ["snapshot_id"],
        ["id"],
        ondelete="SET NULL",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_portfolios_snapshot_id"), "portfolios", type_="foreignkey")
    op.drop_index("uq_trades_external_id", table_name="trades", postgresql_where=sa.text("external_id IS NOT NULL"))
    op.drop_index("ix_trades_portfolio_id_executed_at_id", table_name="trades")
    op.drop_index(op.f("ix_trades_instrument_id"), table_name="trades")
    op.drop_table("trades")
    op.drop_index("ix_risk_snapshots_portfolio_id_computed_at", table_name="risk_snapshots")
    op.drop_table("risk_snapshots")
    op.drop_table("splits")
    op.drop_index(op.f("ix_sign_in_links_user_id"), table_name="sign_in_links")
    op.drop_table("sign_in_links")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_expires_at"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_table("prices")
    op.drop_index("uq_portfolios_default", table_name="portfolios", postgresql_where=sa.text("is_default"))
    op.drop_index(op.f("ix_portfolios_user_id"), table_name="portfolios")
    op.drop_index(op.f("ix_portfolios_snapshot_id"), table_name="portfolios")
    op.drop_index(op.f("ix_portfolios_benchmark_id"), table_name="portfolios")
    op.drop_index(
        "ix_portfolios_behind",
        table_name="portfolios",
        postgresql_where=sa.text("revision > done_revision OR market_revision > done_market_revision"),
    )
    op.drop_table("portfolios")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_api_tokens_user_id"), table_name="api_tokens")
    op.drop_table("api_tokens")
    op.drop_table("worker_heartbeats")
    op.drop_index("uq_users_email_lower", table_name="users")
    op.drop_table("users")
    op.drop_table("nightly_runs")
    op.drop_index(
        "ix_instruments_next_fetch_at",
        table_name="instruments",
        postgresql_where=sa.text("next_fetch_at IS NOT NULL"),
    )
    op.drop_table("instruments")
    op.execute(sa.schema.DropSequence(sa.Sequence("market_revision")))
