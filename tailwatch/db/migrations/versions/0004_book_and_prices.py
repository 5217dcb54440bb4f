"""The book and the prices: entries of cash, audit trail, imports; versions of prices, bars held back, breakers.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TYPE = """
    CASE WHEN type IN ('buy', 'cover', 'transfer_in', 'sell', 'short', 'transfer_out') THEN
      instrument_id IS NOT NULL AND quantity IS NOT NULL AND price IS NOT NULL AND amount IS NULL
      AND (quantity > 0) = (type IN ('buy', 'cover', 'transfer_in'))
    WHEN type IN ('dividend', 'interest', 'deposit', 'withdrawal', 'fee', 'tax') THEN
      quantity IS NULL AND price IS NULL AND amount IS NOT NULL
      AND (instrument_id IS NOT NULL OR type <> 'dividend')
      AND (amount > 0 OR type IN ('dividend', 'interest', 'fee', 'tax'))
    ELSE false END
"""
CHECKS = {
    "trades": {
        "type": TYPE,
        "amount": "amount <> 0 AND abs(amount) <= 1e12",
        "tax": "tax >= 0 AND tax <= 1e12",
        "fx_rate": "fx_rate > 0 AND fx_rate <= 1e12",
    },
    "portfolios": {
        "cost_basis": "cost_basis IN ('average', 'fifo')",
        "cash_tracking": "cash_tracking IN ('auto', 'on', 'off')",
    },
}


def upgrade() -> None:
    op.create_table('price_sources',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('failures', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('out_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('last_error_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_answer_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_price_sources'))
    )
    op.create_table('held_prices',
    sa.Column('instrument_id', sa.BigInteger(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('close', sa.Numeric(precision=24, scale=8), nullable=False),
    sa.Column('adjusted_close', sa.Numeric(precision=24, scale=8), nullable=False),
    sa.Column('open', sa.Numeric(precision=24, scale=8), nullable=True),
    sa.Column('high', sa.Numeric(precision=24, scale=8), nullable=True),
    sa.Column('low', sa.Numeric(precision=24, scale=8), nullable=True),
    sa.Column('volume', sa.BigInteger(), nullable=True),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('fetched_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen', sa.BigInteger(), server_default='1', nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('decision', sa.Text(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_by', sa.Text(), nullable=True),
    sa.CheckConstraint("adjusted_close > 0 AND adjusted_close < 'Infinity'", name=op.f('ck_held_prices_adjusted_close')),
    sa.CheckConstraint("close > 0 AND close < 'Infinity'", name=op.f('ck_held_prices_close')),
    sa.CheckConstraint("decision IN ('released', 'rejected')", name=op.f('ck_held_prices_decision')),
    sa.CheckConstraint('(decision IS NULL) = (decided_at IS NULL)', name=op.f('ck_held_prices_decided_at')),
    sa.ForeignKeyConstraint(['instrument_id'], ['instruments.id'], name=op.f('fk_held_prices_instrument_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('instrument_id', 'day', name=op.f('pk_held_prices'))
    )
    op.create_index('ix_held_prices_undecided', 'held_prices', ['instrument_id'], unique=False, postgresql_where=sa.text('decision IS NULL'))
    op.create_table('superseded_prices',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('instrument_id', sa.BigInteger(), nullable=False),
    sa.Column('replaced_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('days', postgresql.ARRAY(sa.Date()), nullable=False),
    sa.Column('closes', postgresql.ARRAY(sa.Numeric(precision=24, scale=8)), nullable=False),
    sa.Column('adjusted_closes', postgresql.ARRAY(sa.Numeric(precision=24, scale=8)), nullable=False),
    sa.Column('sources', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('fetched_ats', postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
    sa.CheckConstraint("kind IN ('restated', 'rebased', 'source', 'removed')", name=op.f('ck_superseded_prices_kind')),
    sa.CheckConstraint('cardinality(days) > 0 AND cardinality(days) = cardinality(closes)', name=op.f('ck_superseded_prices_days')),
    sa.ForeignKeyConstraint(['instrument_id'], ['instruments.id'], name=op.f('fk_superseded_prices_instrument_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_superseded_prices'))
    )
    op.create_index('ix_superseded_prices_instrument_id_replaced_at', 'superseded_prices', ['instrument_id', 'replaced_at'], unique=False)
    op.create_table('trade_changes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('portfolio_id', sa.BigInteger(), nullable=False),
    sa.Column('trade_id', sa.BigInteger(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('changed_by', sa.Text(), nullable=False),
    sa.Column('request_id', sa.String(length=64), nullable=True),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.CheckConstraint("(action = 'removal') = (after IS NULL)", name=op.f('ck_trade_changes_after')),
    sa.CheckConstraint("action IN ('change', 'removal')", name=op.f('ck_trade_changes_action')),
    sa.ForeignKeyConstraint(['portfolio_id'], ['portfolios.id'], name=op.f('fk_trade_changes_portfolio_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_trade_changes'))
    )
    op.create_index('ix_trade_changes_portfolio_id_trade_id_id', 'trade_changes', ['portfolio_id', 'trade_id', 'id'], unique=False)
    op.create_table('trade_imports',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('portfolio_id', sa.BigInteger(), nullable=False),
    sa.Column('imported_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('imported_by', sa.Text(), nullable=False),
    sa.Column('file_name', sa.Text(), nullable=False),
    sa.Column('format', sa.Text(), nullable=False),
    sa.Column('booked', sa.BigInteger(), nullable=False),
    sa.Column('duplicates', sa.BigInteger(), nullable=False),
    sa.Column('left_out', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('booked >= 0 AND duplicates >= 0 AND left_out >= 0', name=op.f('ck_trade_imports_rows')),
    sa.CheckConstraint('length(file_name) <= 255', name=op.f('ck_trade_imports_file_name')),
    sa.ForeignKeyConstraint(['portfolio_id'], ['portfolios.id'], name=op.f('fk_trade_imports_portfolio_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_trade_imports'))
    )
    op.create_index(op.f('ix_trade_imports_portfolio_id'), 'trade_imports', ['portfolio_id'], unique=False)
    op.add_column('instruments', sa.Column('calendar', sa.Text(), nullable=True))
    op.add_column('instruments', sa.Column('due_day', sa.Date(), nullable=True))
    op.add_column('instruments', sa.Column('remarks', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False))
    op.add_column('portfolios', sa.Column('cost_basis', sa.Text(), server_default='average', nullable=False))
    op.add_column('portfolios', sa.Column('cash_tracking', sa.Text(), server_default='auto', nullable=False))
    op.add_column('prices', sa.Column('open', sa.Numeric(precision=24, scale=8), nullable=True))
    op.add_column('prices', sa.Column('high', sa.Numeric(precision=24, scale=8), nullable=True))
    op.add_column('prices', sa.Column('low', sa.Numeric(precision=24, scale=8), nullable=True))
    op.add_column('trades', sa.Column('type', sa.String(length=16), nullable=True))
    # What is sold may be what was borrowed; the sign is what counts.
    op.execute("UPDATE trades SET type = CASE WHEN quantity > 0 THEN 'buy' ELSE 'sell' END")
    op.alter_column('trades', 'type', nullable=False)
    op.add_column('trades', sa.Column('amount', sa.Numeric(precision=28, scale=10), nullable=True))
    op.add_column('trades', sa.Column('tax', sa.Numeric(precision=28, scale=10), server_default='0', nullable=False))
    op.add_column('trades', sa.Column('fx_rate', sa.Numeric(precision=28, scale=10), nullable=True))
    op.add_column('trades', sa.Column('account', sa.String(length=100), nullable=True))
    op.add_column('trades', sa.Column('import_key', sa.String(length=64), nullable=True))
    op.add_column('trades', sa.Column('import_id', sa.BigInteger(), nullable=True))
    op.alter_column('trades', 'instrument_id',
               existing_type=sa.BIGINT(),
               nullable=True)
    op.alter_column('trades', 'quantity',
               existing_type=sa.NUMERIC(precision=28, scale=10),
               nullable=True)
    op.alter_column('trades', 'price',
               existing_type=sa.NUMERIC(precision=28, scale=10),
               nullable=True)
    op.create_index('ix_trades_import_id', 'trades', ['import_id'], unique=False, postgresql_where=sa.text('import_id IS NOT NULL'))
    op.create_index('uq_trades_import_key', 'trades', ['portfolio_id', 'import_key'], unique=True, postgresql_where=sa.text('import_key IS NOT NULL'))
    op.create_foreign_key(op.f('fk_trades_import_id'), 'trades', 'trade_imports', ['import_id'], ['id'], ondelete='SET NULL')
    for column, condition in CHECKS['trades'].items():
        op.create_check_constraint(op.f(f'ck_trades_{column}'), 'trades', condition)
    for column, condition in CHECKS['portfolios'].items():
        op.create_check_constraint(op.f(f'ck_portfolios_{column}'), 'portfolios', condition)


def downgrade() -> None:
    # The older version has no place for entries of cash.
    op.execute("DELETE FROM trades WHERE quantity IS NULL")
    for column in CHECKS['portfolios']:
        op.drop_constraint(op.f(f'ck_portfolios_{column}'), 'portfolios', type_='check')
    for column in CHECKS['trades']:
        op.drop_constraint(op.f(f'ck_trades_{column}'), 'trades', type_='check')
    op.drop_constraint(op.f('fk_trades_import_id'), 'trades', type_='foreignkey')
    op.drop_index('uq_trades_import_key', table_name='trades', postgresql_where=sa.text('import_key IS NOT NULL'))
    op.drop_index('ix_trades_import_id', table_name='trades', postgresql_where=sa.text('import_id IS NOT NULL'))
    op.alter_column('trades', 'price',
               existing_type=sa.NUMERIC(precision=28, scale=10),
               nullable=False)
    op.alter_column('trades', 'quantity',
               existing_type=sa.NUMERIC(precision=28, scale=10),
               nullable=False)
    op.alter_column('trades', 'instrument_id',
               existing_type=sa.BIGINT(),
               nullable=False)
    op.drop_column('trades', 'import_id')
    op.drop_column('trades', 'import_key')
    op.drop_column('trades', 'account')
    op.drop_column('trades', 'fx_rate')
    op.drop_column('trades', 'tax')
    op.drop_column('trades', 'amount')
    op.drop_column('trades', 'type')
    op.drop_column('prices', 'low')
    op.drop_column('prices', 'high')
    op.drop_column('prices', 'open')
    op.drop_column('portfolios', 'cash_tracking')
    op.drop_column('portfolios', 'cost_basis')
    op.drop_column('instruments', 'remarks')
    op.drop_column('instruments', 'due_day')
    op.drop_column('instruments', 'calendar')
    op.drop_index(op.f('ix_trade_imports_portfolio_id'), table_name='trade_imports')
    op.drop_table('trade_imports')
    op.drop_index('ix_trade_changes_portfolio_id_trade_id_id', table_name='trade_changes')
    op.drop_table('trade_changes')
    op.drop_index('ix_superseded_prices_instrument_id_replaced_at', table_name='superseded_prices')
    op.drop_table('superseded_prices')
    op.drop_index('ix_held_prices_undecided', table_name='held_prices', postgresql_where=sa.text('decision IS NULL'))
    op.drop_table('held_prices')
    op.drop_table('price_sources')