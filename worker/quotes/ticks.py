"""The newest price of each ticker that somebody looks at, and the one that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from tailwatch.market.ticks import Close, Tick, Verdict, judge

#: Shown, with the reason why they do not count.
SHOWN: Final = frozenset({"live", "suspicious", "not_regular", "old_close"})
Outcome = Verdict | Literal["unknown_ticker", "late", "future"]
#: Clocks differ by seconds. One tick from next year would make all others late.
_CLOCKS_DIFFER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Quote:
    """What is known of a ticker.

    Attributes:
        newest: The last tick that may be shown.
        verdict: What was made of it, and why no more.
        received: When it came, epoch seconds.
        valued: The last tick that counts; None: so far none did.
    """

    newest: Tick
    verdict: Verdict
    reason: str | None
    received: float
    valued: Tick | None


class Quotes:
    """The newest ticks, held against the stored closes."""

    def __init__(self) -> None:
        self._closes: dict[str, Close] = {}
        self._quotes: dict[str, Quote] = {}

    def hold_against(self, closes: Mapping[str, Close]) -> None:
        """Look at these tickers and no others; what came of them is judged again where the close is another one."""
        changed = {ticker for ticker, close in closes.items() if self._closes.get(ticker) != close}
        self._closes = dict(closes)
        self._quotes = {ticker: quote for ticker, quote in self._quotes.items() if ticker in closes}
        for ticker in changed & self._quotes.keys():
            quote = self._quotes.pop(ticker)
            for tick in (quote.valued, quote.newest):
                if tick is not None:
                    self._judge(tick, quote.received)

    def take(self, tick: Tick, received: float) -> Outcome:
        """Keep a tick if it is of use; return what was made of it."""
        known = self._quotes.get(tick.ticker)
        if tick.ticker not in self._closes:
            return "unknown_ticker"
        if known is not None and tick.at < known.newest.at:
            return "late"
        if tick.at.timestamp() > received + _CLOCKS_DIFFER_SECONDS:
            return "future"
        return self._judge(tick, received)

    def _judge(self, tick: Tick, received: float) -> Verdict:
        verdict, reason = judge(tick, self._closes[tick.ticker])
        if verdict in SHOWN:
            known = self._quotes.get(tick.ticker)
            # What counted goes on counting when a worse one comes after it.
            valued = tick if verdict == "live" else None if known is None else known.valued
            self._quotes[tick.ticker] = Quote(tick, verdict, reason, received, valued)
        return verdict

    def get(self, ticker: str | None) -> Quote | None:
        """Return what is known of a ticker."""
        return None if ticker is None else self._quotes.get(ticker)

    def prices(self) -> dict[str, Decimal]:
        """Return the prices that count, by ticker."""
        return {ticker: quote.valued.price for ticker, quote in self._quotes.items() if quote.valued is not None}
