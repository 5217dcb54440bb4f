"""PURE. The ledger in exact decimals: from trades to positions, from positions and prices to holdings."""
