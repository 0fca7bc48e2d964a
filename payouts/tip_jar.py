"""Batches the tips of one process, so that those that wait share a transaction (ADR 0032)."""

from collections.abc import Sequence
from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import Depends, Request

from core.batches import Batches
from core.db import Database
from core.errors import Problem
from core.settings import Settings
from payouts.books import terms_of
from payouts.limits import Caps, caps_of
from payouts.postings import Terms
from payouts.tip_wishes import Asked, Sent
from payouts.tips import Known, send_tips, try_tips

AT_ONCE: Final = 2
"""Batches of one platform: one that waits for a wallet does not hold up the next."""

MOST: Final = 64
"""Tips in one transaction, which keeps its locks on their rooms until its end."""

MOST_KNOWN: Final = 20_000
"""Accounts and rooms of a platform that are kept in memory; some megabytes."""


class TipJar:
    def __init__(self, database: Database, terms: Terms, caps: Caps) -> None:
        self._database, self._terms, self._caps = database, terms, caps
        self._platforms: dict[UUID, Batches[Asked, Sent]] = {}
        self._known: dict[UUID, Known] = {}
        self._known_since = database.raw_opened

    async def send(self, asked: Asked) -> Sent:
        """Returns once the tip is committed. The caller must not hold a connection meanwhile.

        Raises the problem that `send_tips` returns for this tip, if any.
        """
        platform_id = asked.platform_id
        if platform_id not in self._platforms:
            self._platforms[platform_id] = Batches(self._send_all, at_once=AT_ONCE, most=MOST)
        return await self._platforms[platform_id].ask(asked)

    async def _send_all(self, asked: Sequence[Asked]) -> Sequence[Sent | Problem]:
        terms, caps = self._terms, self._caps
        async with self._database.raw() as raw:
            known = self._known_of(asked[0].platform_id)
            sent = await try_tips(raw, asked, terms=terms, caps=caps, known=known)
        if sent is not None:
            return sent
        async with self._database.raw_transaction() as raw:
            return await send_tips(raw, asked, terms=terms, caps=caps)

    def _known_of(self, platform_id: UUID) -> Known:
        """Of the database that the process has been connected to."""
        if self._known_since != self._database.raw_opened:
            self._known_since = self._database.raw_opened
            self._known.clear()
        if self._known.setdefault(platform_id, Known()).size > MOST_KNOWN:
            self._known[platform_id] = Known()
        return self._known[platform_id]


def open_tip_jar(settings: Settings, database: Database) -> TipJar:
    return TipJar(database, terms_of(settings), caps_of(settings))


async def tip_jar(request: Request) -> TipJar:
    return cast("TipJar", request.app.state.tip_jar)


TipJarDep = Annotated[TipJar, Depends(tip_jar)]
