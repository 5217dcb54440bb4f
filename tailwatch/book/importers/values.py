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
_SLASHED: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})\b")
_COMPACT: Final = re.compile(r"(\d{8})[;, T]?(\d{6})?")
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})[ ,T]*(\d{1,2}:\d{2}(:\d{2})?)?")
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


def decimal_mark(cells: Iterable[str]) -> DecimalMark:
    """Return what stands between whole and fraction in these cells, by those that leave no doubt.

    1.234,56 and 12,5 are written with a comma; 1,234.56 and 12.5 with a point.
    """
    commas = points = 0
    for cell in cells:
        text = cell.strip().lstrip("+-−(").rstrip(")-")
        if re.fullmatch(r"\d{1,3}(\.\d{3})+,\d+|\d+,(\d{1,2}|\d{4,})", text):
            commas += 1
        elif re.fullmatch(r"\d{1,3}(,\d{3})+\.\d+|\d+\.(\d{1,2}|\d{4,})", text):
            points += 1
    return "," if commas > points else "."


def day_order(cells: Iterable[str]) -> DayOrder | None:
    """Return how dates with slashes are written, by those that leave no doubt; None where all of them do."""
    for cell in cells:
        match = _SLASHED.search(cell)
        if match and int(match[1]) > 12:
            return "day first"
        if match and int(match[2]) > 12:
            return "month first"
    return None


def moment(written: str, order: DayOrder | None = None) -> datetime | None:
    """Return the moment in UTC, or None for an empty cell.

    A time without a zone is taken for UTC, and a date without a time for its first second: what counts is the day,
    which decides whether a trade comes before a split.

    Args:
        written: 2026-03-31, 2026-03-31T15:30:00Z, 2026-03-31 15:30, 20260331, 20260331;153000, 31.03.2026 or
            03/31/2026.
        order: Of dates with slashes.

    Raises:
        ValueError: it is none; the message is a sentence.
    """
    text = _ZONE_NAME.sub("", written.strip())
    if not text:
        return None
    try:
        return _moment(text, order)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"“{written.strip()[:40]}” is no date such as 2026-03-31.") from error


def _moment(text: str, order: DayOrder | None) -> datetime:
    if compact := _COMPACT.fullmatch(text):
        found = datetime.strptime(compact[1] + (compact[2] or "000000"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    elif dotted := _DOTTED.fullmatch(text):
        found = _clock(datetime(int(dotted[3]), int(dotted[2]), int(dotted[1]), tzinfo=UTC), dotted[4])
    elif slashed := _SLASHED.match(text):
        first, second, year = (int(part) for part in slashed.groups())
        day, month = (first, second) if order == "day first" else (second, first)
        found = _clock(datetime(year, month, day, tzinfo=UTC), text[slashed.end() :].strip(" ,"))
    else:
        # IB writes 2026-03-31, 15:30:00 and 2026-03-31;15:30:00; some write 2026/03/31.
        iso = re.sub(r"[,;] ?", "T", re.sub(r"^(\d{4})/(\d{2})/(\d{2})", r"\1-\2-\3", text), count=1)
        found = datetime.fromisoformat(iso)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _clock(day: datetime, written: str | None) -> datetime:
    if not written:
        return day
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
