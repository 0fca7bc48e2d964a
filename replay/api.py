"""HTTP: where to listen, live and later, and what was recorded."""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Scope
from core.auth.rights import ScopeMissing, limit_to_scope
from core.errors import Forbidden, NotFound, Unauthenticated
from core.http import Services, ServicesDep, SessionDep
from ingest.models import GapCause, RecordingStatus
from replay.capability import capability_key, issue
from replay.playlists import INDEX, LIVE, LIVE_MASTER, MASTER, REPLAY, track_playlist
from replay.recordings import (
    Detail,
    NotRecorded,
    Track,
    is_compacted,
    recording_detail,
    recording_of,
    tracks_of,
)
from replay.roomtime import RoomTime
from rooms.access import RoomNotLive


def _never_stored(response: Response) -> None:
    """Capabilities lie in the answers: no cache may hand them to somebody else."""
    response.headers["Cache-Control"] = "private, no-store"


router = APIRouter(prefix="/v1", tags=["replay"], dependencies=[Depends(_never_stored)])
REFUSED = problems(Unauthenticated, Forbidden, ScopeMissing, NotFound, NotRecorded, RoomNotLive)


class Links:
    """Addresses of one recording at the edge; they work until `expires_at`."""

    def __init__(self, services: Services, recording_id: UUID, *, compacted: bool) -> None:
        capability = issue(capability_key(services.secret), recording_id, at=datetime.now(UTC))
        self._base = f"{services.settings.public_edge_url}/{capability.token}/{recording_id}"
        self.expires_at = capability.expires_at
        self._compacted = compacted
        self.replay = self.to(REPLAY if compacted else INDEX)

    def track(self, rendition: str) -> str:
        return self.to(track_playlist(rendition, compacted=self._compacted))

    def to(self, playlist: str) -> str:
        return f"{self._base}/{playlist}"


class TrackOut(BaseModel):
    """One speaker's own sound, in the quality that was sent (Opus)."""

    participant_id: UUID
    display_name: str
    url: str = Field(description="HLS media playlist")
    room_start_ms: float = Field(description="the room's clock at its beginning")
    duration_ms: float

    @classmethod
    def of(cls, track: Track, links: Links) -> "TrackOut":
        return cls(
            participant_id=track.participant_id,
            display_name=track.display_name,
            url=links.track(track.rendition),
            room_start_ms=track.room_start_ms,
            duration_ms=track.duration_ms,
        )


_EDGE = (
    "https://edge.example/l6b0222709LxZ2t0mX1v2b3c4d5e6f7g8/0199f0a2-5c1e-7c43-9d51-4f8a7d2c1b3e"
)
_LISTEN_EXAMPLE: dict[str, JsonValue] = {
    "recording_id": "0199f0a2-5c1e-7c43-9d51-4f8a7d2c1b3e",
    "live_url": f"{_EDGE}/live.m3u8",
    "from_start_url": f"{_EDGE}/index.m3u8",
    "replay_url": f"{_EDGE}/index.m3u8",
    "live_master_url": f"{_EDGE}/live-master.m3u8",
    "master_url": f"{_EDGE}/master.m3u8",
    "tracks": [],
    "expires_at": "2026-11-21T23:00:00Z",
}


_ADA = "0199f0a2-6b77-7a10-8c3f-2d9e5b1a4c68"
_RECORDING_EXAMPLE: dict[str, JsonValue] = {
    "id": "0199f0a2-5c1e-7c43-9d51-4f8a7d2c1b3e",
    "room_id": "0199f0a1-91d4-7b02-a6e5-7c3b8f2d1e90",
    "status": "stored",
    "live_at": "2026-11-21T21:00:00Z",
    "duration_ms": 1_770_000.0,
    "spans": [
        {"media_start_ms": 0.0, "room_start_ms": 0.0, "duration_ms": 600_000.0},
        {"media_start_ms": 600_000.0, "room_start_ms": 630_000.0, "duration_ms": 1_170_000.0},
    ],
    "gaps": [
        {
            "participant_id": None,
            "cause": "off_the_record",
            "room_start_ms": 600_000.0,
            "room_end_ms": 630_000.0,
        },
        {
            "participant_id": _ADA,
            "cause": "packets_lost",
            "room_start_ms": 912_340.0,
            "room_end_ms": 912_400.0,
        },
    ],
    "tracks": [
        {
            "participant_id": _ADA,
            "display_name": "Ada Lovelace",
            "url": f"{_EDGE}/track-{_ADA}.m3u8",
            "room_start_ms": 1_840.0,
            "duration_ms": 1_768_160.0,
        }
    ],
    "packets_received": 88_405,
    "packets_lost": 3,
    "replay_url": f"{_EDGE}/index.m3u8",
    "expires_at": "2026-11-21T23:00:00Z",
}


class ListenOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_LISTEN_EXAMPLE]})

    recording_id: UUID
    live_url: str = Field(description="HLS, sliding window at the live edge")
    from_start_url: str = Field(description="HLS from 0:00; grows while the room is live")
    replay_url: str = Field(description="the same once it has ended")
    live_master_url: str = Field(description="the live edge with its captions, for HLS players")
    master_url: str = Field(description="from 0:00, or the replay, with captions")
    tracks: list[TrackOut] = Field(
        description="those of which something is stored: of a live room half a minute after their "
        "speakers began, and about as far behind"
    )
    expires_at: datetime = Field(description="ask again by then; the paths change")


class RecordingStatusOut(StrEnum):
    """`pending`: nobody has received anything yet; `stored`: all of it is in the store."""

    PENDING = "pending"
    LIVE = RecordingStatus.LIVE.value
    STORED = RecordingStatus.STORED.value


class SpanOut(BaseModel):
    """A stretch in which media time and the room's clock run together."""

    model_config = ConfigDict(from_attributes=True)

    media_start_ms: float
    room_start_ms: float
    duration_ms: float


class GapOut(BaseModel):
    """What is missing on the room's clock; without a participant, of everybody."""

    model_config = ConfigDict(from_attributes=True)

    participant_id: UUID | None
    cause: GapCause
    room_start_ms: float
    room_end_ms: float


class RecordingOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_RECORDING_EXAMPLE]})

    id: UUID
    room_id: UUID
    status: RecordingStatusOut
    live_at: datetime | None
    duration_ms: float = Field(description="length of the media, as far as it is stored")
    spans: list[SpanOut]
    gaps: list[GapOut]
    tracks: list[TrackOut]
    packets_received: int
    packets_lost: int
    replay_url: str
    expires_at: datetime

    @classmethod
    def of(cls, detail: Detail, recording_id: UUID, links: Links) -> "RecordingOut":
        found = detail.recording
        return cls(
            id=recording_id,
            room_id=detail.room.id,
            status=RecordingStatusOut(found.status) if found else RecordingStatusOut.PENDING,
            live_at=detail.room.live_at,
            duration_ms=_duration_ms(detail),
            spans=_spans(detail.clock),
            gaps=[GapOut.model_validate(gap) for gap in detail.gaps],
            tracks=[TrackOut.of(track, links) for track in detail.tracks],
            packets_received=found.packets_received if found else 0,
            packets_lost=found.packets_lost if found else 0,
            replay_url=links.replay,
            expires_at=links.expires_at,
        )


def _duration_ms(detail: Detail) -> float:
    recording = detail.recording
    if recording is not None and recording.media_samples is not None:
        return recording.media_samples / 48
    return detail.clock.duration_ms


def _spans(clock: RoomTime) -> list[SpanOut]:
    return [SpanOut.model_validate(span) for span in clock.spans]


@router.get("/rooms/{room_id}/listen", summary="Where to listen", responses=REFUSED)
async def listen(
    room_id: UUID, services: ServicesDep, session: SessionDep, principal: CallerDep
) -> ListenOut:
    """HLS addresses of a room that is live or has ended. They hold for one to two hours: a
    player that goes on longer asks again. Access that is taken away ends with them."""
    recording_id = await recording_of(session, principal, room_id)
    compacted = await is_compacted(session, recording_id)
    links = Links(services, recording_id, compacted=compacted)
    tracks = await tracks_of(session, recording_id)
    return ListenOut(
        recording_id=recording_id,
        live_url=links.to(LIVE),
        from_start_url=links.to(INDEX),
        replay_url=links.replay,
        live_master_url=links.to(LIVE_MASTER),
        master_url=links.to(MASTER),
        tracks=[TrackOut.of(track, links) for track in tracks],
        expires_at=links.expires_at,
    )


@router.get(
    "/rooms/{room_id}/replay.m3u8",
    status_code=302,
    response_class=RedirectResponse,
    summary="The room from 0:00, for players",
    responses=REFUSED,
)
async def replay_playlist(
    room_id: UUID, services: ServicesDep, session: SessionDep, principal: CallerDep
) -> RedirectResponse:
    """Redirects to the playlist at the edge. Pages of other origins may follow it without
    credentials, and get there what a stranger gets."""
    recording_id = await recording_of(session, principal, room_id)
    compacted = await is_compacted(session, recording_id)
    url = Links(services, recording_id, compacted=compacted).replay
    headers = {"Cache-Control": "private, no-store", "Access-Control-Allow-Origin": "*"}
    return RedirectResponse(url, 302, headers=headers)


@router.get(
    "/recordings/{recording_id}",
    summary="What was recorded, and what is missing",
    responses=REFUSED,
)
async def recording(
    recording_id: UUID, services: ServicesDep, session: SessionDep, principal: CallerDep
) -> RecordingOut:
    """The map between media time and the room's clock, every gap with its cause, and each
    speaker's track. It grows until `status` is `stored`. An API key needs `recordings:read`."""
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    detail = await recording_detail(session, principal, recording_id)
    found = detail.recording
    compacted = found is not None and found.compacted_at is not None
    links = Links(services, recording_id, compacted=compacted)
    return RecordingOut.of(detail, recording_id, links)
