"""Colors of people: those in one room differ as far as the palette allows.

Whoever came onto the stage first has the first color, the next one the next. Nobody leaves that
order, so it is the same on every page, before the end and after it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.events import EventKind
from rooms.models import RoomEvent

TONES: Final = 8
Places = Mapping[UUID, int]
"""By participant: how many came onto the room's stage before them."""

_NOWHERE: Final[Places] = {}


def tone(person_id: UUID, places: Places = _NOWHERE) -> str:
    """The class of somebody's colors; by the end of the ID, where UUIDv7 differs, of whoever has no
    place. stage-view.js does the same."""
    return f"tone-{places.get(person_id, int(person_id.hex[-2:], 16)) % TONES}"


class Staged(NamedTuple):
    """Somebody who was ever on a room's stage."""

    participant_id: UUID
    user_id: UUID
    place: int


async def places_on_stage(session: AsyncSession, room_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Of all who were ever on these rooms' stages."""
    return {one.participant_id: one.place for one in await staged(session, room_ids)}


async def staged(session: AsyncSession, room_ids: Sequence[UUID]) -> list[Staged]:
    """The first comers of each room first."""
    if not room_ids:
        return []
    who = RoomEvent.data["participant_id"].astext
    person = RoomEvent.data["user_id"].astext
    # The kind is written out: only so does the partial index serve it.
    joined = RoomEvent.kind == sa.literal_column(f"'{EventKind.STAGE_JOINED}'")
    first = sa.func.min(RoomEvent.seq)
    place = sa.func.row_number().over(partition_by=RoomEvent.room_id, order_by=first)
    rows = await session.execute(
        sa.select(who, person, place)
        .where(RoomEvent.room_id.in_(room_ids), joined)
        .group_by(RoomEvent.room_id, who, person)
        .order_by(RoomEvent.room_id, first)
    )
    return [Staged(UUID(one), UUID(user), number - 1) for one, user, number in rows]
