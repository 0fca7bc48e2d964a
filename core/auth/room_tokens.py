"""Room tokens: one person's right to be in one room, signed and short-lived (JWT, RFC 7519).

The signature is HMAC-SHA256 under a key derived for this purpose only; the algorithm and the
type are pinned (RFC 8725, 3.1 and 3.11). A token cannot be taken back, so it lives minutes.
"""

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey

from core.errors import Invalid, Unauthenticated
from core.keys import derive_key

DEFAULT_TTL = timedelta(minutes=10)
MAX_TTL = timedelta(hours=24)
MAX_TOKEN_CHARS = 8192
LEEWAY_SECONDS = 5

_ALGORITHM = "HS256"
_TYPE = "encore-room+jwt"
_ISSUER = "encore"
_AUDIENCE = "encore:room"


class RoomTokenInvalid(Unauthenticated):
    code = "room_token_invalid"
    title = "This room token is not valid; join the room again"


class RoomTokenExpired(Unauthenticated):
    code = "room_token_expired"
    title = "This room token has expired; join the room again"


class RoomTokenLifetime(Invalid):
    code = "room_token_lifetime"
    title = "A room token lives between one second and 24 hours"


class RoomTokenTooLarge(Invalid):
    code = "room_token_too_large"
    title = "A room token cannot carry so many groups"


@dataclass(frozen=True, slots=True)
class RoomClaims:
    """Who the bearer is, in which room, and the group keys that the platform vouches for."""

    platform_id: UUID
    user_id: UUID
    room_id: UUID
    display_name: str
    role: str
    groups: tuple[str, ...] = ()
    participant_id: UUID | None = None
    expires_at: datetime | None = field(default=None, compare=False)
    """Set by reading; what is issued lives for the `ttl` given then."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    token: str
    expires_at: datetime


def issue_room_token(
    secret: bytes,
    claims: RoomClaims,
    *,
    ttl: timedelta = DEFAULT_TTL,
    issued_at: datetime | None = None,
) -> IssuedToken:
    """Signs `claims` with the installation's `secret`, valid from `issued_at` (now) for `ttl`.

    Raises RoomTokenLifetime when `ttl` is under a second or over MAX_TTL, RoomTokenTooLarge.
    """
    if not timedelta(seconds=1) <= ttl <= MAX_TTL:
        raise RoomTokenLifetime
    start = int((issued_at or datetime.now(UTC)).timestamp())
    end = start + int(ttl.total_seconds())
    times = {"iat": start, "nbf": start, "exp": end, "jti": uuid4().hex}
    payload = {"iss": _ISSUER, "aud": _AUDIENCE, **times, **_to_payload(claims)}
    token = jwt.encode({"alg": _ALGORITHM, "typ": _TYPE}, payload, _key(secret), [_ALGORITHM])
    if len(token) > MAX_TOKEN_CHARS:
        raise RoomTokenTooLarge
    return IssuedToken(token, datetime.fromtimestamp(end, UTC))


def read_room_token(secret: bytes, token: str) -> RoomClaims:
    """Checks signature, type, issuer, audience and times (leeway 5 s).

    Raises RoomTokenExpired, or RoomTokenInvalid for everything else that can be wrong.
    """
    if len(token) > MAX_TOKEN_CHARS:
        raise RoomTokenInvalid
    try:
        return _verified(secret, token)
    except ExpiredTokenError:
        raise RoomTokenExpired from None
    except (
        JoseError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        OverflowError,
    ):
        # Which check failed helps only a forger.
        raise RoomTokenInvalid from None


def looks_like_jwt(credential: str) -> bool:
    """Three parts; nothing else that we issue holds a dot."""
    return credential.count(".") == 2


@functools.lru_cache(maxsize=4)
def _key(secret: bytes) -> OctKey:
    return OctKey.import_key(derive_key(secret, "room-token"))


def _verified(secret: bytes, token: str) -> RoomClaims:
    read = jwt.decode(token, _key(secret), [_ALGORITHM])
    if read.header.get("typ") != _TYPE:
        raise RoomTokenInvalid
    jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": _ISSUER},
        aud={"essential": True, "value": _AUDIENCE},
        exp={"essential": True},
        nbf={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    ).validate(read.claims)
    return _from_payload(read.claims)


def _to_payload(claims: RoomClaims) -> dict[str, Any]:
    return {
        "sub": str(claims.user_id),
        "platform": str(claims.platform_id),
        "room": str(claims.room_id),
        "name": claims.display_name,
        "role": claims.role,
        "groups": list(claims.groups),
        "participant": str(claims.participant_id) if claims.participant_id else None,
    }


def _from_payload(payload: dict[str, Any]) -> RoomClaims:
    participant = payload["participant"]
    return RoomClaims(
        platform_id=UUID(payload["platform"]),
        user_id=UUID(payload["sub"]),
        room_id=UUID(payload["room"]),
        display_name=str(payload["name"]),
        role=str(payload["role"]),
        groups=tuple(str(group) for group in payload["groups"]),
        participant_id=UUID(participant) if participant else None,
        expires_at=datetime.fromtimestamp(payload["exp"], UTC),
    )
