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
from core.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unavailable
from core.http import Services, ServicesDep
from ingest.fleet import takers
from ingest.placement import whip_base_url
from ingest.turn import IceServer, ice_servers
from rooms.access import Action, RoomEnded, RoomNotLive
from rooms.models import RecordingState
from rooms.queries import room_for

PLACEMENT_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.1
TOKEN_TTL: Final = timedelta(minutes=10)

NOBODY_TAKES_ROOMS: Final = (
    "No receiving worker takes rooms: start one (encore ingest), or take back a drain "
    "(encore workers undrain ID)."
)

router = APIRouter(prefix="/v1", tags=["publish"])


class NoWorker(Unavailable):
    code = "no_ingest_worker"
    title = "No receiving worker has this room yet"


class ConsentMissing(Conflict):
    code = "consent_missing"
    title = "Agree to be recorded first: PUT /v1/rooms/{room_id}/consent"


class PublishTicket(BaseModel):
    """Where and with what to publish (WHIP, RFC 9725)."""

    whip_url: str = Field(
        description="post the SDP offer here; often on another origin than this API",
        examples=["https://ingest.example.org/whip/0199c1d2-..."],
    )
    token: str = Field(description="send as `Authorization: Bearer`; good for this room only")
    expires_at: datetime
    ice_servers: list[IceServer] = Field(
        description="relays for networks that let no UDP out: iceServers of an RTCPeerConnection; "
        "empty where there is none"
    )


@router.post(
    "/rooms/{room_id}/publish",
    summary="Get a ticket to publish your voice",
    responses=problems(
        NotFound, Unauthenticated, Forbidden, RoomNotLive, RoomEnded, ConsentMissing, NoWorker
    ),
)
async def publish(
    room_id: UUID, request: Request, services: ServicesDep, _: Documented
) -> PublishTicket:
    """A speaker's ticket for the room. 503 with Retry-After while no worker has taken it.

    In a room that is recorded the speaker must have agreed to it: what he says would not be
    kept. With the ticket, publish by WHIP (RFC 9725); send `Authorization: Bearer <token>`
    with each request:

    1. `POST whip_url`, `Content-Type: application/sdp`, the offer as body: one audio line,
       Opus, `sendonly`. 201 brings the SDP answer, with all candidates of the server, and in
       `Location` the address of the session.
    2. Connect by ICE and DTLS, and send; where UDP is blocked, through `ice_servers`, which the
       answer's `Link` headers name too. To restart ICE, `PATCH` the session with
       `If-Match: *` and an SDP fragment (`application/trickle-ice-sdpfrag`); the client's
       candidates are not needed.
    3. `DELETE` the session to stop. To come back, ask here for a new ticket.
    """
    claims = await _claims(request, services, room_id)
    base_url = await _placement(services.database, room_id)
    issued = issue_room_token(services.secret, claims, ttl=TOKEN_TTL)
    return PublishTicket(
        whip_url=f"{base_url}/whip/{room_id}",
        token=issued.token,
        expires_at=issued.expires_at,
        ice_servers=ice_servers(services.settings),
    )


async def _claims(request: Request, services: Services, room_id: UUID) -> RoomClaims:
    """In a transaction of its own: nobody waits for a worker while holding a connection."""
    async with services.database.transaction() as session:
        principal = await caller(request, services, session)
        room, own = await room_for(session, principal, room_id, Action.SPEAK)
    if own is None:
        raise NotFound("There is no such room.")
    if own.consented_at is None and room.recording_state is not RecordingState.OFF:
        raise ConsentMissing(f"Agree to be recorded first: PUT /v1/rooms/{room_id}/consent.")
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
            raise await _no_worker(database)
        await asyncio.sleep(POLL_SECONDS)


async def _no_worker(database: Database) -> NoWorker:
    async with database.transaction() as session:
        awaited = await takers(session)
    what = "" if awaited else NOBODY_TAKES_ROOMS
    return NoWorker(what, headers={"Retry-After": "2"})
