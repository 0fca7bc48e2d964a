import os
import socket
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.settings import Settings
from web.database import with_database
from web.shared import DatabaseUrlMissing
from web.supervise import (
    AlreadyRunning,
    PortTaken,
    check_ports,
    data_folder,
    environment,
    runs_here,
)


def test_children_see_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url=SecretStr("postgresql://u:p@h/d"),
        web_port=0,
        log_format="json",
        secret_key=SecretStr('with "quotes"'),
    )
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_what_is_inherited_is_not_passed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_WEB_PORT", "1234")
    assert environment(Settings()) == {}


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_named_before_anything_starts(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            taken.listen()
            settings = Settings(web_port=0, edge_port=0, ingest_port=port, ingest_udp_port=0)
            variable = "ENCORE_INGEST_PORT"
        else:
            settings = Settings(web_port=0, edge_port=0, ingest_port=0, ingest_udp_port=port)
            variable = "ENCORE_INGEST_UDP_PORT"
        with pytest.raises(PortTaken, match=f"{port}.*set {variable} "):
            check_ports(settings, ("web", "edge", "receive"))


def test_one_supervisor_over_one_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with data_folder(settings, ("web", "edge")):
        with data_folder(settings, ("work",)):
            pass
        with pytest.raises(AlreadyRunning), data_folder(settings, ("edge",)):
            pass
    with data_folder(settings, ("edge",)):
        pass


async def test_only_up_brings_a_database(tmp_path: Path) -> None:
    assert "DATABASE_URL" not in os.environ
    with pytest.raises(DatabaseUrlMissing, match="DATABASE_URL"):
        async with with_database(Settings(data_dir=tmp_path), embed=False):
            pass


def test_what_was_said_is_for_one_account_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with data_folder(settings, ("web",)):
        assert runs_here(settings, "web")
        assert not runs_here(settings, "edge")
    assert not runs_here(settings, "web")
    for name in ("journal", "spool", "objects", "sessions"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o700
