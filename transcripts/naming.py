"""How speakers are called in a transcript; who had them called so, and when."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.display import clean_name
from core.auth.models import User
from core.auth.principal import Principal
from rooms.models import Participant
from rooms.queries import spoken_with_consent
from transcripts.edit_history import whose_words
from transcripts.editing import author_of, opened
from transcripts.models import Rename, SpeakerName, Transcript
from transcripts.publication import announce
from transcripts.reading import speaker_name

MOST_TOLD: Final = 50
"""Renames, the newest ones."""


async def name_speaker(
    session: AsyncSession,
    *,
    principal: Principal,
    recording_id: UUID,
    participant_id: UUID,
    name: str | None,
) -> Transcript:
    """How the speaker is called in this transcript; None: as in the room.

    Raises NameInvalid, TranscriptNotReady, SpeakerUnknown, and what access raises.
    """
    room, head = await opened(session, principal, recording_id, participant_id)
    wanted = None if name is None else clean_name(name)
    before = await _called(session, participant_id)
    await _call(session, principal, recording_id, participant_id, wanted)
    after = await _called(session, participant_id)
    if before != after:
        session.add(
            Rename(
                recording_id=recording_id,
                participant_id=participant_id,
                replaced=before,
                name=after,
                author_id=author_of(principal),
            )
        )
    await announce(session, room, head)
    return head


async def _called(session: AsyncSession, participant_id: UUID) -> str:
    query = (
        sa.select(speaker_name())
        .select_from(Participant)
        .outerjoin(SpeakerName, SpeakerName.participant_id == Participant.id)
        .where(Participant.id == participant_id)
    )
    return (await session.execute(query)).scalar_one()


async def _call(
    session: AsyncSession,
    principal: Principal,
    recording_id: UUID,
    participant_id: UUID,
    name: str | None,
) -> None:
    mine = {"recording_id": recording_id, "participant_id": participant_id}
    if name is None:
        await session.execute(sa.delete(SpeakerName).filter_by(**mine))
        return
    values = {"name": name, "set_by": author_of(principal), "set_at": sa.func.now()}
    put_name = insert(SpeakerName).values(**mine, **values)
    await session.execute(put_name.on_conflict_do_update(index_elements=list(mine), set_=values))


async def renames(
    session: AsyncSession, *, principal: Principal, recording_id: UUID
) -> list[tuple[Rename, str]]:
    """The newest first, with who made each: everybody's for who may edit everything, else one's
    own. Raises what access raises."""
    whose = await whose_words(session, principal, recording_id, Rename.participant_id)
    query = (
        sa.select(Rename, User.display_name)
        .join(Participant, Participant.id == Rename.participant_id)
        .join(User, User.id == Rename.author_id)
        .where(Rename.recording_id == recording_id, spoken_with_consent(), whose)
        .order_by(Rename.id.desc())
        .limit(MOST_TOLD)
    )
    return [(rename, author) for rename, author in await session.execute(query)]
