"""Tenants: Encore's own site is the platform `encore`; every embedding application is another."""

import re
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.display import clean_name
from core.auth.models import Platform
from core.errors import Conflict, Invalid
from core.ids import uuid7

DEFAULT_SLUG = "encore"
DEFAULT_NAME = "Encore"
SLUG = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class SlugInvalid(Invalid):
    code = "platform_slug_invalid"
    title = "A platform's slug is 1 to 63 of a-z, 0-9 and -, not at the ends"


class PlatformExists(Conflict):
    code = "platform_exists"
    title = "A platform with this slug exists"


async def ensure_default_platform(session: AsyncSession) -> UUID:
    """The id of Encore's own platform, made at the first start; safe on many machines at once."""
    found = await session.scalar(_default_id())
    if found is not None:
        return found
    row = {"id": uuid7(), "slug": DEFAULT_SLUG, "name": DEFAULT_NAME}
    await session.execute(insert(Platform).values(row).on_conflict_do_nothing())
    return (await session.scalars(_default_id())).one()


async def site_platform(session: AsyncSession) -> UUID:
    """The platform that this site's own accounts belong to: the default one."""
    return await ensure_default_platform(session)


async def stranger_platform(session: AsyncSession) -> UUID | None:
    """The platform whose public rooms somebody sees who has not signed in; None before first start.

    Always the default one for now; the request's host will choose among several sites here.
    """
    return await session.scalar(_default_id())


async def create_platform(session: AsyncSession, *, slug: str, name: str) -> Platform:
    """A tenant. Raises SlugInvalid, PlatformExists, NameInvalid."""
    if SLUG.fullmatch(slug) is None:
        raise SlugInvalid
    row = {"id": uuid7(), "slug": slug, "name": clean_name(name)}
    made = insert(Platform).values(row).on_conflict_do_nothing().returning(Platform)
    platform = await session.scalar(made)
    if platform is None:
        raise PlatformExists
    return platform


def _default_id() -> sa.Select[UUID]:
    return sa.select(Platform.id).where(Platform.slug == DEFAULT_SLUG)
