"""Stored recordings made of packets: who said what when, and when nothing was recorded."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import uuid7
from core.storage import ObjectStore
from demo.opus_files import OpusPacket, read_ogg
from demo.script import Script
from ingest.fmp4 import fragment, init_segment, opus_entry
from ingest.models import IngestWorker, Recording, RecordingStatus, Rendition, Segment
from ingest.opus import silence
from ingest.track import OBJECT
from rooms.models import Participant, RecordingState, Role, Room, RoomState, Visibility
from tests.factories import make_platform, make_user

PER_MS = 48
Packets = list[tuple[bytes, int]]


@dataclass
class Recorded:
    """`pauses` are stretches of the room's clock that media time skips, in milliseconds."""

    room: Room
    recording: Recording
    duration_ms: int
    pauses: Sequence[tuple[int, int]]
    participants: dict[str, Participant] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        return self.recording.id

    @property
    def spans(self) -> list[tuple[int, int]]:
        """What was recorded, on the room's clock."""
        starts = [0, *(end for _, end in self.pauses)]
        ends = [*(start for start, _ in self.pauses), self.duration_ms]
        return list(zip(starts, ends, strict=True))


async def recorded_room(
    session: AsyncSession, *, duration_ms: int, pauses: Sequence[tuple[int, int]] = ()
) -> Recorded:
    """An ended public room with the rows of its mix; nobody has spoken."""
    platform = await make_platform(session)
    host = await make_user(session, platform)
    live_at = datetime(2026, 11, 20, 20, tzinfo=UTC)
    room = Room(
        platform_id=platform.id,
        host_id=host.id,
        title="A room",
        visibility=Visibility.PUBLIC,
        state=RoomState.ENDED,
        live_at=live_at,
        ended_at=live_at + timedelta(milliseconds=duration_ms),
        recording_state=RecordingState.ON,
        recording_id=uuid7(),
    )
    worker = IngestWorker(whip_url="http://w", started_at=live_at, heartbeat_at=live_at)
    session.add_all([room, worker])
    await session.flush()
    recording = Recording(
        id=room.recording_id,
        room_id=room.id,
        platform_id=platform.id,
        worker_id=worker.id,
        epoch=1,
        status=RecordingStatus.STORED,
        live_at=live_at,
        stored_at=live_at,
    )
    session.add(recording)
    await session.flush()
    made = Recorded(room, recording, duration_ms, pauses)
    recording.media_samples = sum(end - start for start, end in made.spans) * PER_MS
    await _add_mix(session, made)
    return made


async def _add_mix(session: AsyncSession, made: Recorded) -> None:
    """Its rows are the map of times; nobody fetches its sound here."""
    mix = _rendition(made, "mix", None, "mp4a.40.2")
    session.add(mix)
    await session.flush()
    media = 0
    for sequence, (start, end) in enumerate(made.spans):
        samples = (end - start) * PER_MS
        row = _segment(mix, sequence, "mix", media, samples, start, b"", discontinuity=start > 0)
        session.add(row)
        media += samples
    await session.flush()


async def add_voice(
    session: AsyncSession,
    store: ObjectStore,
    made: Recorded,
    name: str,
    said: Mapping[int, Iterable[OpusPacket]],
    *,
    consented: bool = True,
) -> Participant:
    """A speaker's track; `said` by the moment when it begins, on the room's clock."""
    user = await make_user(session, display_name=name)
    live_at = made.room.live_at
    participant = Participant(
        room_id=made.room.id,
        user_id=user.id,
        display_name=name,
        role=Role.SPEAKER,
        joined_at=live_at,
        consented_at=live_at if consented else None,
    )
    session.add(participant)
    await session.flush()
    rendition = _rendition(made, f"track-{participant.id}", participant.id, "opus")
    session.add(rendition)
    await session.flush()
    await _add_segments(session, store, made, rendition, said)
    made.participants[name] = participant
    return participant


async def _add_segments(
    session: AsyncSession,
    store: ObjectStore,
    made: Recorded,
    rendition: Rendition,
    said: Mapping[int, Iterable[OpusPacket]],
) -> None:
    sequence, media = 0, 0
    for start, end in made.spans:
        at = start
        for packets in _objects(_line(said, start, end)):
            samples = sum(length for _, length in packets)
            data = fragment(sequence + 1, media, packets)
            key = f"{made.room.platform_id}/{made.id}/1/{rendition.name}-{sequence}.m4s"
            await store.put(key, data, content_type="audio/mp4")
            follows_pause = at == start and start > 0
            session.add(
                _segment(
                    rendition, sequence, key, media, samples, at, data, discontinuity=follows_pause
                )
            )
            sequence, media, at = sequence + 1, media + samples, at + samples // PER_MS
    await session.flush()


def _line(said: Mapping[int, Iterable[OpusPacket]], start: int, end: int) -> Packets:
    """The packets between two moments, with silence where nothing was said."""
    line: Packets = []
    cursor, last = start * PER_MS, end * PER_MS
    for at in sorted(begin for begin in said if start <= begin < end):
        line += silence(at * PER_MS - cursor)
        cursor = max(cursor, at * PER_MS)
        for packet in said[at]:
            if cursor + packet.samples <= last:
                line.append((packet.payload, packet.samples))
                cursor += packet.samples
    return line + list(silence(last - cursor))


def _objects(line: Packets) -> Iterable[Packets]:
    part: Packets = []
    samples = 0
    for packet in line:
        part.append(packet)
        samples += packet[1]
        if samples >= OBJECT:
            yield part
            part, samples = [], 0
    if part:
        yield part


def _rendition(made: Recorded, name: str, who: UUID | None, codec: str) -> Rendition:
    return Rendition(
        recording_id=made.id,
        name=name,
        participant_id=who,
        codec=codec,
        init_key=f"{made.id}/{name}-init.mp4",
        init_bytes=len(init_segment(opus_entry())),
    )


def _segment(
    rendition: Rendition,
    sequence: int,
    key: str,
    media: int,
    samples: int,
    room_ms: int,
    data: bytes,
    *,
    discontinuity: bool = False,
) -> Segment:
    return Segment(
        rendition_id=rendition.id,
        sequence=sequence,
        epoch=1,
        object_key=key,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        media_start=media,
        samples=samples,
        room_start_ms=float(room_ms),
        discontinuity=discontinuity,
    )


async def record_script(
    session: AsyncSession, store: ObjectStore, script: Script, *, until_s: float | None = None
) -> Recorded:
    """The demo's room as it would be recorded without a lost packet; its first seconds."""
    until_ms = round((until_s or script.end_s) * 1000)
    pause = (round(script.pause_start_s * 1000), round(script.pause_end_s * 1000))
    pauses = [pause] if pause[1] < until_ms else []
    made = await recorded_room(session, duration_ms=until_ms, pauses=pauses)
    for speaker in script.speakers:
        said = {
            round(turn.start_s * 1000): read_ogg(turn.file)
            for turn in script.turns
            if turn.speaker == speaker.name and turn.start_s * 1000 < until_ms
        }
        await add_voice(session, store, made, speaker.name, said)
    return made
