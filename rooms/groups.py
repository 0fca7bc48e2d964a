"""Lists of people that members-only rooms belong to.

A person makes a group and owns it; a platform's API key makes and manages all groups of its
platform. A platform that keeps its own lists names a group by `key` in its room tokens, so
only API keys choose keys.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import ScopeMissing, require_user
from core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from core.ids import uuid7
from rooms.models import Group, GroupMember

PAGE = 50


class GroupKeyTaken(Conflict):
    code = "group_key_taken"
    title = "The platform has a group with this key already"


async def create_group(
    session: AsyncSession, *, principal: Principal, name: str, key: str | None = None
) -> Group:
    """A person owns what he makes and is its first member. Raises GroupKeyTaken."""
    _manages_all(principal)
    owner_id = None if principal.kind is Kind.API_KEY else require_user(principal)
    if key is not None and owner_id is not None:
        raise Forbidden("Only a platform chooses the keys of its groups.")
    group_id = uuid7()
    values = {"platform_id": principal.platform_id, "name": name, "owner_id": owner_id}
    row = (
        insert(Group)
        .values(id=group_id, key=key or str(group_id), **values)
        .on_conflict_do_nothing(index_elements=["platform_id", "key"])
        .returning(Group)
    )
    group = await session.scalar(row)
    if group is None:
        raise GroupKeyTaken
    if owner_id is not None:
        session.add(GroupMember(group_id=group.id, user_id=owner_id))
        await session.flush()
    return group


async def list_groups(
    session: AsyncSession, *, principal: Principal, after: UUID | None = None, limit: int = PAGE
) -> list[Group]:
    """Those the caller belongs to or manages, newest last."""
    query = sa.select(Group).where(_known(principal)).order_by(Group.id).limit(limit)
    if after is not None:
        query = query.where(Group.id > after)
    return list(await session.scalars(query))


async def group_for(
    session: AsyncSession, principal: Principal, group_id: UUID, *, manage: bool = False
) -> Group:
    """Raises NotFound for a group of others, Forbidden for managing a group one doesn't own."""
    group = await session.scalar(sa.select(Group).where(Group.id == group_id, _known(principal)))
    if group is None:
        raise NotFound("There is no such group.")
    if manage and not (_manages_all(principal) or group.owner_id == principal.user_id):
        raise Forbidden("Only the group's owner changes its members.")
    return group


async def add_member(
    session: AsyncSession, *, principal: Principal, group_id: UUID, user_id: UUID
) -> None:
    """Idempotent. Raises NotFound for a user of another platform."""
    group = await group_for(session, principal, group_id, manage=True)
    user = await session.get(User, user_id)
    if user is None or user.platform_id != group.platform_id:
        raise NotFound("There is no such user.")
    row = insert(GroupMember).values(group_id=group.id, user_id=user.id)
    await session.execute(row.on_conflict_do_nothing())


async def remove_member(
    session: AsyncSession, *, principal: Principal, group_id: UUID, user_id: UUID
) -> None:
    """Idempotent; members may take themselves off the list."""
    leaving = user_id == principal.user_id and principal.kind is Kind.USER
    group = await group_for(session, principal, group_id, manage=not leaving)
    await session.execute(
        sa.delete(GroupMember).where(
            GroupMember.group_id == group.id, GroupMember.user_id == user_id
        )
    )


def _manages_all(principal: Principal) -> bool:
    if principal.kind is Kind.STRANGER:
        raise Unauthenticated
    if principal.kind is Kind.API_KEY and Scope.ROOMS_WRITE not in principal.scopes:
        raise ScopeMissing(f"this needs an API key with the scope {Scope.ROOMS_WRITE}")
    return principal.kind is Kind.API_KEY or principal.admin


def _known(principal: Principal) -> sa.ColumnElement[bool]:
    """Room tokens vouch for groups in one room only: they open no group itself."""
    ours = Group.platform_id == principal.platform_id
    reads = principal.scopes & {Scope.ROOMS_READ, Scope.ROOMS_WRITE}
    if principal.admin or (principal.kind is Kind.API_KEY and reads):
        return ours
    if principal.kind is not Kind.USER:
        return sa.false()
    listed = sa.exists().where(
        GroupMember.group_id == Group.id, GroupMember.user_id == principal.user_id
    )
    return ours & (listed | (Group.owner_id == principal.user_id))
