"""Log lines as text or JSON, with the request they belong to and without personal data.

The first guard is that nobody logs names, addresses or secrets. The second is here: the finished
line, traceback included, is searched for what looks like one.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, TextIO

from core.settings import Settings

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the HTTP request that is being answered; "" outside one."""

LINES_PER_MINUTE: Final = 60
"""Warnings and errors of one place in the code."""

CHATTY: Final = ("alembic.runtime.migration", "encore.access", "uvicorn.error")
QUIET: Final = (
    "asyncio",
    "boto3",
    "botocore",
    "urllib3",
    "s3transfer",
    "aioice",
    "aiortc",
    "alembic.runtime.plugins",
    "httpx",
)
"""Libraries whose INFO and DEBUG lines say nothing that ours don't, or hold URLs."""

_HEX: Final = re.compile(r"[0-9a-fA-F-]+")

_REDACTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # What the database says about a row: SQLAlchemy's parameters, PostgreSQL's DETAIL.
    (re.compile(r"\[parameters: .*"), "[parameters: <hidden>]"),
    (re.compile(r"(?m)(DETAIL: +|Failing row contains ).*"), r"\1<hidden>"),
    # What pydantic says about an input.
    (re.compile(r"input_value=.*?(?=, input_type=|\])"), "input_value=<hidden>"),
    (re.compile(r"(?<=://)[^/\s:@]+(:[^/\s@]*)?@"), "<credentials>@"),
    (re.compile(r"(?i)\b(bearer|basic) +[\w.~+/=-]+"), r"\1 <token>"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "<token>"),
    (re.compile(r"\b(e[a-z]|whsec)_[\w+/=-]{16,}"), "<token>"),
    (
        re.compile(r"(?i)\b(token|secret|password|signature|code|state)=(?!<)[^\s&'\"]+"),
        r"\1=<hidden>",
    ),
    (re.compile(r"[^\s@<>\"'=(\[,;:/]+@[^\s@<>\"'),;:/]+\.[A-Za-z]{2,}"), "<email>"),
)
_LONG: Final = re.compile(r"[\w-]{40,}", re.ASCII)


def redact(text: str) -> str:
    """The text without e-mail addresses, tokens, credentials and database values."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return _LONG.sub(_hide_unless_hex, text)


def _hide_unless_hex(match: re.Match[str]) -> str:
    """Digests and ids may be read; other words this long are secrets (capabilities, keys)."""
    word = match[0]
    readable = _HEX.fullmatch(word) or not any(c.isdigit() for c in word)
    return word if readable else "<token>"


def path_for_log(target: str) -> str:
    """A request target without its query string, and without capabilities in its path."""
    return redact(target.partition("?")[0])


class AccessFilter(logging.Filter):
    """Cuts the query string from uvicorn's access lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, target, version, status = record.args
            record.args = (client, method, path_for_log(str(target)), version, status)
        return True


class FloodFilter(logging.Filter):
    """Bounds the warnings and errors of each place in the code: what a stranger sends a thousand
    times a second fills no disk. The next line that passes tells how many were left out.
    """

    def __init__(
        self, *, per_minute: int = LINES_PER_MINUTE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._per_minute = per_minute
        self._clock = clock
        self._places: dict[tuple[str, int], tuple[float, int]] = {}
        """By file and line: when its minute began, and how many lines it has had."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        place, now = (record.pathname, record.lineno), self._clock()
        began, lines = self._places.get(place, (now, 0))
        left_out = max(0, lines - self._per_minute)
        if now - began >= 60:
            began, lines = now, 0
        self._places[place] = began, lines + 1
        if lines == 0 and left_out:
            record.msg = f"{record.getMessage()} ({left_out} lines like this were left out)"
            record.args = None
        return lines < self._per_minute


class TextFormatter(logging.Formatter):
    """One line a record; a traceback follows on lines of its own."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        request = request_id.get()
        line = (
            f"{_at(record)} {record.levelname:<7} {self._process} {record.name}"
            f"{f' [{request}]' if request else ''} {message}"
        )
        trace = _traceback(self, record)
        return redact(f"{line}\n{trace}" if trace else line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, process, logger, message, request_id?, traceback?"""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _at(record),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "request_id": request_id.get(),
            "traceback": redact(_traceback(self, record)),
        }
        return json.dumps({name: value for name, value in line.items() if value})


def _at(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    trace = formatter.formatException(record.exc_info) if record.exc_info else ""
    return trace or (record.exc_text or "")


def configure_logging(settings: Settings, *, process: str, stream: TextIO | None = None) -> None:
    """Sends all log lines of this process to `stream` (stderr); may be called again."""
    formatter = JsonFormatter if settings.log_format == "json" else TextFormatter
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(process))
    handler.addFilter(FloodFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    if settings.log_format == "text" and settings.log_level != "DEBUG":
        # A person reads along: what the servers say of themselves and of each request is noise.
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(known, AccessFilter) for known in access.filters):
        access.addFilter(AccessFilter())
    logging.captureWarnings(capture=True)
