"""Objects in a bucket, through boto3 in threads of our own. The only importer of boto3.

Needs of the service: Signature V4, ranges, and `If-None-Match: *` on PUT. Some (radosgw 16) ignore
that condition where a multipart upload is completed, so all but huge files go in a single PUT.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from core.settings import Settings
from core.storage import (
    CHUNK_BYTES,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StoreUnavailable,
    check_key,
    folder_prefix,
)

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

THREADS: Final = 16
SINGLE_PUT_BYTES: Final = 1 << 30
PART_BYTES: Final = 16 << 20
CONFLICT_ATTEMPTS: Final = 5

CONFIG: Final = Config(
    signature_version="s3v4",
    connect_timeout=3,
    read_timeout=20,
    max_pool_connections=THREADS,
    retries={"mode": "standard", "total_max_attempts": 3},
    # Checksum trailers are Amazon's own; other services refuse them.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

T = TypeVar("T")


class _Where(TypedDict):
    Bucket: str
    Key: str
    UploadId: str


class S3Store:
    """An ObjectStore over one bucket, below `prefix`. Nothing is contacted at construction."""

    def __init__(
        self,
        client: "S3Client",
        *,
        bucket: str,
        prefix: str = "",
        single_put_bytes: int = SINGLE_PUT_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._single_put_bytes = single_put_bytes
        self._part_bytes = part_bytes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3-store")

    @classmethod
    def from_settings(cls, settings: Settings, *, bucket: str, prefix: str) -> "S3Store":
        """Without keys in the settings, boto3's own chain finds them (environment, role, ...)."""
        client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=_plain(settings.s3_access_key_id),
            aws_secret_access_key=_plain(settings.s3_secret_access_key),
            config=CONFIG.merge(_addressing(settings)),
        )
        return cls(client, bucket=bucket, prefix=prefix)

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        name = self._name(key)
        await self._run(
            lambda: self._create(name, len(data), partial(self._put, name, data, content_type))
        )

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        name = self._name(key)
        size = (await self._run(path.stat)).st_size
        send = self._put_file if size <= self._single_put_bytes else self._put_parts
        await self._run(lambda: self._create(name, size, partial(send, name, path, content_type)))

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        body = await self._run(partial(self._open, self._name(key), start, end))
        if body is None:
            return b""
        with contextlib.closing(body):
            return await self._run(body.read)

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        body = await self._run(partial(self._open, self._name(key), start, end))
        if body is None:
            return
        with contextlib.closing(body):
            while chunk := await self._run(partial(body.read, CHUNK_BYTES)):
                yield chunk

    async def head(self, key: str) -> ObjectInfo:
        return ObjectInfo(key, await self._run(partial(self._size, self._name(key))))

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        below = self._prefix + folder_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2")
        page_iterator = iter(pages.paginate(Bucket=self._bucket, Prefix=below))
        while (page := await self._run(partial(next, page_iterator, None))) is not None:
            for found in page.get("Contents", []):
                yield ObjectInfo(found["Key"].removeprefix(self._prefix), found["Size"])

    async def delete(self, key: str) -> None:
        name = self._name(key)
        await self._run(lambda: self._client.delete_object(Bucket=self._bucket, Key=name))

    async def _run(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with _refusals():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _put(self, name: str, data: bytes, content_type: str) -> None:
        self._client.put_object(
            Bucket=self._bucket, Key=name, Body=data, ContentType=content_type, IfNoneMatch="*"
        )

    def _put_file(self, name: str, path: Path, content_type: str) -> None:
        with path.open("rb") as file:
            self._client.put_object(
                Bucket=self._bucket, Key=name, Body=file, ContentType=content_type, IfNoneMatch="*"
            )

    def _put_parts(self, name: str, path: Path, content_type: str) -> None:
        """A multipart upload, which boto3's own transfers cannot make create-only.

        A service that ignores the condition at its end is asked before it; only two uploads of
        one key at the same time could then both succeed.
        """
        if self._exists(name):
            raise ObjectExists
        upload = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=name, ContentType=content_type
        )["UploadId"]
        where: _Where = {"Bucket": self._bucket, "Key": name, "UploadId": upload}
        try:
            parts = list(self._send_parts(where, path))
            self._client.complete_multipart_upload(
                **where, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            with contextlib.suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**where)
            raise

    def _send_parts(self, where: "_Where", path: Path) -> "Iterator[CompletedPartTypeDef]":
        with path.open("rb") as file:
            for number in itertools.count(1):
                part = file.read(self._part_bytes)
                if not part:
                    return
                sent = self._client.upload_part(**where, PartNumber=number, Body=part)
                yield {"PartNumber": number, "ETag": sent["ETag"]}

    def _create(self, name: str, size: int, send: Callable[[], None]) -> None:
        """Sends until the service has decided.

        It answers 409 while another upload of this key is under way. And when an answer was lost,
        boto3's next attempt meets the object that its first one made: that is no conflict.
        """
        for _ in range(CONFLICT_ATTEMPTS):
            try:
                send()
            except ClientError as error:
                status = _status(error)
                if status == HTTPStatus.CONFLICT:
                    continue
                if _retried(error) and _says_done(error) and self._size(name) == size:
                    return
                raise
            return
        raise ObjectExists

    def _open(self, name: str, start: int, end: int | None) -> "StreamingBody | None":
        """None for an empty range of an object that exists."""
        if end is not None and end <= start:
            self._size(name)
            return None
        if start == 0 and end is None:
            return self._client.get_object(Bucket=self._bucket, Key=name)["Body"]
        wanted = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            return self._client.get_object(Bucket=self._bucket, Key=name, Range=wanted)["Body"]
        except ClientError as error:
            if _status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise

    def _exists(self, name: str) -> bool:
        try:
            self._size(name)
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def _size(self, name: str) -> int:
        return self._client.head_object(Bucket=self._bucket, Key=name)["ContentLength"]


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _addressing(settings: Settings) -> Config:
    """Services of one's own have no wildcard name for `bucket.host`."""
    return Config(s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"})


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _retried(error: ClientError) -> bool:
    return error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0


def _says_done(error: ClientError) -> bool:
    return _status(error) == HTTPStatus.PRECONDITION_FAILED or _code(error) == "NoSuchUpload"


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status, code = _status(error), _code(error)
        if status == HTTPStatus.PRECONDITION_FAILED:
            raise ObjectExists from None
        if status == HTTPStatus.NOT_FOUND and code != "NoSuchBucket":
            raise ObjectMissing from None
        raise StoreUnavailable(f"The object store answers {code or status}") from error
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        raise StoreUnavailable(f"The object store fails: {type(error).__name__}") from error
