"""HTTP: search over everything that was said."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Scope
from core.auth.rights import ScopeMissing, limit_to_scope
from core.buckets import Limit
from core.errors import TooManyRequests, Unauthenticated
from core.http import RequestBody, ServicesDep, SessionDep
from core.ratelimit import rate_limit
from rooms.schemas import Language, TopicFilter
from transcripts.cursor import CursorInvalid, read_cursor
from transcripts.found import FoundRecording, Moment
from transcripts.query import MOST_CHARS, QueryInvalid, parse
from transcripts.ranking import Sort
from transcripts.reach import Filters
from transcripts.search import Found, SearchTooSlow, Wanted, search

SEARCH: Final = Limit("search", 600, timedelta(minutes=1), local=True)
"""A person who types makes several a second."""


_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _in_utc(given: object, parse: ValidatorFunctionWrapHandler) -> datetime:
    """A day is its first moment in UTC."""
    day = isinstance(given, str) and _DAY.fullmatch(given)
    try:
        at: datetime = parse(f"{given}T00:00:00Z" if day else given)
        return at.astimezone(UTC)
    except (ValidationError, OverflowError):
        raise PydanticCustomError("time", "write 2026-11-22 or 2026-11-22T00:00:00Z") from None


_TIME_OR_DAY: Final = {
    "anyOf": [{"type": "string", "format": form} for form in ("date-time", "date")]
}
Time = Annotated[AwareDatetime, WrapValidator(_in_utc), WithJsonSchema(_TIME_OR_DAY)]

router = APIRouter(prefix="/v1", tags=["transcripts"])


class SearchRequest(RequestBody):
    q: str = Field(
        max_length=MOST_CHARS,
        description='`sea boat` both words, `"the open sea"` side by side, `sea or boat` either, '
        "`-boat` without. Case and accents don't matter; words match in all their forms.",
        examples=['"open sea" -storm'],
    )
    prefix: bool = Field(False, description="the last word may be only begun: search as you type")
    speaker: UUID | None = Field(
        None, description="a user's ID, in whatever room: `user_id` of a moment or a participant"
    )
    host: UUID | None = Field(None, description="a user's ID: `host_id` of a room")
    room: UUID | None = None
    recording: UUID | None = Field(None, description="inside one recording")
    topic: TopicFilter | None = None
    language: Language | None = Field(
        None, description="only what was said in it; otherwise each word is taken in every language"
    )
    since: Time | None = Field(
        None,
        description="of rooms that went live then or later: a time with its zone, or a day, which "
        "is its first moment in UTC",
        examples=["2026-11-21T21:00:00Z", "2026-11-21"],
    )
    until: Time | None = Field(
        None,
        description="of rooms that went live before this; a day itself is left out",
        examples=["2026-11-21T22:00:00+01:00", "2026-11-22"],
    )
    sort: Sort = Sort.RELEVANCE
    after: str | None = Field(None, max_length=400, description="`next` of the page before")
    limit: int = Field(20, ge=1, le=50)

    def wanted(self) -> Wanted:
        """Raises QueryInvalid, CursorInvalid."""
        filters = Filters(
            speaker_id=self.speaker,
            host_id=self.host,
            room_id=self.room,
            recording_id=self.recording,
            topic=self.topic,
            language=self.language,
            since=self.since,
            until=self.until,
        )
        return Wanted(
            text=self.q,
            query=parse(self.q, prefix=self.prefix),
            filters=filters,
            sort=self.sort,
            after=None if self.after is None else read_cursor(self.after),
            limit=self.limit,
        )


class PieceOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    text: str
    match: bool


class MomentOut(BaseModel):
    """`text` in pieces, so that nobody has to put markup into what people said."""

    start_ms: int = Field(description="of the first word that matched, on the room's clock")
    end_ms: int
    participant_id: UUID
    user_id: UUID = Field(description="the speaker's; what the filter `speaker` takes")
    speaker: str
    language: str
    text: list[PieceOut]
    url: str = Field(description="the replay's page at that moment")

    @classmethod
    def of(cls, moment: Moment, room_url: str) -> Self:
        return cls(
            start_ms=moment.start_ms,
            end_ms=moment.end_ms,
            participant_id=moment.participant_id,
            user_id=moment.user_id,
            speaker=moment.speaker,
            language=moment.language,
            text=[PieceOut.model_validate(piece) for piece in moment.pieces],
            url=f"{room_url}#t={moment.start_ms}",
        )


class FoundRecordingOut(BaseModel):
    recording_id: UUID
    room_id: UUID
    title: str
    host_id: UUID
    host_name: str
    topics: list[str]
    live_at: datetime | None
    duration_ms: int | None
    matches: int = Field(description="how many of its cues match")
    moments: list[MomentOut] = Field(description="the best ones")

    @classmethod
    def of(cls, found: FoundRecording, web_url: str) -> Self:
        room = found.room
        room_url = f"{web_url}/rooms/{room.id}"
        return cls(
            recording_id=found.recording_id,
            room_id=room.id,
            title=room.title,
            host_id=room.host_id,
            host_name=found.host_name,
            topics=room.topics,
            live_at=room.live_at,
            duration_ms=room.duration_ms,
            matches=found.matches,
            moments=[MomentOut.of(moment, room_url) for moment in found.moments],
        )


class TotalOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    recordings: int
    matches: int
    sampled: bool = Field(
        description="the words are so common that only their newest matches were counted and ranked"
    )


_EXAMPLE: dict[str, JsonValue] = {
    "recordings": [
        {
            "recording_id": "0199f0a2-5c1e-7c43-9d51-4f8a7d2c1b3e",
            "room_id": "0199f0a1-91d4-7b02-a6e5-7c3b8f2d1e90",
            "title": "What the sea keeps",
            "host_id": "0199f0a0-11aa-7e15-b0c1-5d2f7a9e4c31",
            "host_name": "Ada Lovelace",
            "topics": ["diving", "history"],
            "live_at": "2026-11-21T21:00:00Z",
            "duration_ms": 1_800_000,
            "matches": 2,
            "moments": [
                {
                    "start_ms": 754_320,
                    "end_ms": 757_900,
                    "participant_id": "0199f0a2-6b77-7a10-8c3f-2d9e5b1a4c68",
                    "user_id": "0199f0a0-11aa-7e15-b0c1-5d2f7a9e4c31",
                    "speaker": "Ada Lovelace",
                    "language": "en",
                    "text": [
                        {"text": "Nobody had been that far out on the ", "match": False},
                        {"text": "open sea", "match": True},
                        {"text": ".", "match": False},
                    ],
                    "url": "https://encore.example/rooms/0199f0a1-91d4-7b02-a6e5-7c3b8f2d1e90#t=754320",
                }
            ],
        }
    ],
    "total": {"recordings": 1, "matches": 2, "sampled": False},
    "next": None,
    "ignored": ["the"],
    "did_you_mean": None,
}


class SearchOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    recordings: list[FoundRecordingOut]
    total: TotalOut | None = Field(description="with the first page")
    next: str | None = Field(description="pass as `after` for the next page; null at the end")
    ignored: list[str] = Field(description="words that say too little to be searched for")
    did_you_mean: str | None = Field(
        description="where nothing was found: `q` with words alike that were said"
    )

    @classmethod
    def of(cls, found: Found, web_url: str) -> Self:
        return cls(
            recordings=[FoundRecordingOut.of(one, web_url) for one in found.recordings],
            total=TotalOut.model_validate(found.total) if found.total else None,
            next=found.next,
            ignored=list(found.ignored),
            did_you_mean=found.did_you_mean,
        )


@router.get(
    "/search",
    summary="Search what was said",
    dependencies=[Depends(rate_limit(SEARCH, per_credential=True))],
    responses=problems(
        Unauthenticated, ScopeMissing, QueryInvalid, CursorInvalid, TooManyRequests, SearchTooSlow
    ),
)
async def find(
    asked: Annotated[SearchRequest, Query()],
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> SearchOut:
    """Every recording that the caller may hear, with its best moments.

    Unlisted rooms show up only for their host and the platform, group rooms for members. An API
    key needs the scope `recordings:read`.
    """
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    found = await search(session, principal=principal, wanted=asked.wanted())
    return SearchOut.of(found, services.settings.public_web_url)
