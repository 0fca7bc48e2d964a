"""The launcher against real servers, real kills and folders that are closed to `nobody`."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from core import postgres_account
from core.postgres import (
    DEAD_PID,
    EmbeddedPostgres,
    PostgresFailed,
    _reason,
    memory_bytes,
    shared_megabytes,
)
from core.postgres_account import ELSEWHERE, binaries, choose_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")

MakeServer = Callable[..., EmbeddedPostgres]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own, which is closed to `nobody`."""
    path = Path(tempfile.gettempdir()) / f"encore-pg-{os.getpid()}-{os.urandom(4).hex()}"
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(folder: Path) -> Iterator[MakeServer]:
    """Launchers over `folder` or one below it; the servers end with the test."""
    made: list[EmbeddedPostgres] = []

    def make(below: str = "postgres", *, namespaces: bool = True) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(folder / below, namespaces=namespaces))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def pid_of(server: EmbeddedPostgres) -> int:
    return int((server.cluster / "postmaster.pid").read_text().splitlines()[0])


def closed_to_others(folder: Path) -> None:
    folder.mkdir(mode=0o700)


def open_to_others(folder: Path) -> None:
    folder.chmod(0o755)


def spawn(command: list[str], **popen: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **popen)


async def query(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.mark.slow
async def test_a_server_is_started_adopted_and_stopped(make_server: MakeServer) -> None:
    first, second = make_server(), make_server()
    url = first.start()
    pid = pid_of(first)
    assert first.start() == url
    assert second.start() == url
    assert pid_of(second) == pid
    assert await query(url, "select current_setting('listen_addresses')") == "127.0.0.1"
    assert await query(url, "select 'perché' ~ '^\\w+$'") is True
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(url.replace("encore:", "encore:x"), "select 1")
    second.stop()
    assert first.running_port() is None
    first.stop()
    assert first.start() == url, "the port stays"


def test_its_log_is_for_its_owner_alone(make_server: MakeServer) -> None:
    """It quotes rows and statements."""
    server = make_server()
    server.folder.mkdir(parents=True)
    server.log_file.touch(mode=0o644)
    server.start()
    assert server.log_file.stat().st_mode & 0o077 == 0


@pytest.mark.slow
async def test_launchers_that_start_at_once_share_a_server(make_server: MakeServer) -> None:
    urls: list[str] = []
    servers = [make_server() for _ in range(3)]
    threads = [threading.Thread(target=lambda s=s: urls.append(s.start())) for s in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 3
    assert len(set(urls)) == 1


@pytest.mark.slow
async def test_the_server_of_a_killed_launcher_is_adopted(
    make_server: MakeServer, folder: Path
) -> None:
    program = (
        "import sys, time; from pathlib import Path; from core.postgres import EmbeddedPostgres\n"
        "print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True); time.sleep(60)"
    )
    launcher = spawn([sys.executable, "-c", program, str(folder / "postgres")])
    assert launcher.stdout is not None
    url = launcher.stdout.readline().strip()
    launcher.kill()
    launcher.communicate()
    server = make_server()
    pid = pid_of(server)
    assert server.start() == url
    assert pid_of(server) == pid
    server.stop()
    assert server.running_port() is None


@pytest.mark.slow
async def test_a_killed_server_comes_back_with_what_was_committed(make_server: MakeServer) -> None:
    server = make_server()
    url = server.start()
    await query(url, "create table kept as select 42 as number")
    backend = await asyncpg.connect(url)
    killed = pid_of(server)
    os.kill(killed, signal.SIGKILL)
    assert server.start() == url
    assert pid_of(server) != killed
    assert await query(url, "select number from kept") == 42
    backend.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("content", ["reused", "", "nonsense\n", "12"])
async def test_a_stale_pid_file_fools_nobody(make_server: MakeServer, content: str) -> None:
    """`reused`: the number of the killed server now belongs to a process of the same user."""
    server = make_server()
    url = server.start()
    file = server.cluster / "postmaster.pid"
    lines = file.read_text().splitlines()
    os.kill(pid_of(server), signal.SIGKILL)
    stranger = spawn(["/bin/sleep", "60"], **server._account.popen)
    lines[0] = str(stranger.pid)
    file.write_text("\n".join(lines) + "\n" if content == "reused" else content)
    try:
        assert server.running_port() is None
        server.stop()
        assert server.start() == url
        server.stop()
        assert stranger.poll() is None, "somebody else was stopped"
    finally:
        stranger.kill()
        stranger.communicate()


@pytest.mark.slow
async def test_a_kill_while_the_cluster_is_made_leaves_no_half_of_one(
    make_server: MakeServer,
) -> None:
    server = make_server()
    half = server.folder / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert await query(server.start(), "select 1") == 1


@pytest.mark.slow
async def test_a_taken_port_is_replaced(make_server: MakeServer) -> None:
    server, other = make_server("a"), make_server("b")
    other.start()
    server.folder.mkdir()
    (server.folder / "port").write_text(str(other.running_port()))
    assert await query(server.start(), "select 1") == 1
    assert server.running_port() != other.running_port()


@pytest.mark.slow
@as_root
async def test_a_home_that_is_closed_to_nobody_is_used_as_somebody(
    make_server: MakeServer, folder: Path
) -> None:
    if not postgres_account._works([*postgres_account.NAMESPACE, "true"]):
        pytest.skip("user namespaces are forbidden here")
    closed_to_others(folder)
    server = make_server("home/postgres")
    assert await query(server.start(), "select 1") == 1
    assert server.cluster.is_relative_to(folder)
    os.kill(pid_of(server), signal.SIGKILL)
    assert await query(server.start(), "select 1") == 1
    server.stop()
    open_to_others(folder)
    opened = make_server("home/postgres")
    assert await query(opened.start(), "select 1") == 1
    assert opened.cluster.stat().st_uid != 0, "an opened home is used by nobody again"


@pytest.mark.slow
@as_root
async def test_without_namespaces_another_folder_is_used_and_remembered(
    make_server: MakeServer, folder: Path
) -> None:
    closed_to_others(folder)
    server = make_server("home/postgres", namespaces=False)
    url = server.start()
    try:
        assert not server.cluster.is_relative_to(folder)
        assert (server.folder / ELSEWHERE).read_text() == str(server.cluster.parent)
        again = make_server("home/postgres")
        assert again.start() == url
        again.stop()
    finally:
        server.stop()
        shutil.rmtree(server.cluster.parent)


@as_root
def test_programs_that_nobody_may_run_are_copied(tmp_path: Path) -> None:
    """Out of a home of mode 0700, where no user namespace can be had: a container's root."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = binaries().parents[1]
    for part in package.parent.glob(f"{package.name}*"):
        shutil.copytree(part, closed / part.name, symlinks=True)
    programs = closed / binaries().relative_to(package.parent)
    other = Path(tempfile.mkdtemp(prefix="encore-elsewhere-"))
    other.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ELSEWHERE).write_text(str(other))
    try:
        account = postgres_account._elsewhere(home, programs)
        assert account.programs.is_relative_to(other)
        assert postgres_account._can_run(account)
        assert postgres_account._elsewhere(home, programs).programs == account.programs
    finally:
        shutil.rmtree(other)


@pytest.mark.parametrize(
    ("memory", "megabytes"), [(0, 128), (2**30, 256), (4 * 2**30, 1024), (2**40, 1024)]
)
def test_a_quarter_of_the_memory_is_shared(memory: int, megabytes: int) -> None:
    assert shared_megabytes(memory) == megabytes


def test_a_container_has_less_memory(tmp_path: Path) -> None:
    limit, machine = tmp_path / "memory.max", memory_bytes(tmp_path / "none")
    limit.write_text("max\n")
    assert memory_bytes(limit) == machine > 2**20
    limit.write_text("1048576\n")
    assert memory_bytes(limit) == 2**20


@pytest.mark.slow
def test_a_lost_password_is_named(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.stop()
    server.cluster.with_name("password").unlink()
    with pytest.raises(PostgresFailed, match=r"password is missing"):
        server.start()


@pytest.mark.slow
def test_a_server_that_gives_up_says_why_at_once(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.stop()
    (server.cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresFailed, match="another major version"):
        server.start()


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    folder.write_text("a file")
    try:
        with pytest.raises(PostgresFailed, match=r"File exists|Not a directory"):
            EmbeddedPostgres(folder / "postgres").start()
    finally:
        folder.unlink()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("initdb: could not write: No space left on device", "the disk that holds /d is full"),
        ("[Errno 30] Read-only file system: '/d'", "the disk that holds /d is read-only"),
        ("something new", "something new"),
    ],
)
def test_known_failures_say_what_to_do(words: str, reason: str) -> None:
    assert _reason(words, Path("/d/cluster")) == reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root becomes somebody else")
def test_anybody_else_is_himself(tmp_path: Path) -> None:
    account = choose_account(tmp_path)
    assert (account.prefix, account.popen) == ((), {})


def test_no_process_has_the_dead_pid() -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(DEAD_PID, 0)
