"""Risk engine: stress, explanation and inputs of a snapshot; backtests; what was served against what came.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BEFORE = "risk_method IN ('covariance', 'ewma', 'historical', 'filtered')"
AFTER = "risk_method IN ('covariance', 'student_t', 'ewma', 'historical', 'filtered')"


def upgrade() -> None:
    op.add_column(
        "instruments",
        sa.Column(
            "labels", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
    )
    op.create_check_constraint(op.f("ck_instruments_labels"), "instruments", "jsonb_typeof(labels) = 'object'")

    # Portfolios that exist keep the method that they have.
    op.alter_column("portfolios", "risk_method", server_default="filtered")
    op.drop_constraint(op.f("ck_portfolios_risk_method"), "portfolios", type_="check")
    op.create_check_constraint(op.f("ck_portfolios_risk_method"), "portfolios", AFTER)
    op.add_column("portfolios", sa.Column("risk_covariance", sa.Text(), server_default="sample", nullable=False))
    op.create_check_constraint(
        op.f("ck_portfolios_risk_covariance"), "portfolios", "risk_covariance IN ('sample', 'ledoit_wolf')"
    )
    op.add_column("portfolios", sa.Column("behind_since", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE portfolios SET behind_since = now() "
        "WHERE revision > done_revision OR market_revision > done_market_revision"
    )

    op.add_column("risk_snapshots", sa.Column("inputs", sa.LargeBinary(), nullable=True))
    op.add_column("risk_snapshots", sa.Column("stress", sa.LargeBinary(), nullable=True))
    op.add_column("risk_snapshots", sa.Column("explain", sa.LargeBinary(), nullable=True))

    op.create_table(
        "backtests",
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("seen_snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("wanted_key", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("done_key", sa.Text(), nullable=True),
        sa.Column("snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("as_of", sa.Date(), nullable=True),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["portfolio_id"], ["portfolios.id"], name=op.f("fk_backtests_portfolio_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("portfolio_id", name=op.f("pk_backtests")),
    )
    op.create_index(
        "ix_backtests_due_at",
        "backtests",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )

    op.create_table(
        "served_forecasts",
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("snapshot_id", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("base_currency", sa.String(length=3), nullable=False),
        sa.Column("nav", sa.Numeric(), nullable=False),
        sa.Column("var_95_1d", sa.Double(), nullable=False),
        sa.Column("es_95_1d", sa.Double(), nullable=False),
        sa.Column("var_975_1d", sa.Double(), nullable=False),
        sa.Column("es_975_1d", sa.Double(), nullable=False),
        sa.Column("var_99_1d", sa.Double(), nullable=False),
        sa.Column("es_99_1d", sa.Double(), nullable=False),
        sa.Column("pnl", sa.Double(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("realised_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("day > as_of", name=op.f("ck_served_forecasts_day")),
        sa.ForeignKeyConstraint(
            ["portfolio_id"], ["portfolios.id"], name=op.f("fk_served_forecasts_portfolio_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("portfolio_id", "as_of", name=op.f("pk_served_forecasts")),
    )
    op.create_index(
        "ix_served_forecasts_incomplete",
        "served_forecasts",
        ["portfolio_id"],
        unique=False,
        postgresql_where=sa.text("NOT complete"),
    )

    op.create_table(
        "volatility_models",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volatility_models")),
    )


def downgrade() -> None:
    op.drop_table("volatility_models")
    op.drop_index(
        "ix_served_forecasts_incomplete", table_name="served_forecasts", postgresql_where=sa.text("NOT complete")
    )
    op.drop_table("served_forecasts")
    op.drop_index("ix_backtests_due_at", table_name="backtests", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("backtests")
    op.drop_column("risk_snapshots", "explain")
    op.drop_column("risk_snapshots", "stress")
    op.drop_column("risk_snapshots", "inputs")
    op.drop_column("portfolios", "behind_since")
    op.drop_constraint(op.f("ck_portfolios_risk_covariance"), "portfolios", type_="check")
    op.drop_column("portfolios", "risk_covariance")
    op.drop_constraint(op.f("ck_portfolios_risk_method"), "portfolios", type_="check")
    # The nearest that the older version knows.
    op.execute("UPDATE portfolios SET risk_method = 'covariance' WHERE risk_method = 'student_t'")
    op.create_check_constraint(op.f("ck_portfolios_risk_method"), "portfolios", BEFORE)
    op.alter_column("portfolios", "risk_method", server_default="historical")
    op.drop_constraint(op.f("ck_instruments_labels"), "instruments", type_="check")
    op.drop_column("instruments", "labels")
