"""Rows and objects of a spool, as an uploader leaves them, with a room for them to belong to."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import uuid7
from core.storage import ObjectStore
from ingest.manifest import GapFound, RenditionOpened, SegmentWritten
from ingest.models import (
    Gap,
    GapCause,
    IngestWorker,
    Recording,
    RecordingStatus,
    Rendition,
    Segment,
)
from rooms.models import Participant, RecordingState, Role, Room, RoomState, Visibility
from tests.factories import make_platform, make_user
from tests.replay.spools import LIVE_AT_US, Spool

LIVE_AT = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=LIVE_AT_US)


async def make_room(
    session: AsyncSession,
    *,
    recording_id: UUID | None,
    state: RoomState = RoomState.ENDED,
    visibility: Visibility = Visibility.PUBLIC,
) -> Room:
    platform = await make_platform(session)
    host = await make_user(session, platform)
    scheduled = state is RoomState.SCHEDULED
    room = Room(
        platform_id=platform.id,
        host_id=host.id,
        title="A room",
        visibility=visibility,
        state=state,
        live_at=None if scheduled else LIVE_AT,
        ended_at=LIVE_AT + timedelta(minutes=5) if state is RoomState.ENDED else None,
        recording_state=RecordingState.OFF if scheduled else RecordingState.ON,
        recording_id=recording_id,
    )
    session.add(room)
    await session.flush()
    return room


async def make_speaker(session: AsyncSession, room: Room, name: str) -> Participant:
    user = await make_user(session, display_name=name)
    participant = Participant(
        room_id=room.id, user_id=user.id, display_name=name, role=Role.SPEAKER
    )
    session.add(participant)
    await session.flush()
    return participant


async def store_recording(
    session: AsyncSession,
    room: Room,
    spool: Spool,
    *,
    status: RecordingStatus = RecordingStatus.STORED,
) -> Recording:
    worker = IngestWorker(whip_url="http://w", started_at=LIVE_AT, heartbeat_at=LIVE_AT)
    session.add(worker)
    await session.flush()
    recording = Recording(
        id=spool.recording_id,
        room_id=room.id,
        platform_id=room.platform_id,
        worker_id=worker.id,
        epoch=1,
        status=status,
        live_at=LIVE_AT,
    )
    session.add(recording)
    await session.flush()
    finish(recording, spool, status)
    return recording


def finish(recording: Recording, spool: Spool, status: RecordingStatus) -> None:
    recording.status = status
    if status is RecordingStatus.STORED:
        recording.media_samples = spool.media_samples
        recording.ended_at = recording.stored_at = LIVE_AT + timedelta(minutes=5)
        recording.packets_received, recording.packets_lost = 1000, 7


async def store_lines(
    session: AsyncSession, store: ObjectStore, spool: Spool, *, after: int = 0
) -> int:
    """Objects and rows of the spool's lines from `after` on; returns where to go on."""
    renditions = await _renditions(session, spool)
    for line in spool.lines[after:]:
        if isinstance(line, RenditionOpened):
            renditions[line.rendition] = await _store_rendition(session, store, spool, line)
        elif isinstance(line, SegmentWritten):
            key = _key(spool, line.file)
            await store.put(key, (spool.folder / line.file).read_bytes(), content_type="audio/mp4")
            session.add(segment_row(renditions[line.rendition], key, line))
        elif isinstance(line, GapFound):
            session.add(
                Gap(
                    recording_id=spool.recording_id,
                    number=line.number,
                    cause=GapCause(line.cause),
                    room_start_ms=line.room_start_ms,
                    room_end_ms=line.room_end_ms,
                )
            )
    await session.flush()
    return len(spool.lines)


def segment_row(rendition_id: UUID, key: str, line: SegmentWritten) -> Segment:
    return Segment(
        rendition_id=rendition_id,
        sequence=line.sequence,
        epoch=1,
        object_key=key,
        bytes=line.bytes,
        sha256=line.sha256,
        media_start=line.media_start,
        samples=line.samples,
        room_start_ms=line.room_start_ms,
        discontinuity=line.discontinuity,
    )


def _key(spool: Spool, file: str) -> str:
    return f"{spool.platform_id}/{spool.recording_id}/1/{file}"


async def _renditions(session: AsyncSession, spool: Spool) -> dict[str, UUID]:
    rows = await session.execute(
        Rendition.__table__.select().where(Rendition.recording_id == spool.recording_id)
    )
    return {row.name: row.id for row in rows}


async def _store_rendition(
    session: AsyncSession, store: ObjectStore, spool: Spool, line: RenditionOpened
) -> UUID:
    key = _key(spool, line.file)
    await store.put(key, (spool.folder / line.file).read_bytes(), content_type="audio/mp4")
    row = Rendition(
        id=uuid7(),
        recording_id=spool.recording_id,
        name=line.rendition,
        participant_id=UUID(line.participant_id) if line.participant_id else None,
        codec=line.codec,
        init_key=key,
        init_bytes=line.bytes,
    )
    session.add(row)
    await session.flush()
    return row.id
