"""Files that are whole or not there, and how they survive power loss: their bytes are fsynced,
and so is the folder that names them."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o600


def sync(path: Path) -> None:
    """Makes a file's bytes durable, or the names in a folder: a file's own fsync does not that."""
    descriptor = os.open(path, os.O_RDONLY)
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
    sync(folder.parent)


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Writes the whole file (mode 0600) or leaves what was there; durable when it returns.

    Not `durable`, it waits for no disk: it survives the process, and may not survive the machine.
    """
    with _draft(path, data, durable=durable) as draft:
        draft.rename(path)
        if durable:
            sync(path.parent)


def create_once(path: Path, data: bytes) -> None:
    """The same, durable, for whoever comes first; the file of another stays."""
    with _draft(path, data, durable=True) as draft:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        sync(path.parent)


@contextlib.contextmanager
def _draft(path: Path, data: bytes, *, durable: bool) -> Iterator[Path]:
    """A file of another name in the same folder, which is gone afterwards if it still has it."""
    if durable:
        make_folder(path.parent)
    else:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
