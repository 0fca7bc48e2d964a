"""Identity tokens that no honest provider signs."""

import base64
import hmac
import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.core.auth.openid_provider import (
    CLIENT_SECRET,
    rs256,
)


def hs256(claims: dict[str, Any], key: RSAKey) -> str:
    """The public key, which everybody knows, as the HMAC secret; by hand, joserfc refuses to."""
    header = {"alg": "HS256", "kid": key.kid}
    signed = ".".join(unpadded(json.dumps(part).encode()) for part in (header, claims))
    mac = hmac.digest(key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{unpadded(mac)}"


def hs256_client(claims: dict[str, Any], _: RSAKey) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))


def unsigned(claims: dict[str, Any], _: RSAKey) -> str:
    parts = [unpadded(json.dumps(part).encode()) for part in ({"alg": "none"}, claims)]
    return ".".join(parts) + "."


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def strange_key(claims: dict[str, Any], key: RSAKey) -> str:
    return rs256(claims, RSAKey.generate_key(2048, {"kid": key.kid or ""}))


def cut(claims: dict[str, Any], key: RSAKey) -> str:
    return rs256(claims, key)[:-8]
