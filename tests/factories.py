"""Rows that tests of every package start from: tenants, people, and what they sign in with.

Everything is unique by default, so a test that commits collides with no other.
"""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import ApiKey, LoginSession, Platform, User
from core.auth.opaque import Prefix, digest, new_secret
from core.auth.principal import Kind, Principal, Scope


async def make_platform(
    session: AsyncSession, *, slug: str | None = None, name: str = "Platform"
) -> Platform:
    platform = Platform(slug=slug or f"platform-{uuid4().hex}", name=name)
    session.add(platform)
    await session.flush()
    return platform


async def make_user(
    session: AsyncSession,
    platform: Platform | None = None,
    *,
    display_name: str = "Ada",
    email: str | None = None,
    verified: bool = True,
    external_user_id: str | None = None,
    admin: bool = False,
) -> User:
    """A user with a verified email and no password; on a platform of its own when none is given."""
    platform = platform or await make_platform(session)
    user = User(
        platform_id=platform.id,
        display_name=display_name,
        email=email or f"{uuid4().hex}@example.org",
        email_verified_at=datetime.now(UTC) if verified else None,
        external_user_id=external_user_id,
        is_admin=admin,
    )
    session.add(user)
    await session.flush()
    return user


async def make_api_key(
    session: AsyncSession,
    platform: Platform | None = None,
    *,
    scopes: tuple[str, ...] = tuple(Scope),
    name: str = "key",
) -> tuple[ApiKey, str]:
    """The row and the secret to send as `Authorization: Bearer`; every scope by default."""
    platform = platform or await make_platform(session)
    secret = new_secret(Prefix.API_KEY)
    key = ApiKey(
        platform_id=platform.id, name=name, secret_sha256=digest(secret), scopes=list(scopes)
    )
    session.add(key)
    await session.flush()
    return key, secret


async def sign_in(
    session: AsyncSession, user: User, *, expires_in: timedelta = timedelta(days=30)
) -> str:
    """A session token for `Authorization: Bearer` or the cookie `encore_session`."""
    token = new_secret(Prefix.SESSION)
    login = LoginSession(
        user_id=user.id, secret_sha256=digest(token), expires_at=datetime.now(UTC) + expires_in
    )
    session.add(login)
    await session.flush()
    return token


def as_user(user: User) -> Principal:
    """The principal that `CallerDep` makes of a signed-in user."""
    return Principal(
        kind=Kind.USER,
        platform_id=user.platform_id,
        user_id=user.id,
        display_name=user.display_name,
        admin=user.is_admin,
    )
