"""Signed-in browsers and apps: made, replaced, ended."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.credentials import SESSION_LIFETIME, current_login
from core.auth.models import LoginSession, User
from core.auth.opaque import Prefix, digest, new_secret


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` is shown here and never again."""

    token: str
    expires_at: datetime
    user: User


async def open_session(
    session: AsyncSession, user: User, *, replaces: str | None = None
) -> SignedIn:
    """A new session of `user`; `replaces` is the token that the same browser held before.

    Every sign-in makes a new secret (no fixation) and ends the one it replaces.
    """
    if replaces is not None:
        await close_session(session, replaces)
    token = new_secret(Prefix.SESSION)
    expires_at = datetime.now(UTC) + SESSION_LIFETIME
    login = LoginSession(user_id=user.id, secret_sha256=digest(token), expires_at=expires_at)
    session.add(login)
    await session.flush()
    return SignedIn(token, expires_at, user)


async def rotate_session(session: AsyncSession, token: str) -> SignedIn:
    """A new secret for the same person; the old one ends. Raises SessionInvalid or -Expired."""
    _, user = await current_login(session, token)
    return await open_session(session, user, replaces=token)


async def close_session(session: AsyncSession, token: str) -> None:
    """Ends the session of `token`, if there is one."""
    mine = LoginSession.secret_sha256 == digest(token)
    await _revoke(session, mine)


async def close_all_sessions(session: AsyncSession, user_id: UUID) -> None:
    await _revoke(session, LoginSession.user_id == user_id)


async def _revoke(session: AsyncSession, which: sa.ColumnElement[bool]) -> None:
    statement = sa.update(LoginSession).where(which, LoginSession.revoked_at.is_(None))
    await session.execute(statement.values(revoked_at=sa.func.now()))
