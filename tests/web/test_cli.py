"""The command as a user runs it: one line and exit code 2 for a refusal, never a trace."""

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir

import pytest

from core import VERSION
from core.db import Database
from core.ids import uuid7
from core.migrate import upgrade
from core.settings import Settings
from ingest.fleet import beat
from web.later import LATER, imported


def encore(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    unset = {k: v for k, v in os.environ.items() if not k.startswith(("ENCORE_", "DATABASE_"))}
    own = {
        f"ENCORE_{name}_PORT": "0" for name in ("WEB", "EDGE", "INGEST", "INGEST_UDP", "SANDBOX")
    }
    own |= {"ENCORE_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "web.cli", *arguments],
        env={**unset, **own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    done = encore(tmp_path, "--help")
    assert done.returncode == 0
    commands = ("up", "serve", "ingest", "work", "db", "recording", "settings", "doctor", "workers",
        "transcript", "transcribe", "models", "money", "sandbox")  # fmt: skip
    for command in commands:
        assert f" {command} " in done.stdout


def test_help_says_of_a_command_what_that_says_itself() -> None:
    for name, (_, said) in LATER.items():
        own = " ".join((imported(name).help or "").split())
        assert own.startswith(said), name


LIGHT = """
import sys
heavy = {{"alembic", "asyncpg", "av", "boto3", "fastapi", "joserfc", "numpy", "rich", "sqlalchemy"}}
for module, may in {table}:
    __import__(module)
    assert not (found := heavy.intersection(sys.modules) - set(may)), (module, found)
"""


def test_nobody_waits_for_what_he_does_not_use() -> None:
    """A refusal for a database's driver, or each process of `encore up` for a web framework."""
    rows = {"asyncpg", "sqlalchemy"}
    table = [
        ("web.cli", set[str]()),
        ("web.processes_cli", set[str]()),
        ("replay.edge", rows),
        ("ingest.package", rows | {"av", "numpy"}),
        ("transcripts.captions", rows | {"av", "numpy"}),
    ]
    worker = [("workers.run", rows | {"rich"}), ("workers.transcribe", rows | {"rich"})]
    for part in (table, worker):
        subprocess.run([sys.executable, "-c", LIGHT.format(table=part)], check=True, timeout=60)


def test_settings_mask_secrets(tmp_path: Path) -> None:
    done = encore(
        tmp_path,
        "settings",
        DATABASE_URL="postgresql://u:hunter2@h/d",
        ENCORE_SECRET_KEY="correct horse",
        ENCORE_S3_ENDPOINT_URL="https://u:hunter2@store.example:9000",
        ENCORE_WEB_PORT="8123",
    )
    assert done.returncode == 0
    assert "hunter2" not in done.stdout
    assert "correct horse" not in done.stdout
    assert "8123" in done.stdout
    assert "ENCORE_DATABASE_URL" in done.stdout
    assert "()" not in done.stdout


SHARED = {"ENCORE_SECRET_KEY": "s" * 32, "ENCORE_STORAGE_URL": f"file://{gettempdir()}"}


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["up"], {"ENCORE_WEB_PORT": "ninety"}, "ENCORE_WEB_PORT"),
        (["up"], {"ENCORE_STORAGE_URL": "ftp://x"}, "storage"),
        (
            ["up"],
            {"ENCORE_STORAGE_URL": "file:///nowhere/objects"},
            "/nowhere/objects is not there",
        ),
        (["up"], {"ENCORE_DATA_DIR": "/dev/null/data"}, "ENCORE_DATA_DIR"),
        (["up"], {"ENCORE_DATA_DIR": "/dev/null"}, "ENCORE_DATA_DIR"),
        (["up"], {"ENCORE_OIDC": "{bad"}, "oidc"),
        (["up"], {"ENCORE_LOG_LEVEL": "LOUD"}, "ENCORE_LOG_LEVEL"),
        (["serve"], {}, "DATABASE_URL"),
        (["work"], {}, "DATABASE_URL"),
        (["ingest"], {}, "DATABASE_URL"),
        (["ingest"], {"DATABASE_URL": "postgresql://u@h/d"}, "ENCORE_SECRET_KEY and ENCORE_STOR"),
        (["serve"], {**SHARED, "ENCORE_SECRET_KEY": "short", "DATABASE_URL": "x"}, "SECRET_KEY"),
        (
            ["work"],
            {**SHARED, "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"},
            "DATABASE_URL",
        ),
        (["db", "upgrade"], {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}, "DATABASE_URL"),
        (["admin", "create", "nobody", "--password", "x" * 20], {}, "email"),
        (["admin", "create", "you@example.org"], {}, "--password"),
        (["nonsense"], {}, "nonsense"),
        (["work", "--queues", "default,mail"], {}, "queues are default, transcribe"),
        (["transcript", "rerun", "nope"], {}, "not the ID of a recording"),
        (["up", "--bad"], {}, "--bad"),
        (["workers", "drain", "nope"], {}, "'ID': must be a valid UUID\n"),
        (["up"], {"ENCORE_EDGE_PORT": "x"}, "ENCORE_EDGE_PORT: must be a valid integer\n"),
    ],
)
def test_a_refusal_is_one_line(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    done = encore(tmp_path, *arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert says.lower() in done.stderr.lower()
    assert "hunter2" not in done.stderr


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = encore(tmp_path, "up", ENCORE_WEB_PORT=port)
    assert done.returncode == 2
    assert port in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_doctor_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free = dict.fromkeys(
            (
                "ENCORE_WEB_PORT",
                "ENCORE_INGEST_PORT",
                "ENCORE_INGEST_UDP_PORT",
                "ENCORE_SANDBOX_PORT",
            ),
            "0",
        )
        done = encore(tmp_path, "doctor", ENCORE_EDGE_PORT=str(taken.getsockname()[1]), **free)
    assert done.returncode == 1
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert lines["ports"].startswith("FIX")
    assert "ENCORE_EDGE_PORT" in lines["ports"]
    for subject in ("python", "disk", "database", "storage", "codecs", "keys", "model", "udp"):
        assert subject in lines
    assert "PostgreSQL" in lines["database"]


def test_workers_are_listed_and_unknown_ones_refused(tmp_path: Path, empty_url: str) -> None:
    url = {"DATABASE_URL": empty_url}
    refused = encore(tmp_path, "workers", "drain", "0199c1d2-0000-7000-8000-000000000000", **url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("encore: There is no worker 0199c1d2")
    listed = encore(tmp_path, "workers", "list", **url)
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.split()[:3] == ["id", "state", "rooms"]


async def test_a_worker_is_listed_whole_drained_and_taken_back(
    tmp_path: Path, empty_url: str
) -> None:
    await upgrade(empty_url)
    database, worker = Database(empty_url), uuid7()
    address = f"https://{'long-' * 8}name.ingest.example.org"
    async with database.transaction() as session:
        await beat(session, worker, address, alive_for=timedelta(minutes=10))
    await database.close()
    narrow = {"DATABASE_URL": empty_url, "COLUMNS": "80"}
    listed = encore(tmp_path, "workers", "list", **narrow).stdout
    assert str(worker) in listed
    assert address in listed
    drained = encore(tmp_path, "workers", "drain", str(worker), **narrow)
    assert "takes no more rooms; it has 0 rooms" in drained.stdout
    assert "No other worker takes rooms" in drained.stdout
    moved = encore(tmp_path, "workers", "drain", str(worker), "--move", **narrow)
    assert "takes no more rooms; it hands over 0 rooms now" in moved.stdout
    (shown,) = json.loads(encore(tmp_path, "workers", "list", "--json", **narrow).stdout)
    assert (shown["id"], shown["state"]) == (str(worker), "moving")
    taken_back = encore(tmp_path, "workers", "undrain", str(worker), **narrow)
    assert "takes rooms again; it has 0 rooms" in taken_back.stdout


def test_the_version(tmp_path: Path) -> None:
    assert encore(tmp_path, "--version").stdout == f"encore {VERSION}\n"


def test_every_setting_is_named_and_explained(tmp_path: Path) -> None:
    done = encore(tmp_path, "settings", COLUMNS="80")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"ENCORE_{name.upper()} " in done.stdout


def test_a_refusal_is_plain_text(tmp_path: Path) -> None:
    """Whatever a file is called."""
    done = encore(tmp_path, "transcribe", "\x1b[2Jno\nwhere.wav")
    assert done.returncode == 2
    assert done.stderr == "encore:  [2Jno where.wav cannot be read (No such file or directory).\n"
