"""Backtests of stored portfolios: the rolling one of today's positions, and the live one of what was served."""
