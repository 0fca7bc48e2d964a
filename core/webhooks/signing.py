"""Signatures of Standard Webhooks, and the endpoint secrets at rest.

A message is signed as HMAC-SHA256 over `id.timestamp.body`; the header lists one `v1,<base64>`
per secret in force, so a receiver survives a rotation.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.keys import derive_key

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public part of every secret
SECRET_BYTES = 32
NONCE_BYTES = 12
PURPOSE = "webhook-secret"


def new_secret() -> str:
    """A fresh endpoint secret in the form that receivers' libraries take."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of the HMAC; `timestamp` is Unix seconds."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def signed_headers(
    endpoint_secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt."""
    signatures = [
        signature(secret, message_id=message_id, timestamp=timestamp, body=body)
        for secret in endpoint_secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def seal(installation_secret: bytes, endpoint_id: UUID, secret: str) -> bytes:
    """The endpoint's secret as it is stored: AES-256-GCM, bound to its row."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = AESGCM(derive_key(installation_secret, PURPOSE))
    return nonce + cipher.encrypt(nonce, secret.encode(), endpoint_id.bytes)


def unseal(installation_secret: bytes, endpoint_id: UUID, sealed: bytes) -> str:
    """Raises cryptography's InvalidTag for another row's, or another installation's."""
    cipher = AESGCM(derive_key(installation_secret, PURPOSE))
    nonce, encrypted = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    return cipher.decrypt(nonce, encrypted, endpoint_id.bytes).decode()
