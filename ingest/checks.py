"""What a session's ICE checks are known by: credentials, and that a check is new and one of few."""

import secrets
from dataclasses import dataclass
from typing import Final

from ingest.webrtc import BindingRequest

CHECKS_PER_SECOND: Final = 100
"""A client that looks for a way sends one each 5 to 50 ms for a moment (RFC 8445, 14)."""

_REMEMBERED: Final = 1 << 15
"""Bits to remember checks in: 4 KB a session."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Ours, and the client's user fragment that its checks must name."""

    ufrag: str
    password: str
    remote_ufrag: str

    def named_by(self, request: BindingRequest) -> bool:
        return self.ufrag == request.local_ufrag and self.remote_ufrag == request.remote_ufrag


def new_credentials(remote_ufrag: str) -> Credentials:
    """48 and 192 random bits: more than RFC 8445, 5.3 asks for (24 and 128)."""
    return Credentials(secrets.token_hex(6), secrets.token_hex(24), remote_ufrag)


class Checks:
    """The authentic checks of one session so far."""

    def __init__(self) -> None:
        self._bits = bytearray(_REMEMBERED // 8)
        self._counted = 0, 0
        """The second of the last check, and how many came in it."""

    def seen(self, transaction_id: bytes) -> bool:
        """Whether a check was here before: it proves nothing of another address then.

        A bit per hash of a transaction id: never forgotten, mistaken for known now and then. A
        client that moves does not notice, because it sends its checks anew several times a second.
        """
        byte, bit = divmod(hash(transaction_id) % _REMEMBERED, 8)
        seen = self._bits[byte] >> bit & 1
        self._bits[byte] |= 1 << bit
        return bool(seen)

    def in_time(self, now: float) -> bool:
        """At most CHECKS_PER_SECOND: an answer costs as much as ten packets of sound."""
        second, count = self._counted
        count = count + 1 if int(now) == second else 1
        self._counted = int(now), count
        return count <= CHECKS_PER_SECOND
