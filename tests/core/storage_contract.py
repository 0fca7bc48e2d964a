"""What every ObjectStore must do; tests/core/test_storage_*.py run it over each of them."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from core.storage import (
    CHUNK_BYTES,
    InvalidKey,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
)

BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a//b",
    "a/",
    "../a",
    "a/../../b",
    "a/./b",
    ".drafts/a",
    "a b",
    "a\\b",
    "a\n",
    "a\0b",
    "ä",
    "a/" * 500 + "b",
    "x" * 300,
]


def fresh() -> str:
    """A folder that no other test writes to."""
    return f"t{uuid4().hex}"


class StoreContract:
    """Subclasses give a `store` fixture."""

    async def test_what_is_put_is_read(self, store: ObjectStore) -> None:
        key = f"{fresh()}/mix/1.m4s"
        await store.put(key, b"0123456789", content_type="video/mp4")
        assert await store.get(key) == b"0123456789"
        assert await store.head(key) == ObjectInfo(key, 10)

    async def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        key = f"{fresh()}/empty"
        await store.put(key, b"", content_type="text/plain")
        assert await store.get(key) == b""
        assert (await store.head(key)).size == 0
        assert [chunk async for chunk in store.stream(key)] == []

    async def test_an_object_is_never_overwritten(self, store: ObjectStore, tmp_path: Path) -> None:
        key = f"{fresh()}/a"
        source = tmp_path / "second"
        source.write_bytes(b"second")
        await store.put(key, b"first", content_type="text/plain")
        with pytest.raises(ObjectExists):
            await store.put(key, b"second", content_type="text/plain")
        with pytest.raises(ObjectExists):
            await store.put_file(key, source, content_type="text/plain")
        assert await store.get(key) == b"first"

    async def test_one_of_many_concurrent_puts_wins(self, store: ObjectStore) -> None:
        key = f"{fresh()}/a"
        puts = [store.put(key, str(n).encode(), content_type="text/plain") for n in range(6)]
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
        assert len(winners) == 1
        assert all(isinstance(o, ObjectExists) for o in outcomes if o is not None)
        assert await store.get(key) == str(winners[0]).encode()

    async def test_a_large_file_is_stored_and_not_overwritten(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        key = f"{fresh()}/large"
        source = tmp_path / "large"
        data = bytes(range(256)) * 4096 * 9  # 9 MiB: beyond a chunk and a part
        source.write_bytes(data)
        await store.put_file(key, source, content_type="audio/mp4")
        assert (await store.head(key)).size == len(data)
        chunks = [chunk async for chunk in store.stream(key)]
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= CHUNK_BYTES
        assert await store.get(key, start=len(data) - 3) == data[-3:]
        with pytest.raises(ObjectExists):
            await store.put_file(key, source, content_type="audio/mp4")

    @pytest.mark.parametrize(
        ("start", "end"),
        [(0, None), (3, None), (0, 4), (2, 5), (9, 10), (4, 100), (10, None), (99, None), (5, 5)],
    )
    async def test_ranges_are_those_of_a_slice(
        self, store: ObjectStore, start: int, end: int | None
    ) -> None:
        key = f"{fresh()}/a"
        await store.put(key, b"0123456789", content_type="text/plain")
        assert await store.get(key, start=start, end=end) == b"0123456789"[start:end]
        chunks = [chunk async for chunk in store.stream(key, start=start, end=end)]
        assert b"".join(chunks) == b"0123456789"[start:end]

    async def test_a_missing_object_is_named_so(self, store: ObjectStore) -> None:
        key = f"{fresh()}/missing"
        with pytest.raises(ObjectMissing):
            await store.get(key)
        with pytest.raises(ObjectMissing):
            await store.get(key, start=3, end=3)
        with pytest.raises(ObjectMissing):
            await store.head(key)
        with pytest.raises(ObjectMissing):
            await anext(store.stream(key))

    async def test_a_folder_is_no_object(self, store: ObjectStore) -> None:
        folder = fresh()
        await store.put(f"{folder}/a", b"x", content_type="text/plain")
        with pytest.raises(ObjectMissing):
            await store.get(folder)
        with pytest.raises(ObjectMissing):
            await store.head(folder)

    async def test_listing_is_in_key_order_and_stays_in_the_folder(
        self, store: ObjectStore
    ) -> None:
        folder = fresh()
        names = ["b", "a/2", "a/10", "a-b/1", "a.b", "A", "a/sub/x", "a0"]
        for name in names:
            await store.put(f"{folder}/{name}", name.encode(), content_type="text/plain")
        await store.put(f"{folder}x/other", b"x", content_type="text/plain")
        listed = [info async for info in store.list(folder)]
        assert listed == [ObjectInfo(f"{folder}/{name}", len(name)) for name in sorted(names)]
        below = [info.key async for info in store.list(f"{folder}/a/")]
        assert below == [f"{folder}/a/{name}" for name in ("10", "2", "sub/x")]
        assert [info async for info in store.list(fresh())] == []

    async def test_deleting_is_idempotent_and_frees_the_key(self, store: ObjectStore) -> None:
        key = f"{fresh()}/a"
        await store.put(key, b"1", content_type="text/plain")
        await store.delete(key)
        await store.delete(key)
        with pytest.raises(ObjectMissing):
            await store.head(key)
        await store.put(key, b"2", content_type="text/plain")
        assert await store.get(key) == b"2"

    @pytest.mark.parametrize("key", BAD_KEYS)
    async def test_a_key_cannot_leave_the_store(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(InvalidKey):
            await store.put(key, b"x", content_type="text/plain")
        with pytest.raises(InvalidKey):
            await store.get(key)
        with pytest.raises(InvalidKey):
            await store.head(key)
        with pytest.raises(InvalidKey):
            await anext(store.stream(key))
        with pytest.raises(InvalidKey):
            await store.delete(key)
