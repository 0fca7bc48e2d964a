"""What all parts of one installation share, remembered in its database.

A machine that was given another secret or another object store would be accepted by the others,
refuse their speakers and keep recordings where nobody looks. It is told so instead.
"""

import asyncio
import hmac
import logging
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Database
from core.errors import Conflict
from core.ids import uuid7
from core.keys import derive_key, load_secret
from core.settings import Settings
from core.storage import ObjectExists, ObjectMissing, ObjectStore, StoreUnavailable, open_store

log = logging.getLogger(__name__)

STORE_KEY: Final = "installation"
"""The object that holds the store's id: made once, then the same whatever URL it is reached by."""

STORE_SECONDS: Final = 5.0
"""A start waits no longer for the store."""

THE_ONE: Final = 1
ON_PURPOSE: Final = "If it was changed on purpose: encore db adopt."


class OtherSecret(Conflict):
    code = "other_secret"
    title = "This machine's secret key is not the installation's"


class OtherStore(Conflict):
    code = "other_store"
    title = "This machine's object store is not the installation's"


class Installation(Base):
    """One row. Of the secret only a key derived for this purpose is kept."""

    __tablename__ = "installation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    secret_fingerprint: Mapped[bytes]
    store_id: Mapped[UUID]
    store_url: Mapped[str]
    """Where the first machine reached it; for people."""


async def check_installation(settings: Settings, database: Database) -> None:
    """Raises OtherSecret, OtherStore; the first start on a database registers both.

    A store that does not answer stops nobody: what is said meanwhile is kept on this disk.
    """
    async with database.transaction() as session:
        known = await session.get(Installation, THE_ONE)
    store_id: UUID | None = None
    try:
        async with asyncio.timeout(STORE_SECONDS):
            store_id = await _store_id(open_store(settings), make=known is None)
    except (StoreUnavailable, TimeoutError):
        log.warning("the object store does not answer: whether it is the installation's is unknown")
    if known is None and store_id is not None:
        async with database.transaction() as session:
            await _register(session, settings, store_id, replace=False)
            known = await session.get_one(Installation, THE_ONE)
    if known is not None:
        _compare(settings, known, known.store_id if store_id is None else store_id)


async def check_store(settings: Settings, database: Database) -> None:
    """Raises OtherStore; StoreUnavailable when that cannot be known. Registers nothing."""
    async with database.transaction() as session:
        known = await session.get(Installation, THE_ONE)
    if known is not None:
        _compare_store(settings, known, await _store_id(open_store(settings), make=False))


async def adopt(settings: Settings, database: Database) -> None:
    """Registers this machine's secret and store in place of what was. Raises StoreUnavailable."""
    store_id = await _store_id(open_store(settings), make=True)
    async with database.transaction() as session:
        await _register(session, settings, store_id, replace=True)


def _compare(settings: Settings, known: Installation, store_id: UUID) -> None:
    if not hmac.compare_digest(known.secret_fingerprint, _fingerprint(settings)):
        raise OtherSecret(
            f"this machine's ENCORE_SECRET_KEY is not the one of the others. {ON_PURPOSE}"
        )
    _compare_store(settings, known, store_id)


def _compare_store(settings: Settings, known: Installation, store_id: UUID) -> None:
    if known.store_id != store_id:
        raise OtherStore(
            f"ENCORE_STORAGE_URL ({settings.object_store_url}) names another store than that of "
            f"the others ({known.store_url}). {ON_PURPOSE}"
        )


def _fingerprint(settings: Settings) -> bytes:
    return derive_key(load_secret(settings), "installation-fingerprint")


async def _store_id(store: ObjectStore, *, make: bool) -> UUID:
    """The nil UUID for a store that has none yet, unless it is to be made."""
    if make:
        try:
            data = str(uuid7()).encode()
            await store.put(STORE_KEY, data, content_type="text/plain")
        except ObjectExists:
            pass
    try:
        return UUID((await store.get(STORE_KEY)).decode())
    except ObjectMissing:
        return UUID(int=0)


async def _register(
    session: AsyncSession, settings: Settings, store_id: UUID, *, replace: bool
) -> None:
    """Of several first starts the first one's row stays."""
    values = {
        "secret_fingerprint": _fingerprint(settings),
        "store_id": store_id,
        "store_url": settings.object_store_url,
    }
    row = insert(Installation).values(id=THE_ONE, **values)
    await session.execute(
        row.on_conflict_do_update(index_elements=["id"], set_=values)
        if replace
        else row.on_conflict_do_nothing()
    )
