"""Files that survive power loss: their bytes are fsynced, and the folder that names them is."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o600


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable (fsync(2): the file's own fsync does not)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """The folder and those above it that are missing, each durable in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def replace_file(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Writes the whole file or leaves what was there; durable when it returns."""
    with _draft(path, data, mode) as draft:
        draft.rename(path)
        sync_folder(path.parent)


def create_once(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """The same for whoever comes first; the file of another stays."""
    with _draft(path, data, mode) as draft:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        sync_folder(path.parent)


@contextlib.contextmanager
def _draft(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
