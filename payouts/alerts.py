"""What nobody can explain is written down and logged: money is never posted on a guess."""

import logging
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.platforms import ensure_default_platform
from payouts import stripe_lines

log = logging.getLogger(__name__)


async def set_aside(
    session: AsyncSession, reason: str, object_id: str, *, platform_id: UUID | None = None
) -> None:
    """A `money_exception` for an operator; of nobody we know, it stands in the site's own books."""
    log.error("unexplained: %s %s", reason, object_id)
    owner = platform_id or await ensure_default_platform(session)
    await stripe_lines.set_aside(session, platform_id=owner, object_id=object_id, reason=reason)
