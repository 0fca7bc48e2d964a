"""A person who has left: rows that others refer to stay, with nothing in them of who it was."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import LoginSession, MailToken, OidcIdentity, User

NOBODY: Final = "Somebody who left"


async def pseudonymize(session: AsyncSession, user_id: UUID) -> None:
    """Nobody signs in as them any more, and nothing says who they were. Repeated, nothing."""
    await session.execute(
        sa.update(User)
        .where(User.id == user_id)
        .values(
            display_name=NOBODY,
            email=None,
            email_verified_at=None,
            password_hash=None,
            external_user_id=None,
            disabled_at=sa.func.coalesce(User.disabled_at, datetime.now(UTC)),
        )
    )
    for table in (LoginSession, MailToken, OidcIdentity):
        await session.execute(sa.delete(table).where(table.user_id == user_id))
