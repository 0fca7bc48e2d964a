import asyncio
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth import accounts
from core.auth.credentials import SessionInvalid, current_login
from core.auth.display import NameInvalid
from core.auth.models import Platform, User
from core.auth.passwords import PasswordUnfit, verify_password
from core.auth.platforms import (
    PlatformExists,
    SlugInvalid,
    create_platform,
    ensure_default_platform,
    site_platform,
    stranger_platform,
)
from core.db import Database
from tests.factories import sign_in

PASSWORD = "a good long passphrase"


async def test_the_default_platform_is_made_once_by_many(database: Database) -> None:
    async def ensure() -> UUID:
        async with database.transaction() as session:
            return await ensure_default_platform(session)

    ids = await asyncio.gather(*(ensure() for _ in range(6)))
    assert len(set(ids)) == 1
    async with database.transaction() as session:
        assert await stranger_platform(session) == ids[0]
        assert await site_platform(session) == ids[0]
        slugs = await session.scalars(sa.select(Platform.slug).where(Platform.id == ids[0]))
        assert slugs.all() == ["encore"]


async def test_a_platform_is_made_once(session: AsyncSession) -> None:
    slug = f"p-{uuid4().hex}"
    platform = await create_platform(session, slug=slug, name=" The  Shop ")
    assert (platform.slug, platform.name) == (slug, "The Shop")
    with pytest.raises(PlatformExists):
        await create_platform(session, slug=slug, name="Another")
    with pytest.raises(NameInvalid):
        await create_platform(session, slug="x", name="")


@pytest.mark.parametrize("slug", ["", "-a", "a-", "A", "a b", "a/b", "ü", "a" * 64, "a\n"])
async def test_what_is_no_slug(session: AsyncSession, slug: str) -> None:
    with pytest.raises(SlugInvalid):
        await create_platform(session, slug=slug, name="P")


async def test_an_admin_from_the_command_line(session: AsyncSession) -> None:
    email = f"{uuid4().hex}@example.org"
    admin = await accounts.create_admin(session, email, PASSWORD)
    assert admin.is_admin
    assert admin.email_verified_at is not None
    assert admin.platform_id == await site_platform(session)
    token = await sign_in(session, admin)
    again = await accounts.create_admin(session, email.upper(), PASSWORD + "!")
    assert again.id == admin.id
    assert await verify_password(again.password_hash, PASSWORD + "!")
    with pytest.raises(SessionInvalid):
        await current_login(session, token)
    count = sa.select(sa.func.count()).where(sa.func.lower(User.email) == email)
    assert await session.scalar(count) == 1


async def test_an_admin_needs_a_password_too(session: AsyncSession) -> None:
    with pytest.raises(PasswordUnfit):
        await accounts.create_admin(session, "a@example.org", "short")
    with pytest.raises(accounts.EmailInvalid):
        await accounts.create_admin(session, "nobody", PASSWORD)
