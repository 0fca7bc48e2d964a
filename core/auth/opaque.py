"""Opaque secrets: 256 random bits behind a prefix, of which only the SHA-256 is stored.

The bits cannot be guessed, so a fast hash without salt is enough; a leaked table signs nobody in.
"""

import hashlib
import re
import secrets
from enum import StrEnum

SECRET_BYTES = 32
_BODY = re.compile(r"[A-Za-z0-9_-]{43}")


class Prefix(StrEnum):
    """What the secret is, readable in a log scanner or a code host's secret search."""

    SESSION = "es_"
    API_KEY = "ek_"
    MAIL = "em_"


def new_secret(prefix: Prefix) -> str:
    """The prefix and 43 characters of base64url."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def well_formed(secret: str, prefix: Prefix) -> bool:
    return secret.startswith(prefix) and _BODY.fullmatch(secret[len(prefix) :]) is not None


def digest(secret: str) -> bytes:
    """What the database holds: SHA-256 of the whole secret."""
    return hashlib.sha256(secret.encode()).digest()
