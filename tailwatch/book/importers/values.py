"""Numbers and moments as people and programs write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from tailwatch.errors import InputFileError

DecimalMark = Literal[".", ","]
DayOrder = Literal["day first", "month first"]

_CURRENCY_SIGNS: Final = "$€£¥ \u00a0\u202f'’"
_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_GROUPED: Final = {
    ".": re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?"),
    ",": re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?"),
}
_SLASHED: Final = re.compile(r"\s*(\d{1,2})(?:/(\d{1,2})/(\d{4}|\d{2})|-(\d{1,2})-(\d{4}))(?!\d)")
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[;, T]*(\d{6}|\d{1,2}:\d{2}(?::\d{2})?))?")
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})[ ,T]*(\d{1,2}:\d{2}(?::\d{2})?)?")
_NAMED: Final = re.compile(r"(\d{1,2})[- ]([A-Za-z]{3})[- ](\d{4}|\d{2})[;, T]*(\d{6}|\d{1,2}:\d{2}(?::\d{2})?)?")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Two-digit years from here on are of the last century.
_PIVOT: Final = 70
#: A thousand separator never follows a lone zero, and is followed by three digits.
_WITH_COMMA: Final = re.compile(r"\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,}|\d+,(\d{1,2}|\d{4,})|0,\d{3}")
_WITH_POINT: Final = re.compile(r"\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,}|\d+\.(\d{1,2}|\d{4,})|0\.\d{3}")
#: Cells without doubt after which the question is settled.
_ENOUGH: Final = 500
_ZONE_NAME: Final = re.compile(r" [A-Z]{2,5}$")


def number(written: str, mark: DecimalMark = ".") -> Decimal | None:
    """Return the number, or None for an empty cell.

    Thousands may be grouped; a minus may stand behind, and brackets are one; signs of currencies are passed over.

    Args:
        written: The cell.
        mark: Between whole and fraction.

    Raises:
        ValueError: it is none; the message is a sentence.
    """
    text = written.strip()
    if text in {"", "-", "--", "–", "N/A", "n/a"}:
        return None
    if (mark == "." or "." not in text) and _PLAIN.fullmatch(text):
        return Decimal(text)
    bare = text.translate({ord(character): None for character in _CURRENCY_SIGNS})
    if bare.startswith("(") and bare.endswith(")"):
        bare = f"-{bare[1:-1]}"
    elif bare.endswith("-"):
        bare = f"-{bare[:-1]}"
    bare = bare.replace("−", "-").replace("+-", "-").replace("--", "")
    if _GROUPED[mark].fullmatch(bare):
        bare = bare.replace("," if mark == "." else ".", "")
    if mark == ",":
        bare = bare.replace(",", ".") if bare.count(",") == 1 and "." not in bare else bare
    if not _PLAIN.fullmatch(bare):
        raise ValueError(f"“{written.strip()[:40]}” is no number.")
    try:
        return Decimal(bare)
    except InvalidOperation as error:
        raise ValueError(f"“{written.strip()[:40]}” is no number.") from error


def decimal_mark(cells: Iterable[str], doubtful: DecimalMark = ".") -> DecimalMark:
    """Return what stands between whole and fraction in these cells, by those that leave no doubt.

    1.234,56 and 12,5 are written with a comma; 1,234.56 and 12.5 with a point.

    Args:
        cells: As they are written.
        doubtful: The answer where none of them says.
    """
    commas = points = 0
    for cell in cells:
        if "," not in cell and "." not in cell:
            continue
        text = cell.strip().lstrip("+-−($€£").rstrip(")- €").replace("'", "").replace("’", "")
        commas += _WITH_COMMA.fullmatch(text) is not None
        points += _WITH_POINT.fullmatch(text) is not None
        if commas + points >= _ENOUGH:
            break
    return doubtful if commas == points else "," if commas > points else "."


def day_order(cells: Iterable[str]) -> DayOrder | None:
    """Return how dates such as 03/04/2026 are written, by those that leave no doubt; None where all of them do."""
    for cell in cells:
        match = _SLASHED.match(cell)
        if match and int(match[1]) > 12:
            return "day first"
        if match and int(match[2] or match[4]) > 12:
            return "month first"
    return None


def is_doubtful(written: str) -> bool:
    """Say whether a date could be read with the day first and with the month first."""
    return _SLASHED.match(written) is not None


def moment(written: str, order: DayOrder | None = None) -> datetime | None:
    """Return the moment in UTC, or None for an empty cell.

    A time without a zone is taken for UTC, and a date without a time for its first second: what counts is the day,
    which decides whether a trade comes before a split.

    Args:
        written: 2026-03-31, 2026-03-31T15:30:00Z, 2026-03-31 15:30, 20260331, 20260331;153000, 31.03.2026,
            31-03-2026, 31-MAR-26 or 03/31/2026.
        order: Of dates such as 03/04/2026.

    Raises:
        ValueError: it is none; the message is a sentence.
    """
    try:
        # How most programs write, and by far the fastest to read.
        found = datetime.fromisoformat(written)
    except ValueError:
        pass
    else:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    text = _ZONE_NAME.sub("", written.strip())
    if not text:
        return None
    try:
        return _moment(text, order)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"“{written.strip()[:40]}” is no date such as 2026-03-31.") from error


def _moment(text: str, order: DayOrder | None) -> datetime:
    if compact := _COMPACT.fullmatch(text):
        found = _clock(_day(compact[1], int(compact[2]), compact[3]), compact[4])
    elif dotted := _DOTTED.fullmatch(text):
        found = _clock(_day(dotted[3], int(dotted[2]), dotted[1]), dotted[4])
    elif named := _NAMED.fullmatch(text):
        found = _clock(_day(named[3], _MONTHS.index(named[2].lower()) + 1, named[1]), named[4])
    elif slashed := _SLASHED.match(text):
        first, second = slashed[1], slashed[2] or slashed[4]
        # Americans write slashes; where there are dashes, the day comes first unless the file says otherwise.
        day_first = order == "day first" or (order is None and slashed[4] is not None)
        day, month = (first, second) if day_first else (second, first)
        found = _clock(_day(slashed[3] or slashed[5], int(month), day), text[slashed.end() :].strip(" ,;T"))
    else:
        # IB writes 2026-03-31, 15:30:00 and 2026-03-31;15:30:00; some write 2026/03/31.
        iso = re.sub(r"[,;] ?", "T", re.sub(r"^(\d{4})/(\d{2})/(\d{2})", r"\1-\2-\3", text), count=1)
        found = datetime.fromisoformat(iso)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _day(year: str, month: int, day: str) -> datetime:
    whole = int(year) if len(year) > 2 else int(year) + (1900 if int(year) >= _PIVOT else 2000)
    return datetime(whole, month, int(day), tzinfo=UTC)


def _clock(day: datetime, written: str | None) -> datetime:
    if not written:
        return day
    if ":" not in written:
        written = f"{written[:2]}:{written[2:4]}:{written[4:]}"
    hour, minute, *second = written.split(":")
    return day.replace(hour=int(hour), minute=int(minute), second=int(second[0]) if second else 0)


def decoded(content: bytes) -> str:
    """Return the text of a file: UTF-8 or UTF-16 with or without a mark of it, else Windows' Latin-1.

    Raises:
        InputFileError: it is no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if content[:200].count(b"\0") > len(content[:200]) // 4:
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", errors="replace")
    if b"\0" in content[:4096] or content.startswith((b"PK\x03\x04", b"%PDF")):
        raise InputFileError("This is no text: export it as CSV, JSON or XML.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
