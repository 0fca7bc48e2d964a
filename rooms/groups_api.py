"""HTTP: groups, whose members' rooms nobody else knows of."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.rights import AccountNeeded, ScopeMissing
from core.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from core.http import SessionDep
from core.ratelimit import rate_limit
from rooms import groups
from rooms.groups import GroupKeyTaken
from rooms.limits import CHANGE
from rooms.schemas import GroupOut, GroupPage, NewGroup

router = APIRouter(prefix="/groups", tags=["groups"])

CHANGING = [Depends(rate_limit(CHANGE, per_credential=True))]
REFUSED = (Unauthenticated, Forbidden, ScopeMissing, CrossSite, TooManyRequests)


@router.post(
    "",
    status_code=201,
    summary="Make a group",
    dependencies=CHANGING,
    responses=problems(*REFUSED, AccountNeeded, GroupKeyTaken),
)
async def create(new: NewGroup, session: SessionDep, principal: CallerDep) -> GroupOut:
    """A person owns the group and is its first member; an API key makes one of its platform."""
    group = await groups.create_group(session, principal=principal, name=new.name, key=new.key)
    return GroupOut.model_validate(group)


@router.get("", summary="Your groups", responses=problems(Unauthenticated))
async def find(
    session: SessionDep,
    principal: CallerDep,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> GroupPage:
    """Those you belong to or own; all of the platform for API keys and admins."""
    found = await groups.list_groups(session, principal=principal, after=after, limit=limit + 1)
    return GroupPage.of(found[:limit], more=len(found) > limit)


@router.put(
    "/{group_id}/members/{user_id}",
    status_code=204,
    summary="Add a member",
    dependencies=CHANGING,
    responses=problems(*REFUSED, NotFound),
)
async def add(group_id: UUID, user_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    await groups.add_member(session, principal=principal, group_id=group_id, user_id=user_id)


@router.delete(
    "/{group_id}/members/{user_id}",
    status_code=204,
    summary="Take a member off",
    dependencies=CHANGING,
    responses=problems(*REFUSED, NotFound),
)
async def remove(group_id: UUID, user_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    """The owner, an API key, or the member himself."""
    await groups.remove_member(session, principal=principal, group_id=group_id, user_id=user_id)
