"""Which days are sessions, and whose close should be known by now: market calendars by exchange_calendars.

The library comes with pandas (half a second, 50 MB in a process that has neither), so it is loaded when a session is
first asked for: by price tasks and commands, never by the web server. A year of a calendar is made in a tenth of a
second and kept as plain dates.
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

#: After a close: what feeds are delayed by, and time to write the bar.
KNOWN_AFTER: Final = timedelta(minutes=30)
#: Where no calendar is known each weekday is a session that ends with New York's winter, as the last large market.
LAST_CLOSE: Final = time(21, 0)
WEEKDAYS: Final = 5

#: Cryptocurrencies: a session is a day in UTC. Exchange rates: a weekday in UTC.
EVERY_DAY: Final = "24/7"
CURRENCIES: Final = "24/5"

#: Calendar: Yahoo's codes of the exchanges that keep it, and the endings of their tickers. Where a calendar of the
#: exchange itself is missing, it is that of the country's first exchange. Athens, Bucharest and Tel Aviv are left
#: out: exchange_calendars 4.13 fails on theirs (with pandas 3, and on Sundays before 2026).
_EXCHANGES: Final = {
    EVERY_DAY: ("CCC", ""),
    CURRENCIES: ("CCY", ""),
    "XNYS": (
        "NMS NGM NCM NIM NAS NYQ NYS NAE ASE PCX BTS CXI PNK OQB OQX OEM OTC OPR YHD SNP DJI WCB CBO CGI",
        "",
    ),
    "XTSE": ("TOR VAN CNQ NEO", "TO V CN NE"),
    "XMEX": ("MEX", "MX"),
    "BVMF": ("SAO", "SA"),
    "XBUE": ("BUE", "BA"),
    "XSGO": ("SGO", "SN"),
    "XLON": ("LSE IOB CXE AQS FGI", "L IL XC AQ"),
    "XETR": ("GER", "DE"),
    "XFRA": ("FRA BER MUN HAN", "F BE MU HA"),
    "XSTU": ("STU", "SG"),
    "XDUS": ("DUS", "DU"),
    "XHAM": ("HAM", "HM"),
    "XPAR": ("PAR ENX", "PA NX"),
    "XAMS": ("AMS DXE", "AS XD"),
    "XBRU": ("BRU", "BR"),
    "XLIS": ("LIS", "LS"),
    "XDUB": ("ISE", "IR"),
    "XMIL": ("MIL TLO", "MI TI"),
    "XMAD": ("MCE MAD", "MC MA"),
    "XSWX": ("EBS", "SW"),
    "XWBO": ("VIE", "VI"),
    "XSTO": ("STO", "ST"),
    "XOSL": ("OSL", "OL"),
    "XCSE": ("CPH", "CO"),
    "XHEL": ("HEL", "HE"),
    "XICE": ("ICE", "IC"),
    "XTAL": ("TAL", "TL"),
    "XRIS": ("RIS", "RG"),
    "XLIT": ("LIT", "VS"),
    "XWAR": ("WSE", "WA"),
    "XPRA": ("PRA", "PR"),
    "XBUD": ("BUD", "BD"),
    "XIST": ("IST", "IS"),
    "XSAU": ("SAU", "SR"),
    "XJSE": ("JNB", "JO"),
    "XTKS": ("JPX TYO OSA FKA SAP", "T S"),
    "XHKG": ("HKG", "HK"),
    "XSHG": ("SHH SHZ", "SS SZ"),
    "XTAI": ("TAI TWO", "TW TWO"),
    "XKRX": ("KSC KOE", "KS KQ"),
    "XBOM": ("BSE NSI", "BO NS"),
    "XSES": ("SES", "SI"),
    "XKLS": ("KLS", "KL"),
    "XIDX": ("JKT", "JK"),
    "XBKK": ("SET", "BK"),
    "XPHS": ("PHS PHP", "PS"),
    "XKAR": ("KAR", "KA"),
    "XASX": ("ASX CXA", "AX XA"),
    "XNZE": ("NZE", "NZ"),
}
_BY_CODE: Final = {code: name for name, (codes, _) in _EXCHANGES.items() for code in codes.split()}
_BY_ENDING: Final = {ending: name for name, (_, endings) in _EXCHANGES.items() for ending in endings.split()}
_CRYPTOCURRENCY: Final = re.compile(r"[A-Z0-9]+-(USD|USDT|EUR|GBP|JPY|BTC)")


def calendar_of(ticker: str, exchange: str | None = None) -> str | None:
    """Return the name of the calendar whose sessions an instrument has; None: not known, so every weekday is one.

    Args:
        ticker: As Yahoo writes it: VOD.L, EURUSD=X, BTC-USD.
        exchange: Yahoo's code of the exchange, such as NMS or GER, which counts before the ticker; None: not known.
    """
    if exchange is not None and exchange in _BY_CODE:
        return _BY_CODE[exchange]
    if ticker.endswith("=X"):
        return CURRENCIES
    if _CRYPTOCURRENCY.fullmatch(ticker):
        return EVERY_DAY
    return _BY_ENDING.get(ticker.rpartition(".")[2]) if "." in ticker else None


def newest_session(calendar: str | None, now: datetime, delay: timedelta = KNOWN_AFTER) -> date:
    """Return the newest session whose close is at least `delay` ago at `now`."""
    known = now - delay
    year = known.astimezone(UTC).year
    # The last session of a year in New Zealand ends before the year does in UTC, but a cryptocurrency's after it.
    for sessions in (_sessions(calendar, year), _sessions(calendar, year - 1)):
        over = bisect_right(sessions.closes, known)
        if over:
            return sessions.days[over - 1]
    raise AssertionError("no market is closed for a year")


def next_session(calendar: str | None, after: date) -> date:
    """Return the first session after a day."""
    for year in (after.year, after.year + 1):
        days = _sessions(calendar, year).days
        place = bisect_right(days, after)
        if place < len(days):
            return days[place]
    raise AssertionError("no market is closed for a year")


def sessions_between(calendar: str | None, first: date, last: date) -> list[date]:
    """Return the sessions from `first` to `last`, both included."""
    found: list[date] = []
    for year in range(first.year, last.year + 1):
        days = _sessions(calendar, year).days
        found += days[bisect_left(days, first) : bisect_right(days, last)]
    return found


@dataclass(frozen=True)
class _Sessions:
    """A year of a calendar: days rising, and when each closes, UTC."""

    days: tuple[date, ...]
    closes: tuple[datetime, ...]


@lru_cache(maxsize=256)
def _sessions(calendar: str | None, year: int) -> _Sessions:
    if calendar is not None:
        import exchange_calendars  # type: ignore[import-untyped, unused-ignore]  # noqa: PLC0415 - see above
        from exchange_calendars.errors import CalendarError  # type: ignore  # noqa: PLC0415, PGH003

        try:
            with warnings.catch_warnings():
                # It calls pandas in ways that pandas 4 will drop; a reader of our logs can do nothing about it.
                warnings.simplefilter("ignore")
                made = exchange_calendars.get_calendar(calendar, start=f"{year}-01-01", end=f"{year}-12-31")
        except (CalendarError, ValueError, NotImplementedError):
            # The library does not know it (any more), its holidays are not announced for that year yet, or this
            # pandas is too new for it.
            pass
        else:
            return _Sessions(
                tuple(day.date() for day in made.sessions), tuple(close.to_pydatetime() for close in made.closes)
            )
    every_day = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    days = tuple(day for day in every_day if day.year == year and day.weekday() < WEEKDAYS)
    return _Sessions(days, tuple(datetime.combine(day, LAST_CLOSE, UTC) for day in days))
