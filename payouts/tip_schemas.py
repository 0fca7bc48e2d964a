"""Requests and responses of the API of tips. `room_ms` is on the room's clock, as in events."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from core.http import RequestBody
from payouts.limits import Spending
from payouts.schemas import ClientKey
from payouts.supporters import Supporters
from payouts.tiers import MOST_STARS, TIERS, tier_of
from payouts.tip_lists import ShownTip
from payouts.tip_models import RoomGoal
from rooms.schemas import Title

_ADA: Final = "0199f0a2-6b77-7a10-8c3f-2d9e5b1a4c68"
_ROOM: Final = "0199f0a2-5c1e-7c43-9d51-4f8a7d2c1b3e"
_TIER: Final[dict[str, Any]] = {"name": "blaze", "color": "#2e7d32", "seconds": 30}
_TIP: Final[dict[str, Any]] = {
    "id": "0199f0c1-0000-7000-8000-000000000001",
    "room_id": _ROOM,
    "room_ms": 63_400,
    "stars": 100,
    "message": "That wreck is where I learned to dive.",
    "anonymous": False,
    "user_id": _ADA,
    "name": "Ada Lovelace",
    "mine": True,
    "tier": _TIER,
    "live": True,
    "sentence": {
        "participant_id": "0199f0a2-7000-7a10-8c3f-2d9e5b1a4c68",
        "speaker": "Grace Hopper",
        "start_ms": 61_250,
        "end_ms": 63_900,
        "text": "What the sea keeps,\nit keeps well.",
    },
    "at": "2026-11-22T10:01:03Z",
    "thanked_at": None,
    "hidden": False,
}
_GOAL: Final[dict[str, Any]] = {
    "id": "0199f0c1-0000-7000-8000-000000000002",
    "title": "A new hydrophone",
    "target_stars": 5_000,
    "raised_stars": 1_250,
    "reached_at": None,
    "set_at": "2026-11-22T10:00:00Z",
}


_ROOM_FOR_WORDS: Final = ", ".join(
    f"{tier.message_chars} from {tier.from_stars} Stars on" for tier in TIERS
)
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Bounds that no recording reaches, and within which every time zone can be computed."""


class TierOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_TIER]})

    name: str
    color: str = Field(description="`#rrggbb`, readable as text on white or behind white text")
    seconds: int = Field(description="how long it stays on top in a live room")


class FullTierOut(TierOut):
    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={"examples": [{**_TIER, "from_stars": 100, "message_chars": 200}]},
    )

    from_stars: int
    message_chars: int = Field(description="code points that a message may have")


class TierList(BaseModel):
    tiers: list[FullTierOut] = Field(
        description="by `from_stars`",
        examples=[[FullTierOut.model_validate(tier).model_dump() for tier in TIERS]],
    )
    most_stars: int = Field(description="in one tip", examples=[MOST_STARS])

    @classmethod
    def all(cls) -> Self:
        return cls(tiers=[FullTierOut.model_validate(t) for t in TIERS], most_stars=MOST_STARS)


class NewTip(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_key": "b6f1c2d0-tip-1",
                    "stars": 100,
                    "message": "That wreck is where I learned to dive.",
                    "heard_at": "2026-11-22T10:01:03.400Z",
                },
                {"client_key": "b6f1c2d0-tip-2", "stars": 10, "anonymous": True, "media_ms": 61000},
            ]
        }
    )

    client_key: ClientKey = Field(description="your own key, a new one for each tip")
    stars: int = Field(strict=True, ge=1, le=MOST_STARS)
    message: str = Field(
        "",
        max_length=2_000,
        description=f"characters: {_ROOM_FOR_WORDS} (`GET /v1/stars/tiers`). Becomes one line, "
        "without control and direction characters",
    )
    anonymous: bool = Field(
        False,
        description="nobody is told who sent it, not even the creator. Of a tip by somebody on the "
        "stage those who earn by it may infer that: the sender has no share",
    )
    heard_at: Annotated[AwareDatetime, Field(ge=_FIRST, lt=_LAST)] | None = Field(
        None, description="EXT-X-PROGRAM-DATE-TIME of what was being heard, live or on the replay"
    )
    media_ms: int | None = Field(
        None,
        ge=0,
        le=10**10,
        description="instead of `heard_at`: the position in the replay's media",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.heard_at is not None and self.media_ms is not None:
            raise ValueError("send heard_at or media_ms, not both")
        return self


class SentenceOut(BaseModel):
    """What was being said: from the transcript, or from the captions while there is none."""

    model_config = ConfigDict(from_attributes=True)

    participant_id: UUID
    speaker: str
    start_ms: int
    end_ms: int
    text: str


class TipOut(BaseModel):
    """`user_id` and `name` are null for anonymous tips of others; `mine` marks your own tips."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_TIP]})

    id: UUID
    room_id: UUID
    room_ms: int = Field(description="what was being heard, on the room's clock")
    stars: int
    message: str | None
    anonymous: bool
    user_id: UUID | None
    name: str | None
    mine: bool
    tier: TierOut
    live: bool = Field(description="sent while the room was live")
    sentence: SentenceOut | None = Field(
        description="what was being said then, as captions or transcript say it now; null where "
        "nothing was said, or where its speaker does not consent. Its times and participant are "
        "those of a cue of the transcript"
    )
    at: datetime
    thanked_at: datetime | None
    hidden: bool = Field(description="host or co-hosts have hidden the message")

    @classmethod
    def of(cls, shown: ShownTip, viewer: UUID | None) -> Self:
        tip, mine = shown.tip, shown.tip.payer_id == viewer
        named = mine or not tip.anonymous
        hidden = tip.hidden_at is not None
        return cls(
            id=tip.id,
            room_id=tip.room_id,
            room_ms=tip.room_ms,
            stars=tip.stars,
            message=tip.message if mine or not hidden else None,
            anonymous=tip.anonymous,
            user_id=tip.payer_id if named else None,
            name=shown.name if named else None,
            mine=mine,
            tier=TierOut.model_validate(tier_of(tip.stars)),
            live=tip.live,
            sentence=shown.sentence and SentenceOut.model_validate(shown.sentence),
            at=tip.at,
            thanked_at=tip.thanked_at,
            hidden=hidden,
        )


class TipPage(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_TIP], "total_stars": 100, "next": None}]}
    )

    items: list[TipOut]
    total_stars: int = Field(description="of all tips of the room")
    next: str | None = Field(description="pass as `after` for the next page; null at the end")


class MyTipPage(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_TIP], "next": None}]})

    items: list[TipOut]
    next: UUID | None = Field(description="pass as `before` for the next page; null at the end")


class NewGoal(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "A new hydrophone", "target_stars": 5000}]}
    )

    title: Title
    target_stars: int = Field(strict=True, ge=1, le=100_000_000)


class GoalOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_GOAL]})

    id: UUID
    title: str
    target_stars: int
    raised_stars: int
    reached_at: datetime | None
    set_at: datetime


class RoomGoalOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"goal": _GOAL}]})

    goal: GoalOut | None = Field(description="null where none is set")

    @classmethod
    def of(cls, goal: RoomGoal | None) -> Self:
        return cls(goal=goal and GoalOut.model_validate(goal))


class SupporterOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    user_id: UUID
    name: str
    stars: int
    tips: int


class SupporterList(BaseModel):
    """Those who gave most come first. Anonymous tips are only summed."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "items": [{"user_id": _ADA, "name": "Ada Lovelace", "stars": 350, "tips": 3}],
                    "anonymous_stars": 100,
                    "total_stars": 450,
                }
            ]
        },
    )

    items: list[SupporterOut]
    anonymous_stars: int
    total_stars: int

    @classmethod
    def of(cls, found: Supporters) -> Self:
        return cls.model_validate(found)


class OwnLimits(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"hour_stars": 500, "day_stars": None}]}
    )

    hour_stars: Annotated[int, Field(strict=True, ge=0, le=10**9)] | None = Field(
        description="per hour; null: only the limit for everybody holds"
    )
    day_stars: Annotated[int, Field(strict=True, ge=0, le=10**9)] | None = Field(
        description="per 24 hours, likewise"
    )


class PeriodOut(BaseModel):
    limit_stars: int = Field(description="the lower of your own limit and the one for everybody")
    own_stars: int | None = Field(description="your own, if you set one")
    spent_stars: int


class LimitsOut(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "hour": {"limit_stars": 500, "own_stars": 500, "spent_stars": 100},
                    "day": {"limit_stars": 50_000, "own_stars": None, "spent_stars": 100},
                }
            ]
        }
    )

    hour: PeriodOut
    day: PeriodOut

    @classmethod
    def of(cls, spending: Spending, hour_limit: int, day_limit: int) -> Self:
        return cls(
            hour=PeriodOut(
                limit_stars=hour_limit,
                own_stars=spending.own_hour_stars,
                spent_stars=spending.hour_stars,
            ),
            day=PeriodOut(
                limit_stars=day_limit,
                own_stars=spending.own_day_stars,
                spent_stars=spending.day_stars,
            ),
        )


Place = Annotated[
    str, StringConstraints(pattern=r"^\d{1,18}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
]
"""Of a tip in its room: `room_ms` and id."""
