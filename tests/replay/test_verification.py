"""A recording is proved whole, or each thing that is wrong with it is named; nothing else is."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import Database
from ingest.manifest import Erased, dump
from ingest.models import Gap, Recording, RecordingStatus, Segment
from replay.fragments import BrokenFragment, fragments, samples_of
from replay.verification import Verification, verify
from tests.ingest.journals import JournalMaker, Voice, tone
from tests.replay.afterwards import (
    Over,
    never_on_the_record,
    nobody_speaks,
    store_room,
    two_with_a_pause,
)


async def checked(over: Over, *, quick: bool = False) -> Verification:
    return await verify(over.store, await over.holding(), quick=quick)


def codes(report: Verification) -> set[str]:
    return {fault.code for fault in report.findings}


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("quick", [False, True])
async def test_a_whole_recording_is_proved_complete(
    database: Database, tmp_path: Path, compacted: bool, quick: bool
) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    if compacted:
        await over.compact()
        await over.sweep()
    report = await checked(over, quick=quick)
    assert report.findings == []
    assert report.complete
    (pause,) = report.pauses
    assert (pause.cause, pause.speaker) == ("off_the_record", None)
    assert (pause.room_start_ms, pause.room_end_ms) == pytest.approx((4000, 6000), abs=20)
    objects = [n for name, n in (await over.objects()).items() if "manifest" not in name]
    assert report.bytes_checked == (0 if quick else sum(objects))
    assert report.as_json()["complete"] is True


async def test_rooms_in_which_little_happened_are_complete(
    database: Database, tmp_path: Path
) -> None:
    for name, script in (("silent", nobody_speaks), ("empty", never_on_the_record)):
        over = await store_room(database, tmp_path / name, script)
        for _ in range(2):
            report = await checked(over)
            assert report.findings == []
            assert report.complete
            await over.compact()


async def test_pauses_at_both_ends_and_restarts_are_understood(
    database: Database, tmp_path: Path
) -> None:
    """Off the record at the beginning and at the end, two pauses, a second without a receiver."""

    def script(maker: JournalMaker, speakers: list[str]) -> None:
        maker.record(1.5, on=True)
        maker.speak(Voice(speakers[0], tone(12, 300)))
        maker.record(3, on=False)
        maker.record(4.01, on=True)
        maker.record(9, on=False)
        maker.record(10, on=True)
        maker.record(12, on=False)
        maker.end(13)

    over = await store_room(database, tmp_path, script, outages=[(6, 7)])
    await over.compact()
    report = await checked(over)
    assert report.findings == []
    down = next(gap for gap in report.gaps if gap.cause == "receiver_down")
    assert (down.room_start_ms, down.room_end_ms) == pytest.approx((6000, 7000), abs=60)
    assert len(report.pauses) == 3
    assert report.intact
    assert not report.complete, "a second is missing, and why is known"


async def test_each_lost_stretch_is_named_with_whose_it_is(
    database: Database, tmp_path: Path
) -> None:
    def script(maker: JournalMaker, speakers: list[str]) -> None:
        maker.record(0, on=True)
        maker.speak(Voice(speakers[0], tone(6), drop=lambda i: 100 <= i < 150))
        maker.end(6)

    over = await store_room(database, tmp_path, script)
    report = await checked(over)
    (gap,) = report.gaps
    assert (gap.cause, gap.speaker) == ("packets_lost", "Ada")
    assert (gap.room_start_ms, gap.room_end_ms) == pytest.approx((2000, 3000), abs=60)
    assert report.findings == []


async def replace(over: Over, key: str, data: bytes) -> None:
    await over.store.delete(key)
    await over.store.put(key, data, content_type="audio/mp4")


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_changed_byte_is_found(database: Database, tmp_path: Path, compacted: bool) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    if compacted:
        await over.compact()
    segment = (await over.holding()).renditions[0].segments[1]
    data = bytearray(await over.store.get(segment.object_key))
    data[segment.byte_start + segment.bytes // 2] ^= 1
    await replace(over, segment.object_key, bytes(data))
    report = await checked(over)
    assert codes(report) == {"bytes_differ"}
    fault = next(f for f in report.findings if f.code == "bytes_differ")
    assert fault.rendition == "mix"
    assert "segment 1" in fault.text
    assert fault.room_start_ms == pytest.approx(2005, abs=1)
    assert (await checked(over, quick=True)).intact, "sizes alone say nothing of it"


@pytest.mark.parametrize("quick", [False, True])
async def test_a_missing_object_is_found(database: Database, tmp_path: Path, quick: bool) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    await over.store.delete((await over.holding()).renditions[1].segments[0].object_key)
    report = await checked(over, quick=quick)
    assert codes(report) == {"object_missing"}
    assert report.findings[0].rendition == (await over.holding()).renditions[1].name


async def test_a_shortened_object_is_found_by_its_size(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    await over.compact()
    key = (await over.holding()).renditions[0].row.object_key or ""
    await replace(over, key, (await over.store.get(key))[:-1])
    assert codes(await checked(over, quick=True)) == {"object_size"}
    assert "bytes_differ" in codes(await checked(over))


Change = tuple[Any, set[str]]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (sa.delete(Segment).where(Segment.sequence == 1), {"row_missing", "media_hole"}),
        (
            sa.update(Segment).where(Segment.sequence == 1).values(media_start=1),
            {"row_differs", "media_hole", "boxes_differ"},
        ),
        (
            sa.update(Segment).where(Segment.sequence == 1).values(room_start_ms=2600.0),
            {"row_differs", "unexplained"},
        ),
        (
            sa.update(Segment).where(Segment.sequence == 1).values(sha256="0" * 64),
            {"row_differs", "bytes_differ"},
        ),
    ],
)
async def test_rows_that_were_changed_are_found(
    database: Database, tmp_path: Path, statement: Any, expected: set[str]
) -> None:
    over = await store_room(database, tmp_path, nobody_speaks)
    (mix,) = (await over.holding()).renditions
    async with database.transaction() as session:
        await session.execute(statement.where(Segment.rendition_id == mix.row.id))
    report = await checked(over)
    found = codes(report)
    assert expected <= found, found
    assert found <= expected | {"unexplained"}, found


async def test_a_pause_that_nobody_noted_is_unexplained(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    async with database.transaction() as session:
        await session.execute(sa.delete(Gap).where(Gap.recording_id == over.recording_id))
    report = await checked(over)
    assert codes(report) == {"unexplained"}
    assert report.findings[0].room_start_ms == pytest.approx(4000, abs=20)


async def test_a_manifest_that_was_cut_or_is_missing_is_found(
    database: Database, tmp_path: Path
) -> None:
    over = await store_room(database, tmp_path, nobody_speaks)
    key = f"{(await over.holding()).prefix}/manifest-1.jsonl"
    lines = (await over.store.get(key)).splitlines(keepends=True)
    await replace(over, key, b"".join(lines[:2] + lines[3:]))
    assert {"sequence_broken", "line_missing"} <= codes(await checked(over))
    await replace(over, key, b"".join(lines[:-1]))
    assert codes(await checked(over)) == {"manifest_open"}
    await replace(over, key, b"".join(lines).replace(b'"previous":"0000', b'"previous":"1111', 1))
    assert codes(await checked(over)) == {"chain_broken"}
    await replace(over, key, b"".join(lines[1:]))
    assert "manifest_foreign" in codes(await checked(over))
    await over.store.delete(key)
    assert codes(await checked(over)) == {"manifest_missing"}


async def test_a_tombstone_excuses_exactly_what_it_names(
    database: Database, tmp_path: Path
) -> None:
    over = await store_room(database, tmp_path, nobody_speaks)
    holding = await over.holding()
    segments = holding.renditions[0].segments
    key = f"{holding.prefix}/manifest-1.jsonl"
    manifest = await over.store.get(key)
    await replace(over, key, manifest + dump(Erased("mix", 1, 1, "withdrawn")))
    await over.store.delete(segments[1].object_key)
    report = await checked(over)
    assert report.findings == []
    assert report.erased == ["mix segments 1 to 1: withdrawn"]
    await over.store.delete(segments[0].object_key)
    assert codes(await checked(over)) == {"object_missing"}


async def test_a_room_that_is_still_live_is_not_proved(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, nobody_speaks)
    async with database.transaction() as session:
        row = sa.update(Recording).where(Recording.id == over.recording_id)
        await session.execute(row.values(status=RecordingStatus.LIVE))
    report = await checked(over)
    assert (report.live, report.complete, report.findings) == (True, False, [])
    await over.store.delete((await over.holding()).renditions[0].segments[0].object_key)
    assert codes(await checked(over)) == {"object_missing"}


async def test_our_fragments_are_read_back(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    for (name, number), data in (await over.all_bytes()).items():
        rendition = next(r for r in (await over.holding()).renditions if r.name == name)
        segment = rendition.segments[number]
        assert samples_of(data) == (segment.media_start, segment.samples)
        for size in range(0, len(data), 997):
            try:
                list(fragments(data[:size]))
            except BrokenFragment:
                continue
