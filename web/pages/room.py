"""One room under one address: before it is live, while it is, and its replay."""

import time
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.dependencies import VisitorDep
from core.auth.principal import Principal
from core.http import SessionDep
from rooms.access import Action
from rooms.models import Participant, Room, RoomState
from rooms.queries import room_for
from rooms.schemas import EventOut, ParticipantOut
from web.pages import reading
from web.pages.languages import SPOKEN
from web.pages.render import page
from web.pages.route import PageRoute
from web.pages.tipping import tip_data
from web.pages.tones import staged

router = APIRouter(route_class=PageRoute)


@router.get("/rooms/{room_id}")
async def room(request: Request, session: SessionDep, me: VisitorDep, room_id: UUID) -> Response:
    found, own = await room_for(session, me, room_id, Action.SEE)
    there_once = await staged(session, [found.id])
    shared: dict[str, Any] = {
        "room": found,
        "host_name": await reading.host_name(session, found),
        "can": reading.permissions(me, found, own),
    }
    data = _room_data(found, me, own) | {
        "places": [(str(one.participant_id), str(one.user_id)) for one in there_once],
        "tips": await tip_data(session, found, me, own),
    }
    if found.state is RoomState.ENDED:
        return page(
            request, "rooms/replay.html", me=me, data=data, spoken_languages=SPOKEN, **shared
        )
    there = await reading.people(session, found)
    return page(
        request,
        "rooms/live.html",
        me=me,
        stage=there.stage,
        places={one.participant_id: one.place for one in there_once},
        audience=there.audience + len(there.stage),
        data=data | await _live_data(session, found, there),
        **shared,
    )


def _room_data(room: Room, me: Principal, own: Participant | None) -> dict[str, Any]:
    """What the page's script begins with."""
    return {
        "room": {
            "id": str(room.id),
            "title": room.title,
            "state": room.state.value,
            "recording_state": room.recording_state.value,
            "recording_id": str(room.recording_id) if room.recording_id else None,
            "live_at": room.live_at.isoformat() if room.live_at else None,
            "duration_ms": room.duration_ms,
            "host_id": str(room.host_id),
        },
        "me": {
            "user_id": str(me.user_id) if me.user_id else None,
            "admin": me.admin,
            "participant": _json(ParticipantOut, own) if own else None,
            "removed": own is not None and own.removed_at is not None,
        },
        "can": reading.permissions(me, room, own),
    }


async def _live_data(session: AsyncSession, room: Room, there: reading.People) -> dict[str, Any]:
    """State and the sequence number up to which it holds: the event stream goes on after it."""
    events = await reading.latest_events(session, room)
    return {
        "seq": room.event_seq,
        "recording_stopped": await reading.recording_stopped(session, room),
        "now_ms": time.time_ns() // 1_000_000,
        "participants": [_json(ParticipantOut, p) for p in (*there.stage, *there.asking)],
        "audience": there.audience + len(there.stage),
        "events": [_json(EventOut, event) for event in events],
    }


def _json(schema: type[BaseModel], row: object) -> dict[str, Any]:
    """As the API gives it."""
    return schema.model_validate(row).model_dump(mode="json")
