"""HTTP: what was said in a room, for who comes late and for who missed some of it."""

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Scope
from core.auth.rights import ScopeMissing, limit_to_scope
from core.buckets import Limit
from core.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from core.http import SessionDep
from core.ratelimit import rate_limit
from replay.recordings import NotRecorded, recording_of
from replay.subtitles import CueKind, ShownCue, shown_cues, subtitles_version
from rooms.access import RoomNotLive

READ: Final = Limit("captions", 600, timedelta(minutes=1), lease=10)

router = APIRouter(prefix="/v1", tags=["replay"])

_EXAMPLE: dict[str, JsonValue] = {
    "version": 1,
    "items": [
        {
            "id": 41,
            "participant_id": "0199f0a2-6b77-7a10-8c3f-2d9e5b1a4c68",
            "display_name": "Ada Lovelace",
            "kind": "live",
            "start_ms": 61_250,
            "end_ms": 64_100,
            "language": "en",
            "text": "Hello, everyone! I'm Ada, and tonight\nwe talk about live rooms.",
        }
    ],
    "next": None,
}


class CaptionOut(BaseModel):
    """One cue. Times are on the room's clock."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    participant_id: UUID
    display_name: str
    kind: CueKind = Field(description="live: understood at once; final: of the transcript")
    start_ms: int
    end_ms: int
    language: str
    text: str = Field(description="one line or two")

    @classmethod
    def of(cls, cue: ShownCue) -> "CaptionOut":
        return cls(
            id=cue.number,
            participant_id=cue.participant_id,
            display_name=cue.name,
            kind=cue.kind,
            start_ms=cue.start_ms,
            end_ms=cue.end_ms,
            language=cue.language,
            text=cue.text,
        )


class CaptionPage(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    version: int = Field(
        description="rises when all captions are replaced, as by the final transcript: "
        "then begin at 0 again"
    )
    items: list[CaptionOut]
    next: int | None = Field(description="pass as `after` for the next page; null at the end")


@router.get(
    "/rooms/{room_id}/captions",
    summary="Page through a room's captions",
    dependencies=[Depends(rate_limit(READ, per_credential=True))],
    responses=problems(
        Unauthenticated,
        Forbidden,
        ScopeMissing,
        NotFound,
        NotRecorded,
        RoomNotLive,
        TooManyRequests,
    ),
)
async def captions(
    room_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> CaptionPage:
    """In the order in which they came. New ones are told by the room's events (`caption`), and
    are in the HLS of `master_url`. Who took their consent to be recorded back is not in it. An
    API key needs `recordings:read`."""
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    recording_id = await recording_of(session, principal, room_id)
    found = await shown_cues(session, recording_id, after=after, limit=limit + 1)
    page = [CaptionOut.of(cue) for cue in found[:limit]]
    return CaptionPage(
        version=await subtitles_version(session, recording_id),
        items=page,
        next=page[-1].id if len(found) > limit else None,
    )
