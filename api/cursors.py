"""Page cursors: the last row's sort key, opaque to the caller, checked when it comes back."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from api.problems import invalid

_MOST = 2**63 - 1


def after_id(row_id: int) -> str:
    """Return the cursor of a list sorted by id."""
    return _encode(str(row_id))


def read_id(cursor: str) -> int:
    """Return the id that the next page starts beyond.

    Raises:
        ProblemError: 422, this is not a cursor of ours.
    """
    return _id(_decode(cursor))


def after_text(key: str) -> str:
    """Return the cursor of a list sorted by a text."""
    return _encode(key)


def read_text(cursor: str) -> str:
    """Return the text that the next page starts beyond.

    Raises:
        ProblemError: 422, this is not a cursor of ours.
    """
    key = _decode(cursor)
    if not key.isprintable():
        raise _refused()
    return key


def after_moment(moment: datetime, row_id: int) -> str:
    """Return the cursor of a list sorted by a time, then id."""
    return _encode(f"{moment.astimezone(UTC).isoformat()}|{row_id}")


def read_moment(cursor: str) -> tuple[datetime, int]:
    """Return time and id that the next page starts beyond.

    Raises:
        ProblemError: 422, this is not a cursor of ours.
    """
    moment, _, row_id = _decode(cursor).partition("|")
    try:
        read = datetime.fromisoformat(moment)
    except ValueError as error:
        raise _refused() from error
    if read.tzinfo is None:
        raise _refused()
    return read, _id(row_id)


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise _refused() from error


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MOST):
        raise _refused()
    return int(text)


def _refused() -> Exception:
    return invalid(("cursor", "is not a next_cursor of this list; leave it out to start from the beginning"))
