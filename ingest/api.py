"""The way from a room to the worker that receives it: `POST /rooms/{id}/publish`."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from core.auth.dependencies import Documented, caller
from core.auth.documented import problems
from core.auth.room_tokens import RoomClaims, issue_room_token
from core.db import Database
from core.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from core.http import Services, ServicesDep
from ingest.placement import whip_base_url
from rooms.access import Action, RoomEnded, RoomNotLive
from rooms.queries import room_for

PLACEMENT_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.1
TOKEN_TTL: Final = timedelta(minutes=10)

router = APIRouter(prefix="/v1", tags=["publish"])


class NoWorker(Unavailable):
    code = "no_ingest_worker"
    title = "No receiving worker has this room yet"


class PublishTicket(BaseModel):
    """Where and with what to publish: an SDP offer is posted to `whip_url` (RFC 9725)."""

    whip_url: str = Field(examples=["https://ingest.example.org/whip/0199c1d2-..."])
    token: str = Field(description="send as `Authorization: Bearer`; good for this room only")
    expires_at: datetime


@router.post(
    "/rooms/{room_id}/publish",
    responses=problems(NotFound, Unauthenticated, Forbidden, RoomNotLive, RoomEnded, NoWorker),
)
async def publish(
    room_id: UUID, request: Request, services: ServicesDep, _: Documented
) -> PublishTicket:
    """A speaker's ticket for the room. 503 with Retry-After while no worker has taken it."""
    claims = await _claims(request, services, room_id)
    base_url = await _placement(services.database, room_id)
    issued = issue_room_token(services.secret, claims, ttl=TOKEN_TTL)
    return PublishTicket(
        whip_url=f"{base_url}/whip/{room_id}", token=issued.token, expires_at=issued.expires_at
    )


async def _claims(request: Request, services: Services, room_id: UUID) -> RoomClaims:
    """In a transaction of its own: nobody waits for a worker while holding a connection."""
    async with services.database.transaction() as session:
        principal = await caller(request, services, session)
        room, own = await room_for(session, principal, room_id, Action.SPEAK)
    if own is None:
        raise NotFound("There is no such room.")
    return RoomClaims(
        platform_id=room.platform_id,
        user_id=own.user_id,
        room_id=room.id,
        display_name=own.display_name,
        role=own.role,
        participant_id=own.id,
    )


async def _placement(database: Database, room_id: UUID) -> str:
    """Where the room is received; a room that has just gone live is claimed within moments."""
    deadline = time.monotonic() + PLACEMENT_SECONDS
    while True:
        async with database.transaction() as session:
            base_url = await whip_base_url(session, room_id)
        if base_url is not None:
            return base_url
        if time.monotonic() > deadline:
            raise NoWorker(headers={"Retry-After": "2"})
        await asyncio.sleep(POLL_SECONDS)
