"""The list of rooms, and the form that makes one."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from core.auth.dependencies import VisitorDep
from core.errors import Unauthenticated
from core.http import SessionDep
from rooms.groups import list_groups
from rooms.models import RoomState
from rooms.schemas import TopicFilter
from web.pages import reading
from web.pages.languages import OFFERED
from web.pages.render import page
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)


@router.get("/")
async def room_list(
    request: Request, session: SessionDep, me: VisitorDep, topic: TopicFilter | None = None
) -> Response:
    found: dict[str, Any] = {
        state.value: await reading.cards(session, me, state, topic=topic) for state in RoomState
    }
    return page(request, "rooms/list.html", me=me, topic=topic, **found)


@router.get("/rooms/new")
async def new_room(request: Request, session: SessionDep, me: VisitorDep) -> Response:
    if me.user_id is None:
        raise Unauthenticated
    groups = await list_groups(session, principal=me)
    return page(request, "rooms/new.html", me=me, groups=groups, languages=OFFERED)
