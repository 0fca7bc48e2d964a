"""Erases the words of speakers who withdrew their consent and left it at that.

Hidden they are at once, wherever anything is read. They stay for a while, so that a withdrawal
by mistake costs nobody's corrections; then nothing here holds them any more. The sound stays:
who consents again may be transcribed again.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from replay.subtitles import SubtitleCue
from rooms.events import EventKind
from rooms.models import Participant, Room, RoomEvent
from rooms.queries import lock_room
from transcripts.indexing import index
from transcripts.models import Cue, Missing, Patch, Rename, Run, Window

KEPT_AFTER_WITHDRAWAL: Final = timedelta(days=7)


async def withdrawn_speakers(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    """(room, participant) of those whose words are to be erased; a hundred at most."""
    rows = await session.execute(_due().order_by(Room.id, Participant.id).limit(100))
    return [(room_id, participant_id) for room_id, _, participant_id in rows]


async def erase_words(session: AsyncSession, room_id: UUID, participant_id: UUID) -> bool:
    """Of all runs, captions and edits; False where there is nothing to erase any more.

    Takes the room's lock: for a transaction of its own.
    """
    await lock_room(session, room_id)
    still = _due().where(Room.id == room_id, Participant.id == participant_id)
    due = (await session.execute(still)).first()
    if due is not None:
        await _erase(session, due[1], participant_id)
    return due is not None


def _due() -> sa.Select[UUID, UUID | None, UUID]:
    """Speakers with words, whose last withdrawal is long enough ago."""
    kept = sa.func.now() - sa.literal(KEPT_AFTER_WITHDRAWAL, sa.Interval())
    by = sa.cast(Participant.id, sa.Text)
    withdrawals = (
        sa.select(RoomEvent.room_id, RoomEvent.data["participant_id"].astext.label("by"))
        .where(RoomEvent.kind == EventKind.CONSENT_WITHDRAWN)
        .group_by(RoomEvent.room_id, "by")
        .having(sa.func.max(RoomEvent.at) < kept)
        .subquery()
    )
    words = (
        sa.exists()
        .where(Run.recording_id == Room.recording_id, Window.run_id == Run.id)
        .where(Window.participant_id == Participant.id)
        .where(sa.func.jsonb_array_length(Window.words) > 0)
    )
    stored = [
        sa.exists().where(
            table.recording_id == Room.recording_id, table.participant_id == Participant.id
        )
        for table in (SubtitleCue, Patch)
    ]
    return (
        sa.select(Room.id, Room.recording_id, Participant.id)
        .join(withdrawals, withdrawals.c.room_id == Room.id)
        .join(Participant, (Participant.room_id == Room.id) & (by == withdrawals.c.by))
        .where(Participant.consented_at.is_(None), sa.or_(words, *stored))
    )


async def _erase(session: AsyncSession, recording_id: UUID | None, participant_id: UUID) -> None:
    if recording_id is None:
        return
    runs = sa.select(Run.id).where(Run.recording_id == recording_id)
    await session.execute(
        sa.update(Window)
        .where(Window.run_id.in_(runs), Window.participant_id == participant_id)
        .where(Window.words.is_not(None))
        .values(words=[], missing=[])
        .execution_options(synchronize_session=False)
    )
    for table in (Cue, Missing, Patch, Rename, SubtitleCue):
        await session.execute(
            sa.delete(table)
            .where(table.recording_id == recording_id, table.participant_id == participant_id)
            .execution_options(synchronize_session=False)
        )
    await index(session, recording_id)
