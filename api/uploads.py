"""Files that are sent: multipart/form-data with a file and a few words about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import gevent
import gevent.monkey
from flask import request

from api.problems import ProblemError, invalid

T = TypeVar("T")

#: A broker's file of a hundred thousand rows has some 15 MB.
LARGEST_FILE: Final = 32_000_000

_MAPPING: Final = (
    "What is to be known of the file, as JSON: `columns` names the file's column of each of ours (external_id, "
    "account, date, type, symbol, isin, quantity, price, amount, currency, fee, tax, fx_rate, note), `symbols` the "
    "ticker of what the file calls otherwise, or by ISIN."
)
#: What the OpenAPI document says of such a request.
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": f"At most {LARGEST_FILE // 1_000_000} MB; its format is recognised by itself.",
                    },
                    "mapping": {"type": "string", "description": _MAPPING},
                    "rows": {
                        "type": "string",
                        "description": "Lines to book, as JSON: [2, 3, 7]. Without: all that are new, or none.",
                    },
                },
            }
        }
    },
}


@dataclass(frozen=True)
class Upload:
    """A file, and the fields that came with it."""

    content: bytes
    name: str
    fields: dict[str, str]


def upload() -> Upload:
    """Return the file of this request.

    Raises:
        ProblemError: 415, the body is no multipart/form-data; 422, there is no file in it.
        RequestEntityTooLarge: it is too large.
    """
    if request.mimetype != "multipart/form-data":
        raise ProblemError(
            415, "not-a-form", "Not a form", "Send the file as multipart/form-data, in a field called file."
        )
    request.max_content_length = LARGEST_FILE
    file = request.files.get("file")
    if file is None:
        raise invalid(("file", "is needed: the file to import"))
    return Upload(file.read(), (file.filename or "file").strip()[:255] or "file", request.form.to_dict())


def aside(work: Callable[[], T]) -> T:
    """Do work that takes long in a thread of its own: the web server's greenlets are answered meanwhile."""
    if not gevent.monkey.is_module_patched("socket"):
        return work()
    done: T = gevent.get_hub().threadpool.apply(work)
    return done
