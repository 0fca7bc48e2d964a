"""A small real OpenID provider on loopback: discovery, keys, authorization, tokens with PKCE.

`Behavior` bends it, one lie at a time.
"""

import base64
import functools
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote, urlencode

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from core.server import serving

CLIENT_ID = "encore-at-provider"
CLIENT_SECRET = "the client's secret: with + and &"

Sign = Callable[[dict[str, Any], RSAKey], str]


def rs256(claims: dict[str, Any], key: RSAKey) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid or ""}, claims, key, ["RS256"])


@dataclass
class Behavior:
    """`claims` replace those of an honest ID token (None removes one)."""

    claims: dict[str, Any] = field(default_factory=dict)
    sign: Sign = rs256
    discovery: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    down: bool = False


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})


@functools.cache
def first_key() -> RSAKey:
    """Of all providers: two large primes for each would be most of what a test computes."""
    return new_key()


@dataclass
class OpenIdProvider:
    issuer: str
    behavior: Behavior = field(default_factory=Behavior)
    key: RSAKey = field(default_factory=first_key)
    granted: dict[str, dict[str, str]] = field(default_factory=dict)
    key_reads: int = 0

    def rotate_key(self) -> None:
        self.key = new_key()

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "subject-1815",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "name": "Ada Lovelace",
            **self.behavior.claims,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return self.behavior.sign(kept, self.key)


@asynccontextmanager
async def serve_provider() -> AsyncIterator[OpenIdProvider]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        provider = OpenIdProvider(f"http://127.0.0.1:{bound.getsockname()[1]}")
        async with serving(_app(provider), bound):
            yield provider


def _app(provider: OpenIdProvider) -> FastAPI:
    app = FastAPI()

    @app.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        if provider.behavior.down:
            raise HTTPException(503)
        endpoints = {
            "authorization_endpoint": f"{provider.issuer}/authorize",
            "token_endpoint": f"{provider.issuer}/token",
            "jwks_uri": f"{provider.issuer}/keys",
        }
        return {"issuer": provider.issuer, **endpoints, **provider.behavior.discovery}

    @app.get("/keys")
    async def keys() -> dict[str, Any]:
        provider.key_reads += 1
        return dict(KeySet([provider.key]).as_dict(private=False))

    @app.get("/authorize")
    async def authorize(request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        provider.granted[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    @app.post("/token")
    async def token(
        request: Request,
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
    ) -> dict[str, Any]:
        if provider.behavior.down:
            raise HTTPException(503)
        if provider.behavior.answer is not None:
            return provider.behavior.answer
        asked = provider.granted.pop(code, None)
        if asked is None or not _is_client(request):
            return {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest())
        assert challenge.rstrip(b"=").decode() == asked["code_challenge"]
        assert redirect_uri == asked["redirect_uri"]
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": provider.id_token(asked["nonce"]),
        }

    return app


def _is_client(request: Request) -> bool:
    """client_secret_basic (RFC 6749, 2.3.1): form-encoded before base64, as strict servers want."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    name, _, secret = base64.b64decode(value).decode().partition(":")
    said = {secret, unquote(secret)}
    return scheme == "Basic" and name == CLIENT_ID and CLIENT_SECRET in said
