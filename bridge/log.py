"""Structured logs to standard error, free of secrets.

One line per event; fields are given as `extra`. Everything that leaves through the handler is redacted: configured
secrets by value, and what looks like a token by its form. Foreign libraries are kept at warning even when we log at
debug, since they would log whole messages.
"""

import json
import logging
import re
import sys
import threading
import traceback
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import quote, quote_plus

__all__ = ["configure", "configured", "hush_libraries", "one_line", "redact", "redact_for", "redacted", "set_level"]

_MASK = "**********"
_FOREIGN = ("SignalRCoreClient", "aiohttp", "aiokafka", "amqtt", "asyncio", "kafka", "paho", "transitions")
_FORMS = re.compile(
    r"(?P<keep>\b(?:Bearer|Basic)\s+|[?&](?:access_token|id)=|\baccess_?token\W{1,4}(?=[\w-]{8})|://[^/\s:@]*:(?=[^/\s@]+@))"
    r"[^\s&\"'@,;]+"
    r"|\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Redaction:
    """The known secrets: those of the configuration for good, those that somebody has now, and what is recent."""

    def __init__(self) -> None:
        self._fixed: set[str] = set()
        self._held: dict[str, frozenset[str]] = {}
        self._recent: deque[str] = deque(maxlen=16)
        self._pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str], *, recent: bool = False) -> None:
        for secret in filter(None, secrets):
            if recent and secret not in self._recent:
                self._recent.append(secret)
            elif not recent:
                self._fixed.add(secret)
        held = (secret for secrets in self._held.values() for secret in secrets)
        spellings = {spelling for secret in (*self._fixed, *held, *self._recent) for spelling in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def replace(self, holder: str, secrets: Iterable[str]) -> None:
        before, now = self._held.get(holder, frozenset()), frozenset(filter(None, secrets))
        if before != now:
            self._held[holder] = now
            self.add(before - now, recent=True)

    def apply(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(_MASK, text)
        return _FORMS.sub(lambda match: f"{match['keep'] or ''}{_MASK}", text)


def _spellings(secret: str) -> set[str]:
    """Give the ways in which a secret is written inside other text: quoted, escaped, encoded."""
    data = secret.encode(errors="surrogateescape")
    return {
        secret,
        repr(secret)[1:-1],
        repr(data)[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(data, safe=""),
        quote_plus(data),
        b64encode(data).decode(),
    }


_redaction = _Redaction()


def redact(secret: str) -> None:
    """Keep a secret obtained at run time out of all logs from now on; only the latest few are remembered."""
    _redaction.add([secret], recent=True)


def redact_for(holder: str, secrets: Iterable[str]) -> None:
    """Keep what somebody has now out of all logs; what the same one had before counts as obtained at run time."""
    _redaction.replace(holder, secrets)


def redacted(text: str) -> str:
    """Take every known secret, and all that looks like a token, out of a text."""
    return _redaction.apply(text)


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["auto", "json", "console"] = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send all logs of the process to standard error, in one form, without any of these secrets.

    Also takes over what Python itself would print: warnings and what a thread or a destructor lets escape.
    """
    _redaction.add(secrets)
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    handler = _Handler(stream)
    handler.setFormatter(_ConsoleFormatter() if console else _JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.CRITICAL + 1)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_failed
    sys.unraisablehook = _unraisable


def hush_libraries() -> None:
    """Log nothing of foreign libraries from now on: for a command that says itself what has failed, and why."""
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def set_level(level: str) -> None:
    """Log what is at least as severe as this, of what is our own."""
    logging.getLogger().setLevel(level.upper())


def configured() -> bool:
    """Tell whether the log is set up, so that what must be said can be said in it."""
    return any(isinstance(handler, _Handler) for handler in logging.getLogger().handlers)


class _Handler(logging.StreamHandler[TextIO]):
    """A handler that does not print the arguments of a record that it could not write, as the standard one does."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is that of the standard library
        try:
            self.stream.write(f"a log record of {record.name}:{record.lineno} could not be written\n")
        except (OSError, ValueError):  # standard error itself is gone: there is nobody left to tell
            return


class _ConsoleFormatter(logging.Formatter):
    """One line for a person: time, level, logger, text, fields; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={one_line(str(value))}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname.lower():<7} {record.name}: {one_line(_message(record))}{fields}"
        trace = _trace(record)
        return f"{line}\n{trace}" if trace else line


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; the fields stand beside time, level, logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        entry = _fields(record)
        entry |= {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        trace = _trace(record)
        if trace:
            entry["exception"] = trace
        return json.dumps({key: entry[key] for key in sorted(entry, key=_place)}, ensure_ascii=False)


def _place(key: str) -> int:
    first = ("time", "level", "logger", "message")
    return first.index(key) if key in first else len(first)


def _message(record: logging.LogRecord) -> str:
    return redacted(record.getMessage())


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: _plain(value) for name, value in vars(record).items() if name not in _STANDARD}


def _plain(value: object) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redacted(value)
        case Mapping():
            return {redacted(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return redacted(str(value))


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1] is not None:
        return redacted("".join(traceback.format_exception(record.exc_info[1])).rstrip())
    return redacted(record.exc_text or record.stack_info or "")


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def one_line(text: str) -> str:
    """Escape what would start a new line or speak to the terminal: foreign text can hold anything."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        _escaped("a thread", type(failure.exc_value), failure.exc_value, failure.exc_traceback)


def _unraisable(failure: "sys.UnraisableHookArgs") -> None:
    if failure.exc_value is not None:
        _escaped("a destructor", failure.exc_type, failure.exc_value, failure.exc_traceback)


def _escaped(origin: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).error("%s let an exception escape", origin, exc_info=(kind, error, trace))
