"""Structured logging for every process: readable in a terminal, one JSON object a line in a container.

What a line is about (request, portfolio, task, snapshot) is bound once, with `structlog.contextvars`, by whoever
learns it: the web server for a request, the worker for a task. The id of a request travels with what it sets off
(the portfolio's row, the message, the live event), so that one search finds the whole way of a trade.
"""

from __future__ import annotations

import json
import logging
import math
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

#: A line is for finding out what happened; nobody reads a megabyte of it.
_LONGEST_TEXT: Final = 8_000
_LONGEST_LIST: Final = 100
_DEEPEST: Final = 8
_MOST_FRAMES: Final = 30
#: Exceptions that a traceback names: the one raised first, then what it came from.
_MOST_CAUSES: Final = 8

_WORD: Final = "(?:passw(?:or)?d|passphrase|secret|token|csrf|authorization|cookie|credential)"
#: Names whose values never reach a log, whoever passes them: `new_password`, `X-CSRF-Token`, `HTTP_COOKIE`. Ids of
#: tokens are no secrets.
_SECRET_NAME: Final = re.compile(rf"(?i){_WORD}(?!.*_ids?$)")
_NAME: Final = rf"{_WORD}(?!\w{{0,30}}_ids?\b)[\w-]{{0,30}}"
#: What secrets look like where no name tells, in messages and tracebacks: `kept` stays, the rest is hidden. Lengths
#: are bounded where a long text would otherwise take quadratic time.
_SECRET_TEXT: Final = re.compile(
    rf"""(?xis)
    (?: (\b[a-z][a-z0-9+.-]{{0,30}}://[^\s/:@"']{{0,200}}:) [^\s/"']{{1,500}} (?=@)       # the password in an address
      | (tw_) [A-Za-z0-9_-]{{16,}}                                                      # our API tokens
      | (\bbearer\s+) (?: [\w.~+/=-]{{16,}} | (?=\S*\d) [\w.~+/=-]{{8,}} )
      | (sign-in(?:\#|%23)) [A-Za-z0-9_-]+                                              # a link that signs in
      | (\bauthorization\s*:\s*) (?!["']) [^\r\n"']+                                     # headers, to their end
      | (\bcookie\s*:\s*) [^\r\n"'=]{{1,200}}=[^\r\n"']*
      | ({_NAME} \\*["']? \s*[=:]\s* b?(?P<quote>\\*["'])) (?: .*?(?<!\\)(?P=quote) | .* )
      | ({_NAME} \\*["']? \s*=\s*) (?! (?:None|True|False|null)\b ) [^\s&;,"')]+
      | ({_NAME} \\*["']? \s*:\s*)
        (?: [^\s&;,"'(){{}}\[\]]{{16,}} | (?=\S*\d) [^\s&;,"'(){{}}\[\]]{{6,}} )
    )
    """
)
#: Faster to look for than all of the above: most of what is logged has none of it.
_SUSPICIOUS: Final = re.compile("(?i)://|tw_|bearer|sign-in|pass|secret|token|csrf|authorization|cookie|credential")


def hide(text: str) -> str:
    """Return `text` without anything that is, or looks like, a secret."""
    for secret in _own_secrets():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return _SECRET_TEXT.sub(_hide_found, text) if _SUSPICIOUS.search(text) else text


def _hide_found(found: re.Match[str]) -> str:
    quote = found["quote"]
    kept = next(group for group in found.groups() if group)
    return f"{kept}{HIDDEN}{quote}" if quote else f"{kept}{HIDDEN}"


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


def _scrub(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take what is secret out of a finished event, and bound its size."""
    return {_name(name): value if name in _OURS else _clean(name, value) for name, value in event.items()}


# The same few names with every line.
_name = lru_cache(maxsize=1_000)(hide)


#: Written here and nowhere else; an exception that is still one is rendered, and looked over, later.
_OURS: Final = frozenset({"timestamp", "level", "logger", "process", "exc_info"})


def _clean(name: object, value: object, depth: int = 0) -> object:
    if value is None or isinstance(value, bool):
        return value
    if name is not None and _SECRET_NAME.search(str(name)):
        return HIDDEN
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        some = list(value.items())[:_LONGEST_LIST]
        return {hide(str(key)): _clean(key, each, depth + 1) for key, each in some}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_clean(None, each, depth + 1) for each in list(value)[:_LONGEST_LIST]]
    return _shorten(str(value))


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return hide(text)
    # Cut once more than needed: a secret that the first cut went through is behind the second.
    return f"{hide(text[: 2 * _LONGEST_TEXT])[:_LONGEST_TEXT]}… ({len(text)} characters)"


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Makes a line of every record, even of one that cannot be put into words."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - logging would print a traceback of several lines instead
            why = f"{type(error).__name__}: {_shorten(str(error))}"
            message = f"a line could not be put into words, of {record.pathname}:{record.lineno} ({why})"
            return super().format(logging.LogRecord(record.name, record.levelno, "", 0, message, None, None))


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
    ]

    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[add_process, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    sys.excepthook = log_uncaught
    threading.excepthook = lambda ended: log_uncaught(ended.exc_type, ended.exc_value, ended.exc_traceback)
    sys.unraisablehook = lambda lost: log_uncaught(lost.exc_type, lost.exc_value, lost.exc_traceback)
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


def line(logger: str, message: str) -> str:
    """Return the line that `logger` would write, for who cannot write it by `logging`, such as a signal handler."""
    record = logging.LogRecord(logger, logging.INFO, "", 0, message, None, None)
    return logging.getLogger().handlers[0].format(record)


def _rendering() -> list[Processor]:
    # Both leave out local variables, which the defaults show with every traceback: passwords and tokens among them.
    if get_settings().log_format == "json":
        in_full = ExceptionDictTransformer(show_locals=False, max_frames=_MOST_FRAMES)
        tracebacks = structlog.processors.ExceptionRenderer(lambda exc_info: in_full(exc_info)[:_MOST_CAUSES])
        return [tracebacks, _scrub, structlog.processors.JSONRenderer()]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=0,
        exception_formatter=structlog.dev.plain_traceback,
    )
    # The traceback becomes text only with the rest of the line.
    return [_scrub, console, _hide_in_line]


def _hide_in_line(_logger: WrappedLogger, _method: str, rendered: Any) -> str:
    return hide(rendered)


def log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None, **about: str
) -> None:
    """Log an exception that nobody caught; `sys.excepthook` and its like call this."""
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error or kind(), traceback)
        return
    exc_info: Any = (kind, error or kind(), traceback)
    structlog.get_logger(__name__).critical("uncaught exception", exc_info=exc_info, **about)
