"""Capabilities: who holds the path may read one recording's playlists and segments for a while.

A capability is the first part of an edge path (`/{capability}/{recording_id}/...`). It is the
same for everybody who asks within the hour, so a CDN caches one path for all listeners. It
cannot be taken back before it expires: **access that is revoked ends within two hours**.

    capability = scope:1 letter, expiry:8 hex digits (Unix seconds), mac:24 characters base64url
    mac        = HMAC-SHA256(derive_key(secret, "capability"), scope expiry recording_id), 18 bytes
"""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.errors import Forbidden
from core.keys import derive_key

BUCKET_SECONDS: Final = 3600
_MAC_BYTES: Final = 18
_SHAPE = re.compile(r"[a-z][0-9a-f]{8}[A-Za-z0-9_-]{24}")


class Scope(StrEnum):
    """What the holder may read; one letter."""

    LISTEN = "l"


class CapabilityInvalid(Forbidden):
    code = "capability_invalid"
    title = "This link is not valid"


class CapabilityExpired(Forbidden):
    code = "capability_expired"
    title = "This link has expired"


@dataclass(frozen=True, slots=True)
class Capability:
    token: str
    expires_at: datetime


def capability_key(secret: bytes) -> bytes:
    """The installation's secret as the key that the functions here want."""
    return derive_key(secret, "capability")


def issue(
    key: bytes, recording_id: UUID, *, at: datetime, scope: Scope = Scope.LISTEN
) -> Capability:
    """Valid until the end of the next hour: one to two hours."""
    expires = (int(at.timestamp()) // BUCKET_SECONDS + 2) * BUCKET_SECONDS
    claims = f"{scope}{expires:08x}"
    return Capability(
        claims + _mac(key, claims, recording_id), datetime.fromtimestamp(expires, UTC)
    )


def check(key: bytes, token: str, recording_id: UUID, *, now: float) -> float:
    """When it expires. `now` and the answer are Unix seconds.

    Raises CapabilityInvalid, or CapabilityExpired for one that was ours.
    """
    if not _SHAPE.fullmatch(token):
        raise CapabilityInvalid("the path does not begin with a capability; ask for listen again")
    claims, mac = token[:9], token[9:]
    if not hmac.compare_digest(mac, _mac(key, claims, recording_id)):
        raise CapabilityInvalid("the capability is not for this recording; ask for listen again")
    expires = int(claims[1:], 16)
    if now >= expires:
        raise CapabilityExpired("the capability has expired; ask for listen again")
    if claims[0] != Scope.LISTEN:
        raise CapabilityInvalid("the capability is for something else; ask for listen again")
    return float(expires)


def _mac(key: bytes, claims: str, recording_id: UUID) -> str:
    digest = hmac.digest(key, f"{claims}{recording_id}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:_MAC_BYTES]).decode()
