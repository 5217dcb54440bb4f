"""Prices: where they come from, where they are kept, the history that risk is computed from."""
