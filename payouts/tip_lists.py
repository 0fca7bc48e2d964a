"""Lists of tips: those of a room, each with the sentence it is pinned to, and one's own.

A tip is pinned to a moment. Its sentence is looked up whenever the tip is read: in a live room's
captions or in the transcript published by then, and only if the speaker consents at that time.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from payouts.tip_models import RoomTip
from replay.subtitles import ShownCue, cues_between
from rooms.models import Room

LONGEST_PAUSE_MS: Final = 10_000
"""A tip this long after the end of a sentence still belongs to it."""

LONGEST_CUE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Sentence:
    participant_id: UUID
    speaker: str
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class ShownTip:
    tip: RoomTip
    name: str
    """The payer's, also of an anonymous tip: whoever shows it checks that."""

    sentence: Sentence | None = None


def sentence_at(cues: Sequence[ShownCue], room_ms: int) -> Sentence | None:
    """The sentence that began last before the moment, if it was still being said or had just ended.
    `cues` are ordered by their beginning."""
    for cue in reversed(cues[: bisect_right(cues, room_ms, key=lambda cue: cue.start_ms)]):
        if cue.start_ms < room_ms - LONGEST_CUE_MS:
            return None
        if cue.end_ms >= room_ms - LONGEST_PAUSE_MS:
            return Sentence(cue.participant_id, cue.name, cue.start_ms, cue.end_ms, cue.text)
    return None


async def tips_of_room(
    session: AsyncSession, room: Room, *, after: tuple[int, UUID] | None, limit: int
) -> list[ShownTip]:
    """In the order of the room's clock."""
    query = (
        sa.select(RoomTip, User.display_name)
        .join(User, User.id == RoomTip.payer_id)
        .where(RoomTip.room_id == room.id)
        .order_by(RoomTip.room_ms, RoomTip.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.tuple_(RoomTip.room_ms, RoomTip.id) > sa.tuple_(*after))
    found = [(tip, name) for tip, name in await session.execute(query)]
    cues = await _cues_around(session, room, [tip.room_ms for tip, _ in found])
    return [ShownTip(tip, name, sentence_at(cues, tip.room_ms)) for tip, name in found]


async def shown(session: AsyncSession, room: Room, tip: RoomTip) -> ShownTip:
    name = await session.scalar(sa.select(User.display_name).where(User.id == tip.payer_id))
    cues = await _cues_around(session, room, [tip.room_ms])
    return ShownTip(tip, name or "", sentence_at(cues, tip.room_ms))


async def _cues_around(session: AsyncSession, room: Room, moments: Sequence[int]) -> list[ShownCue]:
    if room.recording_id is None or not moments:
        return []
    return await cues_between(
        session,
        room.recording_id,
        from_ms=min(moments) - LONGEST_CUE_MS,
        to_ms=max(moments),
    )


async def total_stars(session: AsyncSession, room: Room) -> int:
    total = sa.select(sa.func.coalesce(sa.func.sum(RoomTip.stars), 0))
    return int(await session.scalar(total.where(RoomTip.room_id == room.id)) or 0)


async def tips_of_payer(
    session: AsyncSession, user_id: UUID, *, before: UUID | None, limit: int
) -> list[ShownTip]:
    """Theirs, newest first, without sentences."""
    query = (
        sa.select(RoomTip, User.display_name)
        .join(User, User.id == RoomTip.payer_id)
        .where(RoomTip.payer_id == user_id)
        .order_by(RoomTip.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(RoomTip.id < before)
    return [ShownTip(tip, name) for tip, name in await session.execute(query)]
