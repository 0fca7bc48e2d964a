"""Objects as files below one folder: durable when `put` returns, created once, never half there."""

import asyncio
import contextlib
import errno
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

from core.durable import make_folder, sync
from core.storage import (
    CHUNK_BYTES,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StoreUnavailable,
    check_key,
    folder_prefix,
)

THREADS = 8
DRAFTS = ".drafts"
DRAFT_LIFE_SECONDS = 24 * 3600

T = TypeVar("T")


class FolderStore:
    """An ObjectStore over a local file system that knows hard links.

    The first put makes the folder, unless not `makes_root`: then somebody else is to bring it,
    and a disk that is not mounted is an outage, not an empty store. For readers it always is.
    """

    def __init__(self, root: Path, *, makes_root: bool = True) -> None:
        self.root = root
        self._makes_root = makes_root
        self._drafts = root / DRAFTS
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="folder-store")
        with _refusals():
            self._sweep_drafts()

    def check(self) -> None:
        """Raises StoreUnavailable if the folder is not there."""
        if not self.root.is_dir():
            raise StoreUnavailable("The folder of the object store is not there")

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        del content_type  # a file has none; the reader knows it from the key
        await self._run(partial(self._create, key, lambda draft: draft.write_bytes(data)))

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        del content_type
        await self._run(partial(self._create, key, partial(shutil.copyfile, path)))

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return await self._run(partial(self._read, key, start, end))

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        file = await self._run(partial(self._open, key, start))
        try:
            left = _length(start, end)
            while chunk := await self._run(partial(file.read, min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    async def head(self, key: str) -> ObjectInfo:
        return await self._run(partial(self._stat, key))

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        waiting = [folder_prefix(prefix)]
        while waiting:
            name = waiting.pop()
            if name and not name.endswith("/"):
                with contextlib.suppress(ObjectMissing):
                    yield await self.head(name)
                continue
            waiting += reversed(await self._run(partial(self._entries, name)))

    async def delete(self, key: str) -> None:
        await self._run(partial(self._remove, key))

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(self._refusing, work))

    def _refusing(self, work: Callable[[], T]) -> T:
        try:
            with _refusals():
                return work()
        except ObjectMissing:
            self.check()
            raise

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _create(self, key: str, write: Callable[[Path], object]) -> None:
        target = self._path(key)
        if not self._makes_root:
            self.check()
        self._drafts.mkdir(parents=self._makes_root, exist_ok=True)
        draft = self._drafts / uuid4().hex
        try:
            write(draft)
            sync(draft)
            try:
                make_folder(target.parent)
                os.link(draft, target)
            except FileExistsError:  # also a folder's name that an object has
                raise ObjectExists from None
        finally:
            draft.unlink(missing_ok=True)
        sync(target.parent)

    def _open(self, key: str, start: int) -> BinaryIO:
        file = self._path(key).open("rb")
        file.seek(start)
        return file

    def _read(self, key: str, start: int, end: int | None) -> bytes:
        with self._open(key, start) as file:
            return file.read(-1 if end is None else _length(start, end))

    def _stat(self, key: str) -> ObjectInfo:
        path = self._path(key)
        if not path.is_file():
            raise ObjectMissing
        return ObjectInfo(key, path.stat().st_size)

    def _entries(self, folder: str) -> Sequence[str]:
        """Names below a folder, folders with a slash: so sorted, they are in key order."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
            return sorted(
                f"{folder}{entry.name}/" if entry.is_dir() else f"{folder}{entry.name}"
                for entry in entries
                if not entry.name.startswith(".")
            )
        self.check()
        return []

    def _remove(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self.check()
            return
        sync(path.parent)

    def _sweep_drafts(self) -> None:
        """Drafts of writers that were killed; a living writer's is younger."""
        oldest = time.time() - DRAFT_LIFE_SECONDS
        for draft in self._drafts.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if draft.stat().st_mtime < oldest:
                    draft.unlink()


def _length(start: int, end: int | None) -> int:
    """Bytes still to read; without an end, more than any file has."""
    return sys.maxsize if end is None else max(0, end - start)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ObjectMissing from None
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreUnavailable("The disk of the object store is full") from error
        name = errno.errorcode.get(error.errno or 0, "unknown")
        raise StoreUnavailable(f"The folder of the object store fails: {name}") from error
