"""After a tip: the host thanks for it, and host or co-hosts may hide its message."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from core.errors import NotFound
from payouts.tip_models import RoomTip
from rooms.access import Action
from rooms.events import TIP_SENT, record_event, tell_changed
from rooms.models import Room, RoomEvent
from rooms.queries import room_for

TIP_THANKED = "tip.thanked"
TIP_HIDDEN = "tip.hidden"


class TipUnknown(NotFound):
    code = "tip_unknown"
    title = "There is no such tip in this room"


async def thank(
    session: AsyncSession, *, principal: Principal, room_id: UUID, tip_id: UUID
) -> tuple[Room, RoomTip]:
    """By the room's host. An event tells the room, and with it the sender. Idempotent.

    Raises TipUnknown, and what access raises.
    """
    require_user(principal)
    room, _ = await room_for(session, principal, room_id, Action.THANK)
    tip = await _tip(session, room, tip_id)
    if tip.thanked_at is None:
        tip.thanked_at = datetime.now(UTC)
        await session.flush()
        data = {"tip_id": str(tip.id)}
        await record_event(session, room, TIP_THANKED, actor_id=principal.user_id, data=data)
    return room, tip


async def hide_message(
    session: AsyncSession, *, principal: Principal, room_id: UUID, tip_id: UUID
) -> None:
    """Hides the message from all but its writer, also in the room's event. Idempotent.

    Raises TipUnknown, and what access raises.
    """
    room, _ = await room_for(session, principal, room_id, Action.HIDE_TIP)
    tip = await _tip(session, room, tip_id)
    if tip.hidden_at is None:
        tip.hidden_at = datetime.now(UTC)
        await session.flush()
        await _hide_in_event(session, room, tip)
        data = {"tip_id": str(tip.id)}
        await record_event(session, room, TIP_HIDDEN, actor_id=principal.user_id, data=data)


async def _tip(session: AsyncSession, room: Room, tip_id: UUID) -> RoomTip:
    query = sa.select(RoomTip).where(RoomTip.id == tip_id, RoomTip.room_id == room.id)
    tip = await session.scalar(query.with_for_update())
    if tip is None:
        raise TipUnknown
    return tip


async def _hide_in_event(session: AsyncSession, room: Room, tip: RoomTip) -> None:
    wordless = RoomEvent.data.op("||")(sa.literal({"message": None}, JSONB))
    await session.execute(
        sa.update(RoomEvent)
        .where(
            RoomEvent.room_id == room.id,
            RoomEvent.kind == TIP_SENT,
            RoomEvent.data.op("->>")("tip_id") == str(tip.id),
        )
        .values(data=wordless)
        .execution_options(synchronize_session=False)
    )
    await tell_changed(session, [room.id])
