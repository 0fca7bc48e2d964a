"""Speakers who have left for good: transcripts forget how they were called, not what was said."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.models import Recording
from replay.subtitles import SubtitleCue, rename_speakers
from rooms.models import Participant, Room
from transcripts.models import Rename, SpeakerName, Transcript
from transcripts.publication import announce, locked_room

_NAMES: Final = (SpeakerName, Rename)


async def recordings_with(session: AsyncSession, user_id: UUID) -> list[UUID]:
    """Which have captions or a transcript with words of theirs, or a name for them."""
    there = [
        sa.exists().where(
            table.recording_id == Room.recording_id, table.participant_id == Participant.id
        )
        for table in (SubtitleCue, *_NAMES)
    ]
    theirs = (
        sa.select(Recording.id)
        .join(Room, Room.recording_id == Recording.id)
        .join(Participant, Participant.room_id == Room.id)
        .where(Participant.user_id == user_id, sa.or_(*there))
        .order_by(Recording.id)
    )
    return list(await session.scalars(theirs))


async def forget_names(session: AsyncSession, recording_id: UUID, user_id: UUID) -> None:
    """How they were called in it, and who had them called so. It becomes another version, so that
    readers, subtitles and caches take the name that the room has now.

    Takes the room's lock: for a transaction of its own. Repeated, another version.
    """
    room = await locked_room(session, recording_id)
    whose = sa.select(Participant.id).where(
        Participant.room_id == room.id, Participant.user_id == user_id
    )
    who = (await session.scalars(whose)).one()
    for table in _NAMES:
        await session.execute(
            sa.delete(table)
            .where(table.recording_id == recording_id, table.participant_id == who)
            .execution_options(synchronize_session=False)
        )
    head = await session.get(Transcript, recording_id, populate_existing=True)
    if head is None:
        await rename_speakers(session, recording_id)
    else:
        await announce(session, room, head, of=who)
