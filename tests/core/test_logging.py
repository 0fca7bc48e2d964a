import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.models import Platform
from core.db import Database
from core.ids import uuid7
from core.logging import (
    AccessFilter,
    FloodFilter,
    configure_logging,
    path_for_log,
    redact,
    request_id,
)
from core.settings import Settings

SECRETS = [
    "ada@example.org",
    "Ada.Lovelace+rooms@mail.example.co.uk",
    "es_aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ",
    "ek_0123456789abcdefABCDEF_-",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "Zm9vYmFyLWNhcGFiaWxpdHktMTIzNDU2Nzg5MDEyMzQ1Njc4",
]
HARMLESS = [
    "room 0190163d-8694-739b-aea5-966c26f8ad91 went live",
    "sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "GET /v1/rooms/{room_id}/participants 200 12 ms",
    "listen connection lost: ConnectionResetError",
    "2026-11-21T21:20:00.123Z",
    "test_a_function_whose_name_is_long_but_holds_no_digits_at_all",
    'File "core/db.py", line 12, in transaction',
]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the root logger writes; pytest's own handlers are put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type] # mypy's plugin wants kinds


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("frame", ["{}", "for {}.", "'{}'", "to=<{}>", "x={}&y=1", "/live/{}/a"])
def test_secrets_and_addresses_do_not_pass(secret: str, frame: str) -> None:
    assert secret not in redact(frame.format(secret))


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://encore:hunter22@127.0.0.1:5432/encore", "hunter22"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("[parameters: ('Ada Lovelace', 3)]", "Ada"),
        ("DETAIL:  Key (display_name)=(Ada Lovelace) already exists.", "Ada"),
        ("DETAIL:  Failing row contains (1, Ada Lovelace).", "Ada"),
        ("input_value='Ada', input_type=str]", "Ada"),
        ("GET /verify?token=short", "short"),
    ],
)
def test_values_from_elsewhere_do_not_pass(text: str, hidden: str) -> None:
    assert hidden not in redact(text)


@given(st.text())
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_a_text_line_names_time_process_request_and_logger(lines: io.StringIO) -> None:
    configure_logging(settings(), process="web", stream=lines)
    token = request_id.set("abc12345")
    logging.getLogger("rooms.service").info("room %s went live", "42")
    request_id.reset(token)
    at, rest = lines.getvalue().split(" ", 1)
    assert at.endswith("Z")
    assert rest == "INFO    web rooms.service [abc12345] room 42 went live\n"


def test_a_line_break_in_a_message_forges_no_line(lines: io.StringIO) -> None:
    configure_logging(settings(), process="web", stream=lines)
    logging.getLogger("a").info("one\nERROR two")
    assert lines.getvalue().count("\n") == 1


def test_a_json_line_is_an_object_with_its_traceback(lines: io.StringIO) -> None:
    configure_logging(settings(log_format="json"), process="work", stream=lines)
    try:
        raise ValueError("mail to ada@example.org failed")
    except ValueError:
        logging.getLogger("core.mail").exception("sending failed")
    line = json.loads(lines.getvalue())
    assert line["process"] == "work"
    assert line["level"] == "ERROR"
    assert line["message"] == "sending failed"
    assert "mail to <email> failed" in line["traceback"]
    assert "request_id" not in line


async def test_a_violated_constraint_does_not_tell_the_row(
    database: Database, lines: io.StringIO
) -> None:
    configure_logging(settings(), process="web", stream=lines)
    name = f"Ada {uuid7().hex}"

    async def violate() -> None:
        async with database.transaction() as session:
            session.add_all([Platform(slug=name, name=name), Platform(slug=name, name=name)])

    try:
        await violate()
    except Exception:
        logging.getLogger("a").exception("failed")
    assert "duplicate key" in lines.getvalue()
    assert name not in lines.getvalue()


def test_configuring_again_does_not_double_lines(lines: io.StringIO) -> None:
    for _ in range(2):
        configure_logging(settings(), process="web", stream=lines)
    logging.getLogger("a").info("once")
    assert lines.getvalue().count("once") == 1


def test_uvicorns_access_line_has_no_query_and_no_capability(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logging(settings(), process="edge", stream=lines)
    access = logging.getLogger("uvicorn.access")
    # A server without access lines, which an earlier test may have run, cuts the logger off,
    # and one that is to say little changes its level.
    monkeypatch.setattr(access, "propagate", True)
    access.setLevel(logging.NOTSET)
    assert sum(isinstance(f, AccessFilter) for f in access.filters) == 1
    target = f"/live/{SECRETS[-1]}/mix.m3u8?token=1"
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", target, "1.1", 200)
    assert lines.getvalue().endswith('127.0.0.1:1 - "GET /live/<token>/mix.m3u8 HTTP/1.1" 200\n')


def test_a_path_is_cut_before_its_query() -> None:
    assert path_for_log("/v1/rooms?after=1") == "/v1/rooms"


def test_warnings_of_the_interpreter_become_lines(lines: io.StringIO, tmp_path: Path) -> None:
    configure_logging(settings(), process="web", stream=lines)
    record = logging.LogRecord("py.warnings", logging.WARNING, str(tmp_path), 1, "old", (), None)
    logging.getLogger("py.warnings").handle(record)
    assert "py.warnings old" in lines.getvalue()
    assert logging.getLogger().handlers[0].stream is not sys.stdout  # type: ignore[attr-defined]


def test_a_flood_of_warnings_is_cut_and_counted(lines: io.StringIO) -> None:
    now = 0.0
    configure_logging(settings(), process="receive", stream=lines)
    (handler,) = logging.getLogger().handlers
    handler.filters[:] = [FloodFilter(per_minute=3, clock=lambda: now)]

    def knock() -> None:
        logging.getLogger("x").warning("a stranger knocks, %d", 7)

    for _ in range(100):
        knock()
    logging.getLogger("x").warning("another place")
    for _ in range(100):
        logging.getLogger("x").info("said as often as it happens")
    now = 61.0
    knock()
    text = lines.getvalue()
    assert text.count("a stranger knocks, 7") == 4
    assert text.count("another place") == 1
    assert text.count("as often") == 100
    assert "a stranger knocks, 7 (97 lines like this were left out)" in text
