"""Live quotes: open portfolios at the prices of now, as a process of its own (`python -m worker.quotes`).

Pages say by being open which portfolios count (`tailwatch.live.announce`); only what those hold is subscribed to, and
nothing is stored: whatever is lost comes again with the next price. `feed` holds the connection, `ticks` keeps the
newest price of each ticker, `pace` decides when a portfolio's page gets news, and `desk` brings them together.
"""
