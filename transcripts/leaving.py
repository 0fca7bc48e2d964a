"""Speakers who have left for good: transcripts forget how they were called, not what was said."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.models import Participant
from transcripts.models import Rename, RunTrack, SpeakerName, Transcript
from transcripts.publication import announce, locked_room


async def recordings_with(session: AsyncSession, user_id: UUID) -> list[UUID]:
    """Whose transcripts have words of theirs."""
    theirs = (
        sa.select(Transcript.recording_id)
        .join(RunTrack, RunTrack.run_id == Transcript.run_id)
        .join(Participant, Participant.id == RunTrack.participant_id)
        .where(Participant.user_id == user_id)
        .order_by(Transcript.recording_id)
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
    for table in (SpeakerName, Rename):
        await session.execute(
            sa.delete(table)
            .where(table.recording_id == recording_id, table.participant_id == who)
            .execution_options(synchronize_session=False)
        )
    head = await session.get_one(Transcript, recording_id, populate_existing=True)
    await announce(session, room, head, of=who)
