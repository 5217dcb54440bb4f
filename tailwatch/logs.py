"""Structured logging for every process: readable in a terminal, one JSON object a line in a container.

What a line is about (request, portfolio, task, snapshot) is bound once, with `structlog.contextvars`, by whoever
learns it: the web server for a request, the worker for a task. The id of a request travels with what it sets off
(the portfolio's row, the message, the live event), so that one search finds the whole way of a trade.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from tailwatch.settings import get_settings

HIDDEN: Final = "[hidden]"

#: Names whose values never reach a log, whoever passes them: `password`, `X-CSRF-Token`, `set-cookie`, `api_token`.
_SECRET_NAME: Final = re.compile(r"(?i)(^|[_.-])(password|passwd|secret|token|authorization|cookie|credentials?)$")
#: What secrets look like where no name tells, in messages and tracebacks: the group is kept, the rest is hidden.
_SECRET_TEXT: Final = re.compile(
    r"""(?xi)
    ( \b[a-z][a-z0-9+.-]*://[^\s/:@"']*: ) [^\s/@"']+ (?=@)             # the password in an address
    | ( \btw_ ) [A-Za-z0-9_-]{16,}                                      # our API tokens
    | ( \b(?:bearer|basic)\s+ ) [A-Za-z0-9._~+/=-]{8,}                  # an Authorization header
    | ( /sign-in\# ) [A-Za-z0-9_-]+                                     # a link that signs in
    | ( \b(?:tailwatch_session|csrf_token|password|passwd|secret|token) \s* = \s* ) [^\s&;,"')]+
    | ( (?<![a-z0-9])["'](?:csrf_token|password|passwd|secret|token)\\?["'] \s* : \s* \\?["'] ) [^"'\\]+
    """
)


def hide(text: str) -> str:
    """Return `text` without anything that is, or looks like, a secret."""
    for secret in _own_secrets():
        text = text.replace(secret, HIDDEN)
    return _SECRET_TEXT.sub(lambda found: next(filter(None, found.groups())) + HIDDEN, text)


@lru_cache(maxsize=1)
def _own_secrets() -> tuple[str, ...]:
    """The secrets of this process's settings, in every spelling that a line can have them in."""
    settings = get_settings()
    given = {urlsplit(settings.database_url).password, urlsplit(settings.redis_url).password}
    given |= {getattr(settings, name) for name in type(settings).model_fields if _SECRET_NAME.search(name)}
    spelled: set[str] = set()
    for secret in given:
        # A short one is no secret, and would be found in every other word.
        if isinstance(secret, str) and len(secret) >= 6:
            plain = unquote(secret)
            spelled |= {secret, plain, quote(plain, safe=""), json.dumps(plain)[1:-1], repr(plain)[1:-1]}
    return tuple(sorted(spelled, key=len, reverse=True))


def request_id() -> str | None:
    """Return the id of the request that is being answered or followed up, if it is one."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return found if isinstance(found, str) else None


def _hide_named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _without_secrets(name, value) for name, value in event.items()}


def _without_secrets(name: object, value: object) -> object:
    if isinstance(name, str) and _SECRET_NAME.search(name) and value is not None:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _without_secrets(key, each) for key, each in value.items()}
    # Lists and tuples themselves: what is made of them, such as a named tuple, may not take one list of values.
    if type(value) is list:
        return [_without_secrets(None, each) for each in value]
    if type(value) is tuple:
        return tuple(_without_secrets(None, each) for each in value)
    return value


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Looks over the finished line: whatever it was made of, no secret leaves."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


def configure(process: str) -> None:
    """Send everything that this process logs, its libraries included, through one formatter to standard error.

    Args:
        process: what every line is labelled with, such as "web" or "worker".
    """
    settings = get_settings()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_named,
    ]

    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _hide_named],
            processors=[add_process, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(ended.exc_type, ended.exc_value, ended.exc_traceback)
    structlog.configure(
        processors=[
            # First: what nobody reads costs nothing.
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _rendering() -> list[Processor]:
    # Both leave out local variables, which the defaults show with every traceback: passwords and tokens among them.
    if get_settings().log_format == "json":
        tracebacks = structlog.processors.ExceptionRenderer(
            ExceptionDictTransformer(show_locals=False, max_frames=30)
        )
        return [tracebacks, structlog.processors.JSONRenderer(default=str)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error or kind(), traceback)
        return
    exc_info: Any = (kind, error or kind(), traceback)
    structlog.get_logger(__name__).critical("uncaught exception", exc_info=exc_info)
