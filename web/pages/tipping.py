"""What a room's page needs for tips: what Stars buy, when nobody would earn, its goal, and the tips
that came last."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from payouts.goals import goal_of
from payouts.tip_lists import ShownTip
from payouts.tip_models import RoomTip
from payouts.tip_place import earning, unpaid
from payouts.tip_schemas import RoomGoalOut, TierList, TipOut
from rooms.access import hears
from rooms.models import Participant, Room, RoomState
from rooms.moments import course_of

LATEST: Final = 30


async def tip_data(
    session: AsyncSession, room: Room, me: Principal, own: Participant | None
) -> dict[str, Any]:
    """What the script begins with; tips of a live room only for those who may hear it."""
    goal = RoomGoalOut.of(await goal_of(session, room))
    told = room.state is RoomState.LIVE and hears(me, room, own)
    latest = await _latest(session, room) if told else []
    return {
        **TierList.all().model_dump(),
        **goal.model_dump(mode="json"),
        **await _unpaid(session, room, me),
        "latest": [TipOut.of(each, me.user_id).model_dump(mode="json") for each in latest],
    }


async def _unpaid(session: AsyncSession, room: Room, me: Principal) -> dict[str, Any]:
    """Stretches of the room's clock at which a tip would bring nobody anything; and, of a live room
    whose host has left Encore, who on stage earns now: the page goes on from there."""
    if room.state is RoomState.SCHEDULED or me.user_id is None:
        return {"unpaid": [], "earners": None}
    course = await course_of(session, room.id)
    host, payer = room.host_id, me.user_id
    earners = None
    if room.state is RoomState.LIVE and host in course.gone:
        now = earning(course, course.now_ms, host=host, payer=payer)
        earners = [str(share.creator_id) for share in now]
    return {"unpaid": unpaid(course, host=host, payer=payer), "earners": earners}


async def _latest(session: AsyncSession, room: Room) -> list[ShownTip]:
    """The last ones on the room's clock, in its order, without their sentences."""
    rows = await session.execute(
        sa.select(RoomTip, User.display_name)
        .join(User, User.id == RoomTip.payer_id)
        .where(RoomTip.room_id == room.id)
        .order_by(RoomTip.room_ms.desc(), RoomTip.id.desc())
        .limit(LATEST)
    )
    return [ShownTip(tip, name) for tip, name in rows][::-1]
