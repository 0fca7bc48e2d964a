"""What counts as now where money matures: the machine's clock, or the sandbox's for test money."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts.gateway_models import StripeBooks


async def money_now(session: AsyncSession) -> datetime:
    """Sandbox's as far ahead as `cashier.follow_sandbox` last found it."""
    ahead = await session.scalar(sa.select(StripeBooks.clock_ahead))
    return datetime.now(UTC) + (ahead or timedelta())
