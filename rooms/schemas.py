"""What the API of rooms takes and gives."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from core.auth.display import few_marks
from core.auth.room_tokens import IssuedToken
from core.http import RequestBody
from rooms.events import TIP_SENT
from rooms.models import (
    WHOLE_BPS,
    Group,
    Participant,
    RecordingState,
    Role,
    Room,
    RoomEvent,
    RoomState,
    Visibility,
)

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _plain(text: str, *, allowed: str = "") -> str:
    """Control and direction characters could rewrite what stands beside the text."""
    for char in text:
        control = unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
        if (control or char in _BIDI_CONTROLS) and char not in allowed:
            raise ValueError("must not contain control characters")
    return text


def _prose(text: str) -> str:
    return _plain(few_marks(text.replace("\r\n", "\n")), allowed="\n\t")


def _distinct(topics: list[str]) -> list[str]:
    return list({topic.casefold(): topic for topic in topics}.values())


def _line(max_chars: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=max_chars)


Title = Annotated[str, _line(140), AfterValidator(_plain), AfterValidator(few_marks)]
Prose = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_prose)]
Description = Prose
Topic = Annotated[str, _line(40), AfterValidator(_plain), AfterValidator(few_marks)]
Topics = Annotated[list[Topic], Field(max_length=8), AfterValidator(_distinct)]
LAST_SEEN: Final = "the number of the last event that was seen: what comes behind it"

TopicFilter = Annotated[
    str, StringConstraints(max_length=40), AfterValidator(_plain), AfterValidator(few_marks)
]
"""To search for: any text that a topic might be. PostgreSQL has no word for NUL."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def _code(tag: str) -> str:
    if not _LANGUAGE.fullmatch(tag):
        raise PydanticCustomError("language", "name a code such as en or pt-BR")
    return tag


Language = Annotated[
    str,
    AfterValidator(_code),
    Field(
        description="BCP 47",
        examples=["en", "it", "pt-BR"],
        json_schema_extra={"maxLength": 35, "pattern": f"^{_LANGUAGE.pattern}$"},
    ),
]
Key = Annotated[str, _line(100), AfterValidator(_plain)]
ROOM_EXAMPLE: dict[str, JsonValue] = {
    "title": "What the sea keeps",
    "description": "Three divers on the wrecks of the Ligurian coast.",
    "topics": ["diving", "history"],
    "language": "en",
    "visibility": "public",
}


ShareBps = Annotated[
    int,
    Field(
        ge=0,
        le=WHOLE_BPS,
        description="of every tip, in 1/100 of a percent, what the speakers on stage share "
        "equally; the host has the rest. Offered to who comes on stage from now on: what "
        "somebody agreed to stays",
        examples=[5000],
    ),
]


class NewRoom(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [ROOM_EXAMPLE]})

    title: Title
    description: Description = ""
    topics: Topics = Field([])
    language: Language = "en"
    visibility: Visibility = Visibility.PUBLIC
    group_id: UUID | None = Field(None, description="exactly for visibility `group`")
    scheduled_at: AwareDatetime | None = None
    record_from_start: bool = True
    speakers_share_bps: ShareBps = 0
    host_id: UUID | None = Field(None, description="API keys name the host; people host themselves")


class RoomChanges(RequestBody):
    """Only the fields that are sent are changed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "What the sea keeps, part 2"}]}
    )

    title: Title = ""
    description: Description = ""
    topics: Topics = Field([])
    language: Language = ""
    visibility: Visibility = Visibility.PUBLIC
    group_id: UUID | None = None
    scheduled_at: AwareDatetime | None = None
    record_from_start: bool = True
    speakers_share_bps: ShareBps = 0


class ParticipantOut(BaseModel):
    """`present`: in the room now. `consented`: agreed to be recorded. `share_bps`: what was offered
    with the stage of the room's tips, and agreed to by taking it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: UUID
    display_name: str = Field(examples=["Ada Lovelace"])
    role: Role
    invited_role: Role | None
    present: bool
    on_stage: bool
    share_bps: int
    muted: bool
    hand_raised: bool
    hand_raised_at: datetime | None
    consented: bool
    joined_at: datetime | None
    left_at: datetime | None
    removed: bool


class RoomOut(BaseModel):
    """`last_seq`: the events that this state holds; stream or page on after it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str = Field(examples=[ROOM_EXAMPLE["title"]])
    description: str
    topics: list[str]
    language: str = Field(examples=["en"])
    visibility: Visibility
    group_id: UUID | None
    state: RoomState
    host_id: UUID
    host_name: str = Field("", examples=["Ada Lovelace"])
    scheduled_at: datetime | None
    live_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None = Field(description="of the room's clock, once ended")
    record_from_start: bool
    speakers_share_bps: int
    recording_state: RecordingState
    recording_id: UUID | None
    last_seq: int = Field(validation_alias="event_seq", examples=[42])
    created_at: datetime

    @classmethod
    def of(cls, room: Room, host_name: str) -> Self:
        return cls.model_validate(room).model_copy(update={"host_name": host_name})


class RoomDetail(RoomOut):
    me: ParticipantOut | None = Field(None, description="the caller's own place in the room")


class RoomPage(BaseModel):
    items: list[RoomOut]
    next: UUID | None = Field(description="pass as `after` for the next page; null at the end")


class ParticipantPage(BaseModel):
    items: list[ParticipantOut]
    next: UUID | None


class RecordingChange(RequestBody):
    state: RecordingState = Field(
        description="`paused` is off the record; `off` stops for good", examples=["paused"]
    )


class Consent(RequestBody):
    consent: bool = Field(examples=[True])


class Hand(RequestBody):
    raised: bool = Field(examples=[True])


class ParticipantChange(RequestBody):
    """Exactly what is sent is done, in this order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "speaker"}]})

    role: Role | None = None
    muted: bool | None = Field(None, description="only the speaker himself unmutes")
    hand_raised: Literal[False] | None = Field(None, description="lowers somebody's hand")


class Invitation(RequestBody):
    user_id: UUID
    role: Role = Field(Role.SPEAKER, examples=["speaker"])


class Joined(BaseModel):
    """The token is good for this room only: publishing, listening, events."""

    participant: ParticipantOut
    token: str = Field(examples=["eyJhbGciOiJIUzI1NiIs..."])
    expires_at: datetime

    @classmethod
    def of(cls, participant: Participant, issued: IssuedToken) -> Self:
        return cls(
            participant=ParticipantOut.model_validate(participant),
            token=issued.token,
            expires_at=issued.expires_at,
        )


class TokenRequest(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "external_user_id": "customer-1815",
                    "display_name": "Ada Lovelace",
                    "groups": ["patrons"],
                }
            ]
        }
    )

    external_user_id: str = Field(max_length=400)
    display_name: str | None = Field(
        None, max_length=400, description="renames the person; needed for one you haven't made yet"
    )
    role: Literal[Role.COHOST, Role.SPEAKER, Role.LISTENER] = Field(
        Role.LISTENER, description="a place on the stage for the person, from the join on"
    )
    groups: list[Key] = Field([], max_length=32, description="keys of groups the person is in")
    ttl_s: int = Field(3600, ge=60, le=86_400)


class MintedToken(BaseModel):
    user_id: UUID
    token: str = Field(examples=["eyJhbGciOiJIUzI1NiIs..."])
    expires_at: datetime


class EventOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    seq: int = Field(examples=[7])
    room_ms: int | None = Field(description="on the room's clock", examples=[61_250])
    kind: str = Field(examples=["hand.raised"])
    actor_id: UUID | None
    data: dict[str, Any]
    at: datetime

    def for_outside(self) -> Self:
        """That it happened, for those who may see the room and not hear it."""
        return self.model_copy(update={"actor_id": None, "data": {}})


class History(BaseModel):
    events: list[EventOut]
    next: int | None = Field(description="pass as `after` for the next page; null at the end")

    @classmethod
    def of(cls, events: Sequence[RoomEvent], *, hears: bool, more: bool) -> Self:
        page = [EventOut.model_validate(event) for event in events]
        if not hears:
            page = [e.for_outside() if e.kind == TIP_SENT else e for e in page]
        return cls(events=page, next=page[-1].seq if more else None)


class NewGroup(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Patrons"}]})

    name: Title
    key: Key | None = Field(None, description="chosen by API keys, for the claim in room tokens")


class GroupOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    key: str = Field(examples=["patrons"])
    name: str = Field(examples=["Patrons"])
    owner_id: UUID | None
    created_at: datetime


class GroupPage(BaseModel):
    items: list[GroupOut]
    next: UUID | None

    @classmethod
    def of(cls, groups: Sequence[Group], *, more: bool) -> Self:
        items = [GroupOut.model_validate(group) for group in groups]
        return cls(items=items, next=items[-1].id if more else None)
