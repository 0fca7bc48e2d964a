import errno
import os
import time
from pathlib import Path

import pytest

from core.settings import Settings
from core.storage import (
    ObjectExists,
    ObjectStore,
    StorageUrlInvalid,
    StoreUnavailable,
    open_store,
)
from core.storage.folder import DRAFT_LIFE_SECONDS, DRAFTS, FolderStore, _refusals
from tests.core.storage_contract import StoreContract

FULL = Path("/dev/full")


class TestFolder(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FolderStore(tmp_path)


def opened(url: str | None, data_dir: Path) -> ObjectStore:
    return open_store(Settings(_env_file=None, storage_url=url, data_dir=data_dir))


def test_the_default_is_a_folder_in_data_dir(tmp_path: Path) -> None:
    store = opened(None, tmp_path)
    assert isinstance(store, FolderStore)
    assert store.root == tmp_path / "objects"


def test_a_folder_with_a_blank_is_percent_encoded(tmp_path: Path) -> None:
    store = opened(f"file://{tmp_path}/my%20objects", tmp_path)
    assert isinstance(store, FolderStore)
    assert store.root == tmp_path / "my objects"


@pytest.mark.parametrize("url", ["file://host/a", "file:", "s3://", "ftp://a/b", "objects"])
def test_any_other_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageUrlInvalid):
        opened(url, tmp_path)


async def test_a_failed_put_leaves_no_draft(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    await store.put("a", b"1", content_type="text/plain")
    with pytest.raises(ObjectExists):
        await store.put("a", b"2", content_type="text/plain")
    assert list((tmp_path / DRAFTS).iterdir()) == []


async def test_an_object_cannot_become_a_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    await store.put("a", b"1", content_type="text/plain")
    with pytest.raises(ObjectExists):
        await store.put("a/b", b"2", content_type="text/plain")


def test_drafts_of_killed_writers_are_swept_and_living_ones_are_not(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    old, young = tmp_path / DRAFTS / "old", tmp_path / DRAFTS / "young"
    old.parent.mkdir()
    for draft in (old, young):
        draft.write_bytes(b"half")
    long_ago = time.time() - DRAFT_LIFE_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    FolderStore(store.root)
    assert not old.exists()
    assert young.exists()


async def test_drafts_are_never_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    await store.put("a", b"1", content_type="text/plain")
    (tmp_path / DRAFTS / "draft").write_bytes(b"half")
    assert [info.key async for info in store.list("")] == ["a"]


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_reading_makes_nothing_and_a_folder_that_is_away_is_an_outage(tmp_path: Path) -> None:
    store = opened(None, tmp_path)
    with pytest.raises(StoreUnavailable, match="not there"):
        await store.get("a")
    with pytest.raises(StoreUnavailable, match="not there"):
        await store.head("a")
    with pytest.raises(StoreUnavailable, match="not there"):
        await store.delete("a")
    with pytest.raises(StoreUnavailable, match="not there"):
        [info async for info in store.list("")]
    assert entries(tmp_path) == []
    await store.put("a", b"1", content_type="text/plain")
    assert await store.get("a") == b"1"


async def test_a_folder_that_somebody_named_is_theirs_to_make(tmp_path: Path) -> None:
    """Nothing is recorded beside a disk that is not mounted."""
    store = opened(f"file://{tmp_path}/disk", tmp_path)
    with pytest.raises(StoreUnavailable, match="not there"):
        await store.put("a", b"1", content_type="text/plain")
    assert entries(tmp_path) == []
    Path.mkdir(tmp_path / "disk")
    await store.put("a", b"1", content_type="text/plain")
    assert await store.get("a") == b"1"


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "is full"), (errno.EIO, "EIO"), (errno.EROFS, "EROFS")]
)
def test_a_failing_disk_is_an_outage_of_the_store(number: int, words: str) -> None:
    with pytest.raises(StoreUnavailable, match=words), _refusals():
        raise OSError(number, os.strerror(number))


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
async def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Linux keeps /dev/full for this: every write to it is ENOSPC."""
    store = FolderStore(tmp_path)

    def write(_: Path) -> None:
        with FULL.open("wb", buffering=0) as file:
            file.write(b"x")

    with pytest.raises(StoreUnavailable, match="is full"):
        await store._run(lambda: store._create("a", write))
