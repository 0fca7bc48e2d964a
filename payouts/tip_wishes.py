"""A tip on its way: as it is wished for, as it is asked of the ledger, and as it was written."""

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from core.auth.principal import Principal
from core.auth.rights import require_user
from payouts.tip_models import RoomTip
from rooms.models import Room, RoomState


@dataclass(frozen=True, slots=True)
class TipWish:
    """What somebody asks for. `client_key` is their own idempotency key.

    At most one of `heard_at` and `media_ms` is given; without them the tip is pinned to now, or to
    the room's end.
    """

    client_key: str
    stars: int
    message: str = ""
    anonymous: bool = False
    heard_at: datetime | None = None
    """The EXT-X-PROGRAM-DATE-TIME of what was being heard."""

    media_ms: int | None = None
    """The position in the recording's media."""

    def digest(self, room_id: UUID) -> bytes:
        heard_at = self.heard_at and self.heard_at.astimezone(UTC).isoformat()
        asked = f"{room_id} {self.stars} {self.anonymous} {heard_at} {self.media_ms} {self.message}"
        return hashlib.sha256(asked.encode()).digest()


@dataclass(frozen=True, slots=True)
class Asked:
    """A tip of somebody who may tip this room, before anything is locked for it."""

    payer_id: UUID
    key: str
    """Of its posting in the ledger."""

    name: str
    platform_id: UUID
    room_id: UUID
    host_id: UUID
    live: bool
    wish: TipWish
    message: str | None
    wanted_ms: float | None
    """On the room's clock; None for now, or for the room's end."""

    @classmethod
    def of(
        cls,
        principal: Principal,
        room: Room,
        wish: TipWish,
        *,
        message: str | None = None,
        wanted_ms: float | None = None,
    ) -> Self:
        """Raises Unauthenticated, AccountNeeded."""
        payer_id = require_user(principal)
        return cls(
            payer_id=payer_id,
            key=f"tip:{payer_id}:{wish.client_key}",
            name=principal.display_name,
            platform_id=room.platform_id,
            room_id=room.id,
            host_id=room.host_id,
            live=room.state is RoomState.LIVE,
            wish=wish,
            message=message,
            wanted_ms=wanted_ms,
        )

    @property
    def digest(self) -> bytes:
        return self.wish.digest(self.room_id)


@dataclass(slots=True)
class Sent:
    """A tip as it was written, with the columns of `RoomTip` and without a session."""

    id: UUID
    platform_id: UUID
    room_id: UUID
    payer_id: UUID
    goal_id: UUID | None
    stars: int
    message: str | None
    anonymous: bool
    live: bool
    room_ms: int
    at: datetime
    wish_sha256: bytes
    payer_stars: int
    thanked_at: datetime | None = None
    hidden_at: datetime | None = None

    @property
    def row(self) -> RoomTip:
        return RoomTip(**asdict(self))
