"""Who gave most: in a room, or to a creator. Anonymous tips count in the sums alone.

A creator's supporters are those who tipped in the rooms that the creator hosts and the caller may
hear. Tips by the creator do not count.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from payouts.tip_models import RoomTip
from rooms.access import audible_rooms
from rooms.models import Participant, Room


@dataclass(frozen=True, slots=True)
class Supporter:
    user_id: UUID
    name: str
    stars: int
    tips: int


@dataclass(frozen=True, slots=True)
class Supporters:
    items: list[Supporter]
    anonymous_stars: int
    total_stars: int


async def of_room(session: AsyncSession, room: Room, *, present: bool, limit: int) -> Supporters:
    """With `present`, only those who are in the room now."""
    in_room = RoomTip.room_id == room.id
    here = sa.select(Participant.user_id).where(
        Participant.room_id == room.id,
        Participant.joined_at.is_not(None),
        Participant.left_at.is_(None),
        Participant.removed_at.is_(None),
    )
    who = RoomTip.payer_id.in_(here) if present else sa.true()
    return await _found(session, in_room, who, limit)


async def of_creator(
    session: AsyncSession,
    principal: Principal,
    creator_id: UUID,
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> Supporters:
    """Those who tipped from `since` until before `until`."""
    hosted = sa.select(Room.id).where(Room.host_id == creator_id, audible_rooms(principal))
    counted = [RoomTip.room_id.in_(hosted), RoomTip.payer_id != creator_id]
    if since is not None:
        counted.append(RoomTip.at >= since)
    if until is not None:
        counted.append(RoomTip.at < until)
    return await _found(session, sa.and_(*counted), sa.true(), limit)


async def _found(
    session: AsyncSession,
    counted: sa.ColumnElement[bool],
    listed: sa.ColumnElement[bool],
    limit: int,
) -> Supporters:
    stars = sa.func.sum(RoomTip.stars)
    rows = await session.execute(
        sa.select(RoomTip.payer_id, User.display_name, stars, sa.func.count())
        .join(User, User.id == RoomTip.payer_id)
        .where(counted, listed, ~RoomTip.anonymous)
        .group_by(RoomTip.payer_id, User.display_name)
        .order_by(stars.desc(), sa.func.min(RoomTip.at))
        .limit(limit)
    )
    items = [Supporter(user_id, name, int(sum_), tips) for user_id, name, sum_, tips in rows]
    anonymous = sa.func.coalesce(stars.filter(RoomTip.anonymous), 0)
    sums = sa.select(anonymous, sa.func.coalesce(stars, 0)).where(counted)
    unnamed, total = (await session.execute(sums)).one()
    return Supporters(items, int(unnamed), int(total))
