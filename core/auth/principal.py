"""The caller of a request, as every access decision sees it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    STRANGER = "stranger"
    USER = "user"
    API_KEY = "api_key"
    ROOM_TOKEN = "room_token"  # noqa: S105 - a kind, not a secret


class Scope(StrEnum):
    """What an API key may be allowed to do."""

    ROOMS_READ = "rooms:read"
    ROOMS_WRITE = "rooms:write"
    USERS_WRITE = "users:write"
    TOKENS_WRITE = "tokens:write"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_WRITE = "keys:write"
    RECORDINGS_READ = "recordings:read"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, in which tenant, with what rights.

    A room token is a user seen through one room: `room_id` bounds it, `groups` are the
    group keys that the platform vouches for. `admin` is an operator of the platform.
    """

    kind: Kind = Kind.STRANGER
    platform_id: UUID | None = None
    user_id: UUID | None = None
    display_name: str = ""
    admin: bool = False
    scopes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    room_id: UUID | None = None
    expires_at: datetime | None = None
    """Of a room token: how long the platform vouches. None for what can be revoked."""


STRANGER = Principal()
