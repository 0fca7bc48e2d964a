"""The groups that somebody belongs to, and the members of one."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.dependencies import VisitorDep
from core.auth.models import User
from core.errors import Unauthenticated
from core.http import SessionDep
from rooms.groups import group_for, list_groups
from rooms.models import GroupMember
from web.pages.render import page
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)

SHOWN = 500


@dataclass(frozen=True, slots=True)
class Member:
    user_id: UUID
    display_name: str


async def members(session: AsyncSession, group_id: UUID) -> list[Member]:
    """By name, at most SHOWN."""
    query = (
        sa.select(User.id, User.display_name)
        .join(GroupMember, GroupMember.user_id == User.id)
        .where(GroupMember.group_id == group_id)
        .order_by(sa.func.lower(User.display_name), User.id)
        .limit(SHOWN)
    )
    return [Member(user_id, name) for user_id, name in (await session.execute(query)).all()]


@router.get("/groups")
async def group_list(request: Request, session: SessionDep, me: VisitorDep) -> Response:
    if me.user_id is None:
        raise Unauthenticated
    groups = await list_groups(session, principal=me)
    return page(request, "groups/list.html", me=me, groups=groups)


@router.get("/groups/{group_id}")
async def group(request: Request, session: SessionDep, me: VisitorDep, group_id: UUID) -> Response:
    if me.user_id is None:
        raise Unauthenticated
    found = await group_for(session, me, group_id)
    return page(
        request,
        "groups/group.html",
        me=me,
        group=found,
        manages=found.owner_id == me.user_id or me.admin,
        members=await members(session, group_id),
    )
