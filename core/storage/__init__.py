"""Objects by key: a folder by default, S3 in production, one contract for both."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from core.errors import NotFound, Problem
from core.settings import Settings

CHUNK_BYTES = 1 << 20
MAX_KEY_LENGTH = 900

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}", re.ASCII)


class ObjectMissing(NotFound):
    code = "object_missing"
    title = "No such object"


class InvalidKey(ObjectMissing):
    """No object can have this name; to a reader it is simply not there."""

    code = "object_key_invalid"
    title = "This is not a valid object key"


class ObjectExists(Problem):
    status = 409
    code = "object_exists"
    title = "An object with this key exists already"


class StoreUnavailable(Problem):
    status = 503
    code = "store_unavailable"
    title = "The object store does not answer"


class StorageUrlInvalid(Problem):
    code = "storage_url_invalid"
    title = "ENCORE_STORAGE_URL is neither file:///folder nor s3://bucket/prefix"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int


class ObjectStore(Protocol):
    """Objects are never overwritten.

    Keys are relative paths of segments of `[A-Za-z0-9._-]` that don't begin with a dot; a key
    that breaks this raises InvalidKey. A range that begins past the end is empty.
    """

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
        """All objects below the folder `prefix` (all there are below ""), in key order."""
        ...

    async def delete(self, key: str) -> None:
        """Idempotent."""
        ...


def check_key(key: str) -> str:
    """The key itself. Raises InvalidKey for anything that could leave the store's root."""
    if len(key) > MAX_KEY_LENGTH or not all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        raise InvalidKey
    return key


def folder_prefix(prefix: str) -> str:
    """`a/b` and `a/b/` both as `a/b/`; "" stays. Raises InvalidKey."""
    trimmed = prefix.removesuffix("/")
    return f"{check_key(trimmed)}/" if trimmed else ""


def open_store(settings: Settings) -> ObjectStore:
    """The store that the settings name; nothing is contacted yet. Raises StorageUrlInvalid."""
    parts = urlsplit(settings.object_store_url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        from core.storage.folder import FolderStore

        default = settings.storage_url is None
        return FolderStore(Path(unquote(parts.path)), makes_root=default)
    if parts.scheme == "s3" and parts.netloc:
        # boto3 takes a third of a second to import: only those who use it pay.
        from core.storage.s3 import S3Store

        return S3Store.from_settings(settings, bucket=parts.netloc, prefix=parts.path.strip("/"))
    raise StorageUrlInvalid
