"""Who changed what in a transcript, and when; and which edits wait for a person's decision."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from core.auth.models import User
from core.auth.principal import Principal
from core.errors import Forbidden
from replay.recordings import room_of
from rooms.access import Action
from rooms.models import Participant
from rooms.queries import spoken_with_consent
from transcripts.models import Patch, PatchState, Transcript
from transcripts.patches import Said, text_of, within
from transcripts.publication import edited_track


@dataclass(frozen=True, slots=True)
class MadeEdit:
    """`current`: what stands in its stretch now, for an edit in conflict."""

    patch: Patch
    author: str
    withdrawn_by: str | None
    current: str | None


async def history(
    session: AsyncSession,
    *,
    principal: Principal,
    recording_id: UUID,
    state: PatchState | None = None,
    before: int | None = None,
    limit: int,
) -> list[MadeEdit]:
    """The newest first: everybody's for who may edit everything, else of the own words.

    `before` is the number of the last one of the page before. Raises what access raises.
    """
    whose = await whose_words(session, principal, recording_id, Patch.participant_id)
    author, withdrawer = aliased(User), aliased(User)
    query = (
        sa.select(Patch, author.display_name, withdrawer.display_name)
        .join(Participant, Participant.id == Patch.participant_id)
        .join(author, author.id == Patch.author_id)
        .outerjoin(withdrawer, withdrawer.id == Patch.withdrawn_by)
        .where(Patch.recording_id == recording_id, spoken_with_consent(), whose)
        .order_by(Patch.number.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(Patch.state == state)
    if before is not None:
        query = query.where(Patch.number < before)
    rows = (await session.execute(query)).all()
    current = await _current(session, recording_id, [patch for patch, _, _ in rows])
    return [MadeEdit(p, made_by, by, current.get(p.id)) for p, made_by, by in rows]


async def whose_words(
    session: AsyncSession,
    principal: Principal,
    recording_id: UUID,
    participant_id: InstrumentedAttribute[UUID],
) -> sa.ColumnElement[bool]:
    """Of which participants the caller may see changes. Raises what access raises."""
    _, own = await room_of(session, principal, recording_id, Action.EDIT_OWN)
    try:
        await room_of(session, principal, recording_id, Action.EDIT)
    except Forbidden:
        return participant_id == (own.id if own else None)
    return sa.true()


async def _current(
    session: AsyncSession, recording_id: UUID, patches: list[Patch]
) -> dict[UUID, str]:
    conflicts = [p for p in patches if p.state is PatchState.CONFLICT]
    head = await session.get(Transcript, recording_id)
    if head is None or not conflicts:
        return {}
    tracks: dict[UUID, list[Said]] = {}
    for who in {p.participant_id for p in conflicts}:
        tracks[who] = (await edited_track(session, head, who))[0].said
    said = ((p, tracks[p.participant_id]) for p in conflicts)
    return {p.id: text_of(words[within(words, p.start_ms, p.end_ms)]) for p, words in said}
