"""How often one person and one address may ask the receiving process for sessions.

In memory and only for holders of an authentic token: all sessions of a room are opened at one
worker, WHIP works while the database is away, and whoever has no token costs one signature check.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import Request

from core.buckets import Limit, LocalBuckets
from core.ratelimit import client_address
from core.settings import Settings

SESSIONS: Final = Limit("whip-sessions", burst=30, per=timedelta(minutes=1))
"""POST of one participant: a client that lost its network tries every few seconds."""

CHANGES: Final = Limit("whip-changes", burst=120, per=timedelta(minutes=1))
"""PATCH and DELETE of one participant: a client trickles a dozen candidates a session."""

ADDRESS: Final = Limit("whip-address", burst=1200, per=timedelta(minutes=1))
"""All of these from one address: a conference, or a proxy that is not named as trusted."""


class Admission:
    """`settings` name the proxies whose word about addresses counts."""

    def __init__(self, settings: Settings, buckets: LocalBuckets | None = None) -> None:
        self._settings = settings
        self.buckets = LocalBuckets() if buckets is None else buckets

    def admit(self, request: Request, limit: Limit, participant_id: UUID) -> None:
        """One attempt. Raises RateLimited with the time after which there is another."""
        self.buckets.take(ADDRESS, client_address(request, self._settings))
        self.buckets.take(limit, str(participant_id))
