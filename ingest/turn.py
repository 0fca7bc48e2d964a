"""Credentials for a TURN relay that end by themselves, and how clients are told of it.

The relay shares a secret with us and asks us nothing (coturn's `use-auth-secret`): the user name is
`expiry:random`, the password its HMAC-SHA1 under the secret. Neither says whose it is.
"""

import base64
import hmac
import secrets
import time
from typing import Final

from pydantic import BaseModel, Field

from core.settings import Settings

TTL_SECONDS: Final = 3600
"""To begin a relayed connection; one that is open goes on after it."""


class IceServer(BaseModel):
    """A relay as browsers take it (RTCIceServer)."""

    urls: list[str] = Field(examples=[["turns:turn.example.org:443?transport=tcp"]])
    username: str = Field(examples=["1795312800:6f1d0c4b9a72e358"])
    credential: str = Field(examples=["Zm9yIHRoaXMgcmVsYXkgYWxvbmU="])


def ice_servers(settings: Settings) -> list[IceServer]:
    """With new credentials; empty where no relay is set."""
    if not settings.turn_urls or settings.turn_secret is None:
        return []
    username = f"{int(time.time()) + TTL_SECONDS}:{secrets.token_hex(8)}"
    key = settings.turn_secret.get_secret_value()
    digest = hmac.digest(key.encode(), username.encode(), "sha1")
    credential = base64.b64encode(digest).decode()
    return [IceServer(urls=list(settings.turn_urls), username=username, credential=credential)]


def links(servers: list[IceServer]) -> list[str]:
    """A value of the Link header for each URL (RFC 9725, 4.6)."""
    return [
        f'<{url}>; rel="ice-server"; username="{server.username}"; '
        f'credential="{server.credential}"; credential-type="password"'
        for server in servers
        for url in server.urls
    ]
