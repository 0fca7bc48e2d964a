"""How often one person and one address may ask the receiving process for sessions.

In memory and only for holders of an authentic token: all sessions of a room are opened at one
worker, WHIP works while the database is away, and whoever has no token costs one signature check.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import Request

from core.ratelimit import Limit, RateLimited, client_address
from core.settings import Settings

SESSIONS: Final = Limit("whip-sessions", burst=30, per=timedelta(minutes=1))
"""POST of one participant: a client that lost its network tries every few seconds."""

CHANGES: Final = Limit("whip-changes", burst=120, per=timedelta(minutes=1))
"""PATCH and DELETE of one participant: a client trickles a dozen candidates a session."""

ADDRESS: Final = Limit("whip-address", burst=1200, per=timedelta(minutes=1))
"""All of these from one address: a conference, or a proxy that is not named as trusted."""

REMEMBERED: Final = 10_000
"""Buckets; the one that was not used for longest is forgotten, full most likely."""


class Admission:
    """`settings` name the proxies whose word about addresses counts."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def admit(self, request: Request, limit: Limit, participant_id: UUID) -> None:
        """One attempt. Raises RateLimited with the time after which there is another."""
        self._take(ADDRESS, client_address(request, self._settings))
        self._take(limit, str(participant_id))

    def _take(self, limit: Limit, subject: str) -> None:
        now, key = self._clock(), (limit.name, subject)
        tokens, at = self._buckets.pop(key, (float(limit.burst), now))
        tokens = min(limit.burst, tokens + (now - at) * limit.tokens_per_second)
        self._buckets[key] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens), now
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise RateLimited((1 - tokens) / limit.tokens_per_second)
