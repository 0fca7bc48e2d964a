"""The time that counts where money matures: the machine's, or with test money the sandbox's."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts.gateway_models import StripeBooks


async def money_now(session: AsyncSession) -> datetime:
    """UTC; ahead of the machine's clock by what `cashier.follow_sandbox` last found."""
    ahead = await session.scalar(sa.select(StripeBooks.clock_ahead))
    return datetime.now(UTC) + (ahead or timedelta())
