"""Thousands of objects become one per rendition, and nothing is ever at risk on the way."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import Database
from core.storage.folder import FolderStore
from core.storage.s3 import S3Store
from ingest.manifest import Compacted, Erased, SegmentWritten, dump, parse
from ingest.models import Segment
from replay.compaction import COMPACT_JOB, SWEEP_JOB, RecordingDamaged
from replay.holdings import ManifestMissing, RunningHashes
from tests.core import test_storage_s3
from tests.core.test_storage_s3 import bucket_settings
from tests.progress import progress_of
from tests.replay.afterwards import (
    Over,
    never_on_the_record,
    nobody_speaks,
    store_room,
    two_with_a_pause,
)

moto_endpoint = test_storage_s3.moto_endpoint


async def flip_a_byte(over: Over, key: str) -> None:
    data = bytearray(await over.store.get(key))
    data[len(data) // 2] ^= 1
    await over.store.delete(key)
    await over.store.put(key, bytes(data), content_type="audio/mp4")


async def test_one_object_per_rendition_holds_the_same_bytes(
    database: Database, tmp_path: Path
) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    before, inits = await over.all_bytes(), (await over.holding()).renditions
    headers = {r.name: await over.store.get(r.row.init_key) for r in inits}
    lines = parse(await over.store.get(f"{(await over.holding()).prefix}/manifest-1.jsonl"))

    assert await over.compact()

    assert await over.all_bytes() == before
    holding = await over.holding()
    assert holding.recording.compacted_at is not None
    names = {"mix", *(f"track-{speaker}" for speaker in over.speakers)}
    assert {r.name for r in holding.renditions} == names
    for rendition in holding.renditions:
        row = rendition.row
        assert row.object_key == row.init_key == f"{holding.prefix}/{row.name}.mp4"
        data = await over.store.get(row.object_key)
        assert (row.object_bytes, row.object_sha256) == (
            len(data),
            hashlib.sha256(data).hexdigest(),
        )
        parts = [before[row.name, s.sequence] for s in rendition.segments]
        assert data == headers[row.name] + b"".join(parts)
        assert {s.object_key for s in rendition.segments} == {row.object_key}
    final = parse(await over.store.get(holding.manifest_key))
    assert final[: len(lines)] == lines
    assert {line.rendition for line in final if isinstance(line, Compacted)} == names


async def test_old_places_work_until_the_sweep_and_only_old_objects_go(
    database: Database, tmp_path: Path
) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    old = [(s.object_key, s.sha256) for r in (await over.holding()).renditions for s in r.segments]
    assert await over.sweep() == 0, "nothing goes before the rows point elsewhere"
    await over.compact()
    for key, digest in old:
        assert hashlib.sha256(await over.store.get(key)).hexdigest() == digest
    async with database.transaction() as session:
        query = "select entrypoint, execute_after > now() + '9 minutes' from pgqueuer"
        told = sa.text(f"{query} where dedupe_key = :key")
        key = f"{SWEEP_JOB}:{over.recording_id}"
        assert (await session.execute(told, {"key": key})).all() == [(SWEEP_JOB, True)]
    before = await over.all_bytes()

    assert await over.sweep() == len(old) + 3

    tracks = [f"track-{speaker}.mp4" for speaker in over.speakers]
    assert set(await over.objects()) == {"manifest-1.jsonl", "manifest.jsonl", "mix.mp4", *tracks}
    assert await over.all_bytes() == before
    assert (await over.holding()).recording.swept_at is not None
    assert await over.sweep() == 0


async def test_doing_it_again_does_nothing(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    first = await asyncio.gather(over.compact(), over.compact())
    assert sorted(first) == [False, True], "two workers at once: one of them did it"
    assert not await over.compact()
    assert list(over.scratch.iterdir()) == []


async def test_the_progress_is_told(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    await over.compact()
    async with database.transaction() as session:
        told = await progress_of(session, kind=COMPACT_JOB, subject=str(over.recording_id))
    sizes = [size for name, size in (await over.objects()).items() if name.count("/") == 0]
    manifests = [size for name, size in (await over.objects()).items() if "manifest" in name]
    assert told is not None
    assert told.done == told.total == sum(sizes) - sum(manifests)


@pytest.mark.parametrize("harm", ["changed", "missing", "row"])
async def test_a_wrong_hash_stops_it_and_keeps_everything(
    database: Database, tmp_path: Path, harm: str
) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    mix = (await over.holding()).renditions[0]
    key = mix.segments[2].object_key
    if harm == "changed":
        await flip_a_byte(over, key)
    elif harm == "missing":
        await over.store.delete(key)
    else:
        async with database.transaction() as session:
            row = sa.update(Segment).where(Segment.object_key == key)
            await session.execute(row.values(sha256="0" * 64))
    before = await over.objects()
    with pytest.raises(RecordingDamaged, match="mix segment 2"):
        await over.compact()
    left = await over.objects()
    assert before.items() <= left.items()
    holding = await over.holding()
    assert holding.recording.compacted_at is None
    assert holding.renditions[0].segments[0].object_key == mix.segments[0].object_key
    assert await over.sweep() == 0
    async with database.transaction() as session:
        told = await progress_of(session, kind=COMPACT_JOB, subject=str(over.recording_id))
    assert told is not None
    assert "mix segment 2" in told.note


async def test_other_bytes_under_the_new_key_are_not_taken_for_ours(
    database: Database, tmp_path: Path
) -> None:
    """The object of an earlier run is adopted only if every segment in it is the right one."""
    over = await store_room(database, tmp_path, two_with_a_pause)
    holding = await over.holding()
    size = holding.renditions[0].row.init_bytes + sum(
        s.bytes for s in holding.renditions[0].segments
    )
    key = f"{holding.prefix}/mix.mp4"
    await over.store.put(key, bytes(size), content_type="audio/mp4")
    with pytest.raises(RecordingDamaged, match=r"mix segment 0 .* in mix.mp4"):
        await over.compact()
    await over.store.delete(key)
    await over.store.put(key, bytes(size - 1), content_type="audio/mp4")
    with pytest.raises(RecordingDamaged, match="bytes instead of"):
        await over.compact()
    await over.store.delete(key)
    assert await over.compact()


async def test_nothing_goes_while_a_new_object_is_missing(
    database: Database, tmp_path: Path
) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    await over.compact()
    before = await over.objects()
    await over.store.delete(f"{(await over.holding()).prefix}/mix.mp4")
    with pytest.raises(RecordingDamaged, match="mix"):
        await over.sweep()
    assert len(await over.objects()) == len(before) - 1


async def test_the_manifest_may_be_a_moment_late(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    key = f"{(await over.holding()).prefix}/manifest-1.jsonl"
    data = await over.store.get(key)
    await over.store.delete(key)
    with pytest.raises(ManifestMissing):
        await over.compact()
    assert ManifestMissing.status == 503, "the queue tries again"
    await over.store.put(key, data, content_type="application/jsonl")
    assert await over.compact()


async def test_rooms_in_which_little_happened(database: Database, tmp_path: Path) -> None:
    silent = await store_room(database, tmp_path / "silent", nobody_speaks)
    assert await silent.compact()
    await silent.sweep()
    assert set(await silent.objects()) == {"manifest-1.jsonl", "manifest.jsonl", "mix.mp4"}
    empty = await store_room(database, tmp_path / "empty", never_on_the_record)
    assert await empty.compact()
    assert set(await empty.objects()) == {"manifest-1.jsonl"}
    assert await empty.sweep() == 0


@pytest.mark.slow
async def test_killed_anywhere_it_is_finished_by_the_next_run(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """kill -9 before every single operation on the store, one after the other."""
    over = await store_room(database, tmp_path, two_with_a_pause)
    bytes_before = await over.all_bytes()
    assert isinstance(over.store, FolderStore)
    arguments = [postgres_url, str(over.store.root), str(over.scratch), str(over.recording_id)]
    for operations in (6, 12, 14, 21):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.replay.compacting",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(operations):
            await process.stdout.readline()
        if process.returncode is None:
            process.kill()
        await process.wait()
        assert await over.all_bytes() == bytes_before
    await over.compact()
    await over.sweep()
    assert await over.all_bytes() == bytes_before
    tracks = [f"track-{speaker}.mp4" for speaker in over.speakers]
    assert set(await over.objects()) == {"manifest-1.jsonl", "manifest.jsonl", "mix.mp4", *tracks}


async def test_in_a_bucket_too_and_in_parts(
    database: Database, tmp_path: Path, moto_endpoint: str
) -> None:
    settings = bucket_settings(moto_endpoint)
    whole = S3Store.from_settings(settings, bucket="encore", prefix=f"c{tmp_path.name}")
    store = S3Store(
        whole._client,
        bucket="encore",
        prefix=f"c{tmp_path.name}",
        single_put_bytes=20_000,
        part_bytes=5 << 20,
    )
    over = await store_room(database, tmp_path, two_with_a_pause, store=store)
    before = await over.all_bytes()
    assert await over.compact()
    await over.sweep()
    assert await over.all_bytes() == before


def test_hashes_of_stretches_do_not_depend_on_chunks() -> None:
    data = bytes(range(256)) * 40
    lengths = [10, 1, 5000, 5229]
    expected, at = [], 0
    for length in lengths:
        expected.append(hashlib.sha256(data[at : at + length]).hexdigest())
        at += length
    for chunk in (1, 7, 4096, len(data)):
        hashes = RunningHashes(lengths)
        for start in range(0, len(data), chunk):
            hashes.update(data[start : start + chunk])
        assert hashes.digests == expected
        assert (hashes.whole, hashes.size) == (hashlib.sha256(data).hexdigest(), len(data))


def test_a_tombstone_is_a_line_like_any_other() -> None:
    tomb = Erased("mix", 3, 5, "withdrawn")
    assert parse(dump(tomb)) == [tomb]
    newer = b'{"kind":"burned","rendition":"mix"}\n'
    assert parse(newer + dump(tomb)) == [tomb]
    assert not isinstance(tomb, SegmentWritten)
