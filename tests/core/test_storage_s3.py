"""The contract over a bucket of moto, which runs anywhere, and what only a network can do."""

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from core.postgres import free_port
from core.settings import Settings
from core.storage import ObjectExists, ObjectStore, StoreUnavailable, open_store
from core.storage.s3 import S3Store
from tests.core.storage_contract import StoreContract, fresh

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BUCKET = "encore"


def bucket_settings(endpoint: str, **values: object) -> Settings:
    keys = {
        "s3_access_key_id": SecretStr("test"),
        "s3_secret_access_key": SecretStr("testtesttest"),
    }
    given = {"s3_endpoint_url": endpoint, "storage_url": f"s3://{BUCKET}/a/prefix"}
    return Settings(_env_file=None, **(keys | given | values))  # type: ignore[arg-type] # validated


def creating_one_at_a_time(app: "WSGIApplication") -> "WSGIApplication":
    """Moto looks whether there is an object and makes it in two steps; a bucket does in one."""
    creating = threading.Lock()

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with creating if "HTTP_IF_NONE_MATCH" in environ else contextlib.nullcontext():
            return app(environ, start_response)

    return guarded


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    assert server._server is not None
    server._server.app = creating_one_at_a_time(server._server.app)
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    store = open_store(bucket_settings(endpoint))
    assert isinstance(store, S3Store)
    store._client.create_bucket(Bucket=BUCKET)
    yield endpoint
    server.stop()


class TestMoto(StoreContract):
    @pytest.fixture
    def store(self, moto_endpoint: str) -> ObjectStore:
        return open_store(bucket_settings(moto_endpoint))


def in_parts(endpoint: str) -> S3Store:
    """A store that sends every file of more than 1 MiB as a multipart upload."""
    store = open_store(bucket_settings(endpoint))
    assert isinstance(store, S3Store)
    return S3Store(
        store._client,
        bucket=BUCKET,
        prefix="in/parts",
        single_put_bytes=1 << 20,
        part_bytes=5 << 20,
    )


class TestMotoInParts(StoreContract):
    @pytest.fixture
    def store(self, moto_endpoint: str) -> ObjectStore:
        return in_parts(moto_endpoint)

    async def test_a_failed_upload_leaves_no_parts(
        self, store: ObjectStore, moto_endpoint: str, tmp_path: Path
    ) -> None:
        key = f"{fresh()}/a"
        source = tmp_path / "large"
        source.write_bytes(b"x" * (6 << 20))
        await store.put_file(key, source, content_type="video/mp4")
        with pytest.raises(ObjectExists):
            await store.put_file(key, source, content_type="video/mp4")
        uploads = in_parts(moto_endpoint)._client.list_multipart_uploads(Bucket=BUCKET)
        assert uploads.get("Uploads", []) == []


async def test_a_dead_service_is_unavailable_and_says_so_soon() -> None:
    store = open_store(bucket_settings(f"http://127.0.0.1:{free_port()}"))
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match="EndpointConnectionError"):
            await store.head("a")


async def test_a_missing_bucket_is_not_a_missing_object(moto_endpoint: str) -> None:
    store = open_store(bucket_settings(moto_endpoint, storage_url="s3://other"))
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        await store.get("a")
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        await anext(store.list(""))


async def test_two_prefixes_of_a_bucket_are_two_stores(moto_endpoint: str) -> None:
    one = open_store(bucket_settings(moto_endpoint))
    other = open_store(bucket_settings(moto_endpoint, storage_url=f"s3://{BUCKET}/other"))
    key = f"{fresh()}/a"
    await one.put(key, b"1", content_type="text/plain")
    await other.put(key, b"2", content_type="text/plain")
    assert await one.get(key) == b"1"
    assert [info.key async for info in other.list(key.split("/")[0])] == [key]


async def test_the_content_type_is_kept(moto_endpoint: str, tmp_path: Path) -> None:
    store = open_store(bucket_settings(moto_endpoint))
    assert isinstance(store, S3Store)
    source = tmp_path / "large"
    source.write_bytes(b"x" * (9 << 20))
    keys = [f"{fresh()}/a", f"{fresh()}/b"]
    await store.put(keys[0], b"x", content_type="video/mp4")
    await store.put_file(keys[1], source, content_type="video/mp4")
    for key in keys:
        head = store._client.head_object(Bucket=BUCKET, Key=f"a/prefix/{key}")
        assert head["ContentType"] == "video/mp4"


class ForgetfulProxy(ThreadingHTTPServer):
    """Passes requests on, but drops the answers to the first `forget` PUTs."""

    def __init__(self, endpoint: str, *, forget: int) -> None:
        super().__init__(("127.0.0.1", 0), ForgetfulHandler)
        self.upstream = endpoint.removeprefix("http://")
        self.forget = forget


class ForgetfulHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ForgetfulProxy

    def forward(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = http.client.HTTPConnection(self.server.upstream)
        headers = {n: v for n, v in self.headers.items() if n.lower() != "expect"}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if self.command == "PUT" and self.server.forget > 0:
            self.server.forget -= 1
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = forward  # noqa: N815 - the names that http.server calls


@contextlib.contextmanager
def forgetful_proxy(endpoint: str, *, forget: int) -> Iterator[str]:
    with ForgetfulProxy(endpoint, forget=forget) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_port}"
        proxy.shutdown()
        thread.join()


async def test_a_put_whose_answer_was_lost_is_no_conflict(moto_endpoint: str) -> None:
    key = f"{fresh()}/a"
    with forgetful_proxy(moto_endpoint, forget=1) as endpoint:
        store = open_store(bucket_settings(endpoint))
        await store.put(key, b"once", content_type="text/plain")
        assert await store.get(key) == b"once"
        with pytest.raises(ObjectExists):
            await store.put(key, b"twice", content_type="text/plain")
