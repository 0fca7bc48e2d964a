"""Colors of people: those in one room differ as far as the palette allows.

Whoever came onto the stage first has the first color, the next one the next. Nobody leaves that
order, so it is the same on every page, before the end and after it.
"""

from collections.abc import Mapping, Sequence
from typing import Final
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


async def places_on_stage(session: AsyncSession, room_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Of all who were ever on these rooms' stages, the first comers of each room first."""
    if not room_ids:
        return {}
    who = RoomEvent.data["participant_id"].astext
    # The kind is written out: only so does the partial index serve it.
    joined = RoomEvent.kind == sa.literal_column(f"'{EventKind.STAGE_JOINED}'")
    first = sa.func.min(RoomEvent.seq)
    place = sa.func.row_number().over(partition_by=RoomEvent.room_id, order_by=first)
    rows = await session.execute(
        sa.select(who, place)
        .where(RoomEvent.room_id.in_(room_ids), joined)
        .group_by(RoomEvent.room_id, who)
        .order_by(RoomEvent.room_id, first)
    )
    return {UUID(participant_id): number - 1 for participant_id, number in rows}
