"""JSON without floats on the way in: `0.1` arrives as Decimal("0.1"), and what is not JSON is refused."""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from flask import Request
from flask.json.provider import JSONProvider
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from api.problems import ProblemError


class ExactJSON(JSONProvider):
    """Reads numbers exactly (json), writes quickly (orjson)."""

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Parse `s`.

        Raises:
            ValueError: it is not JSON, is nested too deeply, or holds half of a surrogate pair.
        """
        try:
            # NaN and Infinity are not JSON, but are read as numbers so that the member at fault can be named.
            parsed = json.loads(s, parse_float=Decimal, parse_constant=Decimal)
        except (RecursionError, InvalidOperation) as error:
            raise ValueError("nested too deeply, or a number beyond all bounds") from error
        raw = s.encode() if isinstance(s, str) else s
        if b"\\ud" in raw or b"\\uD" in raw:
            # Raises UnicodeEncodeError, a ValueError: such a string could be neither stored nor answered.
            json.dumps(parsed, ensure_ascii=False, default=str).encode()
        return parsed

    def dumps(self, obj: Any, **_options: Any) -> str:
        """Serialise `obj`."""
        return orjson.dumps(obj).decode()


class StrictRequest(Request):
    """A request whose body must say that it is JSON, and be it."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002 - werkzeug's signature
        """Return the parsed body; the type that the caller declares always counts."""
        if not self.is_json:
            if silent:
                return None
            raise UnsupportedMediaType
        if self.content_length is None and len(self.get_data()) >= (self.max_content_length or math.inf):
            # werkzeug cuts a body of unknown length off at the limit without a word.
            raise RequestEntityTooLarge
        return super().get_json(silent=silent, cache=cache)

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Refuse a body that is not JSON, saying where it ends to be."""
        if isinstance(e, json.JSONDecodeError):
            where = f" It fails at line {e.lineno}, column {e.colno}: {e.msg}."
        else:
            where = ""
        raise ProblemError(400, "bad-json", "Not JSON", f"The body is not valid JSON.{where}") from e
