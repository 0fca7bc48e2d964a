"""Objects by key: a folder by default, S3 in production, one contract for both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.errors import NotFound, Problem


class ObjectMissing(NotFound):
    code = "object_missing"
    title = "No such object"


class ObjectExists(Problem):
    status = 409
    code = "object_exists"
    title = "An object with this key exists already"


class StoreUnavailable(Problem):
    status = 503
    code = "store_unavailable"
    title = "The object store does not answer"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int


class ObjectStore(Protocol):
    """Keys are relative paths of `[A-Za-z0-9._-]` segments; objects are never overwritten."""

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Creates the object. Raises ObjectExists, StoreUnavailable."""
        ...

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """The same from a file of any size, without holding it in memory."""
        ...

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Bytes `start` to `end` (exclusive). Raises ObjectMissing, StoreUnavailable."""
        ...

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The same in chunks of at most 1 MiB."""
        ...

    async def head(self, key: str) -> ObjectInfo:
        """Raises ObjectMissing, StoreUnavailable."""
        ...

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """All objects below a prefix, in key order."""
        ...

    async def delete(self, key: str) -> None:
        """Idempotent."""
        ...
