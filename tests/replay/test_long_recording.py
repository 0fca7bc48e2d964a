"""A day and two hours: more samples than 32 bits count, more bytes than are held at once."""

import gzip
import hashlib
import struct
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.db import Database
from core.ids import uuid7
from core.storage.folder import FolderStore
from ingest.fmp4 import fragment, init_segment, opus_entry
from ingest.hls import ByteRange, MediaPlaylist, MediaSegment, merged
from ingest.manifest import Ended, Line, Opened, RenditionOpened, SegmentWritten, dump
from ingest.models import Recording, RecordingStatus, Rendition, Segment
from ingest.spool import GENESIS
from replay.verification import verify
from tests.hostile.arena import resident_kb
from tests.ingest.journals import LIVE_AT_US
from tests.ingest.recorded import placed_recording
from tests.replay.afterwards import Over
from tests.replay.playlist_rules import check_media

HOURS = 26
RATE = 48_000
SAMPLES = HOURS * 3600 * RATE
MIX_SAMPLES = 94 * 1024
"""Whole AAC frames, about 2 s."""

PACKETS = [(bytes(120), 5760)] * 250
"""30 s in packets of 120 ms, the longest that Opus has."""

SEGMENT_SAMPLES = 250 * 5760


def mix(*, in_one_object: bool) -> list[MediaSegment]:
    """A room of so many hours in segments of 2 s, each of 16 kB."""
    return [
        MediaSegment(
            "r1/mix/whole.mp4" if in_one_object else f"r1/mix/{n:06d}.m4s",
            MIX_SAMPLES,
            n * MIX_SAMPLES / 48,
            byte_range=ByteRange(n << 14, 1 << 14) if in_one_object else None,
        )
        for n in range(SAMPLES // MIX_SAMPLES)
    ]


def listed(segments: list[MediaSegment]) -> MediaPlaylist:
    playlist = MediaPlaylist(init_uri="r1/mix/init.mp4", live_at_us=LIVE_AT_US, target_s=2)
    for segment in segments:
        playlist.append(segment)
    return playlist


def seconds_in(text: str) -> float:
    return sum(float(x[8:-1]) for x in text.splitlines() if x.startswith("#EXTINF:"))


@pytest.mark.slow
def test_live_costs_the_same_at_any_hour_and_the_replay_is_short() -> None:
    segments = mix(in_one_object=False)
    live = listed(segments)
    assert len(live.render_window(ended=False)) < 1500
    delta = live.render(ended=False, skip=live.skippable(len(live)))
    assert len(delta) < 3000
    whole = live.render(ended=True)
    assert len(gzip.compress(whole.encode(), 5)) < 400_000
    replay = listed(list(merged(mix(in_one_object=True)))).render_vod()
    check_media(replay)
    assert len(gzip.compress(replay.encode(), 5)) < 100_000
    length_s = len(segments) * MIX_SAMPLES / RATE
    for text in (whole, replay):
        assert seconds_in(text) == pytest.approx(length_s, abs=0.05)


def packaged(name: str, lines: list[Line], folder: Path) -> None:
    """The files of one rendition where an uploader puts them, and their lines."""
    (folder / name).mkdir(parents=True)
    init = init_segment(opus_entry())
    (folder / name / "init.mp4").write_bytes(init)
    person = name.removeprefix("track-") if name.startswith("track-") else None
    lines.append(RenditionOpened(name, person, "opus", "init.mp4", len(init)))
    first = fragment(1, 0, PACKETS)
    at = first.index(b"tfdt") + 8
    previous = GENESIS
    for number in range(SAMPLES // SEGMENT_SAMPLES):
        start = number * SEGMENT_SAMPLES
        data = first[:at] + struct.pack("!Q", start) + first[at + 8 :]
        file = f"{number:06d}.m4s"
        (folder / name / file).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        lines.append(
            SegmentWritten(
                rendition=name,
                sequence=number,
                file=file,
                bytes=len(data),
                sha256=digest,
                previous=previous,
                media_start=start,
                samples=SEGMENT_SAMPLES,
                room_start_ms=start / 48,
                discontinuity=False,
            )
        )
        previous = digest


async def a_long_room(database: Database, folder: Path) -> Over:
    """A mix and a track, stored."""
    maker, [speaker] = await placed_recording(database)
    prefix = f"{maker.platform_id}/{maker.recording_id}/1"
    lines: list[Line] = [
        Opened(maker.recording_id, maker.room_id, maker.platform_id, 1, 1, LIVE_AT_US)
    ]
    for name in ("mix", f"track-{speaker}"):
        packaged(name, lines, folder / "objects" / prefix)
    lines.append(Ended(SAMPLES / 48, SAMPLES, 0, 0))
    manifest = folder / "objects" / prefix / "manifest-1.jsonl"
    manifest.write_bytes(b"".join(map(dump, lines)))
    recording_id = UUID(maker.recording_id)
    await store_rows(database, recording_id, prefix, lines)
    store = FolderStore(folder / "objects")
    return Over(recording_id, store, database, folder / "scratch", [speaker])


async def store_rows(
    database: Database, recording_id: UUID, prefix: str, lines: list[Line]
) -> None:
    ids: dict[str, UUID] = {}
    rows: list[dict[str, object]] = []
    now = datetime.now(UTC)
    async with database.transaction() as session:
        for line in lines:
            if isinstance(line, RenditionOpened):
                ids[line.rendition] = uuid7()
                session.add(
                    Rendition(
                        id=ids[line.rendition],
                        recording_id=recording_id,
                        name=line.rendition,
                        participant_id=UUID(line.participant_id) if line.participant_id else None,
                        codec=line.codec,
                        init_key=f"{prefix}/{line.rendition}/{line.file}",
                        init_bytes=line.bytes,
                    )
                )
            elif isinstance(line, SegmentWritten):
                rows.append(
                    {
                        "rendition_id": ids[line.rendition],
                        "sequence": line.sequence,
                        "epoch": 1,
                        "object_key": f"{prefix}/{line.rendition}/{line.file}",
                        "bytes": line.bytes,
                        "sha256": line.sha256,
                        "media_start": line.media_start,
                        "samples": line.samples,
                        "room_start_ms": line.room_start_ms,
                    }
                )
        await session.flush()
        await session.execute(sa.insert(Segment), rows)
        done = sa.update(Recording).where(Recording.id == recording_id)
        values = {"status": RecordingStatus.STORED, "media_samples": SAMPLES}
        await session.execute(done.values(**values, ended_at=now, stored_at=now))


@pytest.mark.slow
async def test_compaction_holds_little_of_it_and_every_sample_is_proved(
    database: Database, tmp_path: Path
) -> None:
    over = await a_long_room(database, tmp_path)
    assert SAMPLES > 1 << 32
    before_kb = resident_kb()
    assert await over.compact()
    grown_kb = resident_kb() - before_kb
    holding = await over.holding()
    size = holding.renditions[1].row.object_bytes
    assert size is not None
    assert size > 100_000_000
    assert grown_kb * 1000 < size / 3, "bytes pass through; what stays is rows"
    for rendition in holding.renditions:
        assert rendition.segments[-1].media_end == SAMPLES
        assert all(b.media_start == a.media_end for a, b in pairwise(rendition.segments))
    report = await verify(over.store, holding)
    assert report.findings == []
    assert report.complete
    assert report.media_ms == HOURS * 3_600_000
